/**
 * The report as one page that needs nothing else: no script, no request.
 *
 * @module
 */

import type { Advice } from "./advice.ts";
import { barChart, type Series, shareBar } from "./chart.ts";
import { compare, periodName } from "./compare.ts";
import { delayBars, periods } from "./bars.ts";
import { amount, duration, moment, share, tied } from "./format.ts";
import type { Count } from "./load.ts";
import { type Markup, markup } from "./markup.ts";
import {
  ADVICE,
  caveats,
  isObserved,
  outcomes,
  remarks,
  span,
  summary,
  troubleHeading,
  waits,
} from "./story.ts";
import { STYLE } from "./style.ts";
import { connectionTable, hostTable, senders } from "./html_tables.ts";
import { plainTable, table } from "./table.ts";
import type { Report } from "./report.ts";

/** What every page begins with. */
export const PAGE_START = "<!DOCTYPE html>";

/** Bars in the chart by day; more days are put together. */
const BARS = 62;

/** What the load is made of, from the bottom. */
const LOAD: (Series & { style: keyof Count })[] = [
  { name: "let in at once", style: "atOnce" },
  { name: "delayed", style: "delayed" },
  { name: "stopped", style: "stopped" },
  { name: "still open", style: "open" },
];

/**
 * The page.
 *
 * @param made when the report is made, in seconds since 1970
 * @param before the report on another period, to stand beside this one
 */
export function htmlReport(
  report: Report,
  made: number,
  before?: Report,
): string {
  const sections = [
    troubles(report),
    story(report),
    before === undefined ? "" : comparison(before, report),
    delayChart(report),
    advice(report.advice),
    ...load(report),
    hostTable(report),
    connectionTable(report),
    ...senders(report),
  ];
  const notes = [
    ...remarks(report),
    `Made by greylist on ${moment(made)}. Times are local.`,
  ];
  const title = `Greylisting report ${moment(report.to)}`.trim();
  const page = markup`${{ markup: PAGE_START }}
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
<p>${tied(span(report))}</p>
</header>
<main>
${sections}
</main>
<footer>
${paragraphs(notes)}</footer>
</body>
</html>
`;
  return page.markup;
}

/** If a value ever gets into the page as markup, this keeps it from doing harm. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

function paragraphs(texts: string[]): Markup[] {
  return texts.map((text) => markup`<p>${tied(text)}</p>\n`);
}

function troubles(report: Report): Markup | string {
  const heading = troubleHeading(report);
  if (heading === undefined) return "";
  const columns = ["message", "level", "count"];
  const rows = report.troubles.map(({ level, what, count }) => ({
    cells: [what, level, amount(count)],
  }));
  return markup`<div class="troubles">${table(heading, columns, rows)}</div>`;
}

function story(report: Report): Markup {
  const { deferred, stopped, once } = report.networks;
  const parts = outcomes(report).map(({ outcome, name, count, note }) => ({
    name,
    count,
    style: outcome,
    note: outcome === "stopped" && stopped > 0
      ? `${share(once, stopped)} of these came only once`
      : note,
  }));
  const whole = `${amount(deferred)} new networks`;
  const bar = deferred === 0 ? "" : shareBar("became", whole, parts);
  return markup`<section>
<p class="story">${tied(summary(report))}</p>
${bar}${paragraphs(caveats(report))}</section>
`;
}

function comparison(before: Report, report: Report): Markup {
  const rows = compare(before, report).map(({ name, values }) => ({
    cells: [name, ...values.map(tied)],
  }));
  return markup`<section class="periods">
<h2>Two periods</h2>
${
    paragraphs([
      `A: ${periodName(before)}. ${summary(before)}`,
      `B: ${periodName(report)}. ${summary(report)}`,
    ])
  }${plainTable(["", "A", "B"], rows)}
</section>
`;
}

function delayChart(report: Report): Markup | string {
  const { delay } = report;
  const title = "Delay of real mail, from first deferral to acceptance";
  if (delay.count === 0) {
    return markup`<section><h2>${title}</h2>
<p>${waits(report)}</p></section>
`;
  }
  return barChart({
    id: "delay",
    title,
    note: waits(report),
    first: "delay",
    series: [{ name: "waits", style: "delayed" }],
    bars: delayBars(delay).map(({ label, below, count }) => ({
      label,
      tick: below === null ? "more" : `< ${duration(below)}`,
      values: [count],
    })),
  });
}

function advice(all: Advice[]): Markup | string {
  if (all.length === 0) return "";
  const pools = all.filter(({ kind }) => kind === "pool");
  const looks = all.filter(({ kind }) => kind === "look");
  const lines = all.filter(({ kind }) => kind === "whitelist")
    .map(({ paste }) => `${paste}\n`);
  const lists = [
    pools.length === 0 ? "" : markup`<h3>${ADVICE.pool}</h3>
${
      pools.map(({ subject, why, paste }) =>
        markup`<p><strong>${subject}</strong>: ${tied(why)}</p>
<pre>${paste}</pre>
`
      )
    }`,
    lines.length === 0 ? "" : markup`<h3>${ADVICE.whitelist}</h3>
<pre>${lines}</pre>
`,
    looks.length === 0 ? "" : markup`<h3>${ADVICE.look}</h3>
<p>${tied(ADVICE.lookNote)}</p>
${
      looks.map(({ subject, why }) =>
        markup`<p><strong>${subject}</strong>: ${tied(why)}</p>
`
      )
    }`,
  ];
  const note = looks.length < all.length ? paragraphs([ADVICE.note]) : "";
  return markup`<section>
<h2>What you can do</h2>
${note}${lists}</section>
`;
}

function load(report: Report): (Markup | string)[] {
  if (report.from === null) return [];
  const { unit, counts } = periods(report.byDay, BARS);
  const values = (count: Count) => LOAD.map(({ style }) => count[style]);
  const byDay = barChart({
    id: "by-day",
    title: `Connections by ${unit}`,
    note: isObserved(report)
      ? "Coloured by what would have become of the client's network."
      : "Coloured by what became of the client's network.",
    first: unit,
    series: LOAD,
    bars: counts.map(({ label, ...count }) => ({
      label,
      tick: unit === "day" ? label.slice(5) : label,
      values: values(count),
    })),
  });
  const byHour = barChart({
    id: "by-hour",
    title: "Connections by hour of day",
    first: "hour",
    series: LOAD,
    bars: report.byHour.map(({ hour, ...count }) => ({
      label: String(hour).padStart(2, "0"),
      values: values(count),
    })),
  });
  return [counts.length > 1 ? byDay : "", byHour];
}
