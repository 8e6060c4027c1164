/**
 * The tables at the end of the report's page.
 *
 * @module
 */

import { amount, duration, networkCount, share, tied } from "./format.ts";
import { type Markup, markup } from "./markup.ts";
import type { Report } from "./report.ts";
import { verdicts } from "./story.ts";
import { type Row, table } from "./table.ts";

/** One row a host; nothing unless there are several. */
export function hostTable({ hosts }: Report): Markup | string {
  return table(
    "By host",
    ["host", "deferred", "let in", "retried", "elsewhere", "errors"],
    hosts.map((row) => ({
      cells: [
        row.host,
        ...[
          row.deferred,
          row.passed + row.wouldDefer,
          row.retried,
          row.elsewhere,
          row.errors,
        ].map(amount),
      ],
    })),
    "Retried: let in after a wait. Elsewhere: of these, the networks that " +
      "another host had deferred first.",
  );
}

/** Connections by verdict and reason. */
export function connectionTable(report: Report): Markup | string {
  const { connections } = report;
  const row = (name: string | Markup, count: number): Row => ({
    cells: [name, amount(count), tied(share(count, connections))],
  });
  return table(
    "What was done",
    ["", "connections", `share of ${amount(connections)} connections`],
    verdicts(report).flatMap(({ name, count, byReason }) => [
      row(name, count),
      ...Object.entries(byReason).map(([reason, count]) =>
        row(markup`<span class="in">${reason}</span>`, count)
      ),
    ]),
  );
}

/** Networks, senders and rules that stand out. */
export function senders(report: Report): (Markup | string)[] {
  return [
    table(
      "Came again in time",
      ["network", "connections", "tries", "example"],
      report.wouldDelay.map(({ network, deferrals, tries, ip = "" }) => ({
        cells: [network, amount(deferrals), amount(tries), ip],
      })),
      'Greylisting would have delayed these; in mode "observe" it did not.',
    ),
    table(
      "Deferred most",
      ["network", "deferrals", "tries", "outcome"],
      report.mostDeferred.map(
        ({ network, deferrals, tries, outcome, helo, from }) => ({
          cells: [network, amount(deferrals), amount(tries), outcome],
          example: [helo, from],
        }),
      ),
    ),
    table(
      "Let in after the most tries",
      ["network", "deferrals", "tries", "delay"],
      report.mostTries.map(
        ({ network, deferrals, tries, delay, helo, from }) => ({
          cells: [
            network,
            amount(deferrals),
            amount(tries),
            tied(duration(delay)),
          ],
          example: [helo, from],
        }),
      ),
    ),
    table(
      "Same mail again from other networks",
      ["domain", "moves", "networks", "let in"],
      report.pools.map(
        ({ domain, moves, networks, accepted, helo, from }) => ({
          cells: [
            domain,
            amount(moves),
            networkCount(networks),
            amount(accepted),
          ],
          example: [helo, from],
        }),
      ),
      "The same sender and recipient, deferred in one network and then in " +
        "another.",
    ),
    table(
      "Whitelisted by rule",
      ["rule", "connections"],
      report.whitelistedByRule.map(({ rule, count }) => ({
        cells: [rule, amount(count)],
      })),
    ),
  ];
}
