/**
 * The report as plain text, at most 80 columns wide.
 *
 * @module
 */

import {
  amount,
  atMost,
  delayLabel,
  duration,
  moment,
  periods,
  remarks,
  share,
} from "./format.ts";
import type { NetworkRow } from "./networks.ts";
import type { Count, Report } from "./tally.ts";

const WIDTH = 80;
const BAR = 32;
/** Rows of the table by day; more days are put together. */
const ROWS = 31;

/**
 * The lines of the report.
 *
 * @param retryWindow seconds, as configured
 */
export function textReport(report: Report, retryWindow: number): string[] {
  const { networks, delay, connections } = report;
  const lines: string[] = [];
  const gap = () => {
    if (lines.length > 0) lines.push("");
  };
  const heading = (text: string) => {
    gap();
    lines.push(text);
  };
  const figure = (label: string, value: number, of?: number, note = "") => {
    const part = of === undefined ? "" : share(value, of);
    lines.push(
      `${label.padEnd(24)}${amount(value).padStart(13)}${
        part.padStart(9)
      }  ${note}`
        .trimEnd(),
    );
  };
  const reasons = (counts: Record<string, number>) => {
    for (const [reason, count] of Object.entries(counts)) {
      figure(`    ${cut(reason, 18)}`, count, connections);
    }
  };

  if (report.from !== null && report.to !== null) {
    heading(
      `From ${moment(report.from)} to ${moment(report.to)} ` +
        `(${duration(report.to - report.from)})`,
    );
  }
  gap();
  figure("Connections", connections);
  figure("  deferred", report.deferred, connections);
  reasons(report.deferredByReason);
  figure("  passed", report.passed, connections);
  reasons(report.passedByReason);

  gap();
  const { deferred } = networks;
  figure("Networks deferred", deferred);
  figure("  accepted later", networks.accepted, deferred);
  figure("  never accepted", networks.stopped, deferred, "stopped");
  figure("    came only once", networks.once, deferred);
  figure(
    "  still open",
    networks.open,
    deferred,
    `log ends within ${duration(retryWindow)}`,
  );

  heading("Delay from first deferral to acceptance");
  if (delay.count === 0) lines.push("  nobody was accepted after a deferral");
  else {
    lines.push(
      `  ${amount(delay.count)} ${
        delay.count === 1 ? "wait" : "waits"
      }: half took up to ` +
        `${duration(delay.median)}, 90 % up to ${duration(delay.p90)},`,
      `  the longest ${duration(delay.worst)}`,
    );
    const most = Math.max(...delay.histogram.map(({ count }) => count));
    delay.histogram.forEach(({ count }, i) => {
      lines.push(
        `  ${delayLabel(delay.histogram, i).padEnd(16)}${
          amount(count).padStart(12)
        }  ${"+".repeat(scaled(count, most))}`.trimEnd(),
      );
    });
  }

  const { unit, counts } = periods(report.byDay, ROWS);
  if (counts.length > 0) {
    lines.push("", ...bars(`By ${unit}`, counts));
    const hours = report.byHour.map(({ hour, ...count }) => ({
      label: String(hour).padStart(2, "0"),
      ...count,
    }));
    lines.push("", ...bars("By hour of day", hours));
  }

  networkTable("Deferred most", report.mostDeferred);
  networkTable(
    "Accepted after the most tries (consider the whitelist)",
    report.mostTries,
  );
  if (report.pools.length > 0) {
    heading("Same mail again from other networks (consider the whitelist)");
    lines.push(
      "  domain                             moves   networks   accepted",
    );
    for (const pool of report.pools) {
      lines.push(
        `  ${cut(pool.domain, 28).padEnd(28)}${
          amount(pool.moves).padStart(12)
        }` +
          `${atMost(pool.networks).padStart(11)}${
            amount(pool.accepted).padStart(11)
          }`,
        ...example(pool),
      );
    }
  }
  if (report.whitelistedByRule.length > 0) {
    heading("Whitelisted by rule");
    for (const { rule, count } of report.whitelistedByRule) {
      lines.push(`  ${amount(count).padStart(12)}  ${cut(rule, WIDTH - 16)}`);
    }
  }
  const said = remarks(report);
  if (said.length > 0) {
    lines.push("", ...said.flatMap((remark) => wrap(remark)));
  }
  return lines;

  function networkTable(title: string, rows: NetworkRow[]) {
    if (rows.length === 0) return;
    heading(title);
    lines.push(
      "  network                          deferrals   tries       delay  outcome",
    );
    for (const row of rows) {
      // A whole IPv6 address may be too long for its column.
      const long = row.network.length > 30;
      if (long) lines.push(`  ${row.network}`);
      lines.push(
        `  ${(long ? "" : row.network).padEnd(30)}${
          amount(row.deferrals).padStart(12)
        }` +
          `${amount(row.tries).padStart(8)}${
            duration(row.delay).padStart(12)
          }  ${row.outcome}`,
        ...example(row),
      );
    }
  }
}

function bars(title: string, counts: (Count & { label: string })[]): string[] {
  const most = Math.max(
    ...counts.map((count) => count.deferred + count.passed),
  );
  return [
    `${title.padEnd(16)}    deferred      passed  # deferred, + passed`,
    ...counts.map(({ label, deferred, passed }) => {
      const whole = scaled(deferred + passed, most);
      const dark = Math.round(whole * deferred / (deferred + passed || 1));
      return `  ${label.padEnd(14)}${amount(deferred).padStart(12)}${
        amount(passed).padStart(12)
      }  ${"#".repeat(dark)}${"+".repeat(whole - dark)}`.trimEnd();
    }),
  ];
}

/** The length of a bar: at least 1 for what is there at all. */
function scaled(value: number, most: number): number {
  return value === 0 ? 0 : Math.max(1, Math.round(BAR * value / most));
}

function example(row: { helo?: string; from?: string }): string[] {
  const words = [row.helo ?? "", row.from ?? ""].filter((word) => word !== "");
  if (words.length === 0) return [];
  const room = Math.floor((WIDTH - 6) / words.length);
  return ["     " + words.map((word) => cut(word, room - 1)).join(" ")];
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : text.slice(0, most - 3) + "...";
}

function wrap(text: string): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}
