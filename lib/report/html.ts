/**
 * The report as one page that needs nothing else: no script, no request.
 *
 * @module
 */

import { barChart } from "./chart.ts";
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
import { type Markup, markup } from "./markup.ts";
import { STYLE } from "./style.ts";
import { type Row, table } from "./table.ts";
import type { Report } from "./tally.ts";

/** Bars in the chart by day; more days are put together. */
const BARS = 62;

const SERIES = [
  { name: "deferred", style: "d" },
  { name: "passed", style: "p" },
];

/**
 * The page.
 *
 * @param retryWindow seconds, as configured
 * @param made when the report is made, in seconds since 1970
 */
export function htmlReport(
  report: Report,
  retryWindow: number,
  made: number,
): string {
  const sections = [
    tiles(report),
    ...charts(report),
    delayChart(report.delay),
    outcomes(report, retryWindow),
    ...senders(report),
  ];
  const notes = [
    ...remarks(report),
    `Made by greylist on ${moment(made)}. Times are local.`,
  ];
  const title = `Greylisting report ${moment(report.to)}`.trim();
  const page = markup`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${{ markup: STYLE }}</style>
</head>
<body>
<header>
<h1>Greylisting report</h1>
${span(report)}
</header>
<main>
${sections}
</main>
<footer>
${notes.map((note) => markup`<p>${note}</p>\n`)}</footer>
</body>
</html>
`;
  return page.markup;
}

/** Should markup ever come in with a value, it can do nothing. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

function span({ from, to }: Report): Markup | string {
  if (from === null || to === null) return "";
  const text = `${moment(from)} to ${moment(to)}, ${duration(to - from)}`;
  return markup`<p>${text}</p>`;
}

function tiles({ connections, deferred, networks, delay }: Report): Markup {
  const tile = (name: string, value: string, note: string) =>
    markup`<div><dt>${name}</dt><dd>${value}</dd><dd>${note}</dd></div>\n`;
  return markup`<dl class="tiles">
${tile("Connections", amount(connections), "")}${
    tile(
      "Deferred",
      share(deferred, connections) || "-",
      `${amount(deferred)} connections`,
    )
  }${
    tile(
      "Networks stopped",
      amount(networks.stopped),
      `of ${amount(networks.deferred)} deferred`,
    )
  }${
    tile(
      "Median delay",
      duration(delay.median),
      `90 % up to ${duration(delay.p90)}`,
    )
  }</dl>
`;
}

function charts(report: Report): (Markup | string)[] {
  if (report.from === null) return [];
  const { unit, counts } = periods(report.byDay, BARS);
  const byDay = barChart({
    id: "by-day",
    title: `Connections by ${unit}`,
    first: unit,
    series: SERIES,
    bars: counts.map(({ label, deferred, passed }) => ({
      label,
      tick: unit === "day" ? label.slice(5) : label,
      values: [deferred, passed],
    })),
  });
  const byHour = barChart({
    id: "by-hour",
    title: "Connections by hour of day",
    first: "hour",
    series: SERIES,
    bars: report.byHour.map(({ hour, deferred, passed }) => ({
      label: String(hour).padStart(2, "0"),
      values: [deferred, passed],
    })),
  });
  return [counts.length > 1 ? byDay : "", byHour];
}

function delayChart(delay: Report["delay"]): Markup | string {
  if (delay.count === 0) return "";
  return barChart({
    id: "delay",
    title: "Delay from first deferral to acceptance",
    note: `${amount(delay.count)} ${
      delay.count === 1 ? "wait" : "waits"
    }: half took up to ${duration(delay.median)}, 90 % up to ${
      duration(delay.p90)
    }, the longest ${duration(delay.worst)}. Exact to the second.`,
    first: "delay",
    series: [{ name: "accepted", style: "p" }],
    bars: delay.histogram.map(({ below, count }, i) => ({
      label: delayLabel(delay.histogram, i),
      tick: below === null ? "more" : `< ${duration(below)}`,
      values: [count],
    })),
  });
}

/** What was done with all connections, and what became of the deferred. */
function outcomes(report: Report, retryWindow: number): Markup {
  const { connections, networks } = report;
  const inner = (name: string) => markup`<span class="in">${name}</span>`;
  const row = (name: string | Markup, count: number, of: number): Row => ({
    cells: [name, amount(count), share(count, of)],
  });
  const reasons = (counts: Record<string, number>) =>
    Object.entries(counts).map(([reason, count]) =>
      row(inner(reason), count, connections)
    );
  const done = table("What was done", ["", "connections", "share"], [
    row("deferred", report.deferred, connections),
    ...reasons(report.deferredByReason),
    row("passed", report.passed, connections),
    ...reasons(report.passedByReason),
  ]);
  const { deferred, accepted, stopped, once, open } = networks;
  const window = duration(retryWindow);
  const became = table(
    "What became of the deferred networks",
    ["", "networks", "share"],
    [
      row("accepted later", accepted, deferred),
      row("never accepted: stopped", stopped, deferred),
      row(inner("came only once"), once, deferred),
      row(`still open: log ends within ${window}`, open, deferred),
    ],
  );
  return markup`<div class="pair">${done}${became}</div>`;
}

/** Who stands out. */
function senders(report: Report): (Markup | string)[] {
  return [
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
      "Accepted after the most tries",
      ["network", "deferrals", "tries", "delay"],
      report.mostTries.map(
        ({ network, deferrals, tries, delay, helo, from }) => ({
          cells: [network, amount(deferrals), amount(tries), duration(delay)],
          example: [helo, from],
        }),
      ),
      "Senders that needed so many tries are candidates for the whitelist.",
    ),
    table(
      "Same mail again from other networks",
      ["domain", "moves", "networks", "accepted"],
      report.pools.map(
        ({ domain, moves, networks, accepted, helo, from }) => ({
          cells: [domain, amount(moves), atMost(networks), amount(accepted)],
          example: [helo, from],
        }),
      ),
      "The same sender and recipient, deferred in one network and then in " +
        "another: senders with large pools are candidates for the whitelist.",
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
