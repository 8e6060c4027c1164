/**
 * The tables at the end of the report's text.
 *
 * @module
 */

import { amount, duration, networkCount } from "./format.ts";
import type { NetworkRow } from "./networks.ts";
import { cut, type Page, WIDTH } from "./page.ts";
import type { Report } from "./report.ts";

/** One row a host; nothing unless there are several. */
export function hostTable(page: Page, { hosts }: Report): void {
  if (hosts.length === 0) return;
  const columns = (cells: string[]) =>
    cells.map((cell) => cell.padStart(11)).join("");
  page.heading("By host");
  page.add(
    `  ${"".padEnd(22)}${
      columns(["deferred", "let in", "retried", "elsewhere", "errors"])
    }`,
  );
  for (const row of hosts) {
    const { host, deferred, wouldDefer, passed, retried, elsewhere } = row;
    const cells = [deferred, passed + wouldDefer, retried, elsewhere];
    page.add(
      `  ${cut(host, 22).padEnd(22)}${
        columns([...cells, row.errors].map(amount))
      }`,
    );
  }
  page.add("  retried: let in after a wait; elsewhere: of these, the networks");
  page.add("  that another host had deferred first");
}

/** Networks that stand out. */
export function networkTable(
  page: Page,
  title: string,
  rows: NetworkRow[],
): void {
  if (rows.length === 0) return;
  page.heading(title);
  page.add(
    "  network                          deferrals   tries       delay  outcome",
  );
  for (const row of rows) {
    // A whole IPv6 address may be too long for its column.
    const long = row.network.length > 30;
    if (long) page.add(`  ${row.network}`);
    page.add(
      `  ${(long ? "" : row.network).padEnd(30)}${
        amount(row.deferrals).padStart(12)
      }` +
        `${amount(row.tries).padStart(8)}${
          duration(row.delay).padStart(12)
        }  ${row.outcome}`,
    );
    example(page, row);
  }
}

/** Senders that brought the same mail from other networks. */
export function poolTable(page: Page, { pools }: Report): void {
  if (pools.length === 0) return;
  page.heading("Same mail again from other networks");
  page.add("  domain                             moves   networks     let in");
  for (const pool of pools) {
    page.add(
      `  ${cut(pool.domain, 28).padEnd(28)}${amount(pool.moves).padStart(12)}` +
        `${networkCount(pool.networks).padStart(11)}${
          amount(pool.accepted).padStart(11)
        }`,
    );
    example(page, pool);
  }
}

function example(
  page: Page,
  { ip, helo, from }: { ip?: string; helo?: string; from?: string },
): void {
  const said = [helo ?? "", from ?? ""].filter((word) => word !== "");
  const words = said.length > 0 || ip === undefined ? said : [ip];
  if (words.length === 0) return;
  const room = Math.floor((WIDTH - 6) / words.length);
  page.add("     " + words.map((word) => cut(word, room - 1)).join(" "));
}
