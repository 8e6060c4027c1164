/**
 * The report as plain text, at most 80 columns wide.
 *
 * @module
 */

import type { Advice } from "./advice.ts";
import { compare, periodName } from "./compare.ts";
import { delayBars, periods } from "./bars.ts";
import { amount, share } from "./format.ts";
import { type Count, sum } from "./load.ts";
import {
  ADVICE,
  caveats,
  outcomes,
  remarks,
  span,
  summary,
  troubleHeading,
  verdicts,
  waits,
} from "./story.ts";
import { cut, Page, WIDTH } from "./page.ts";
import type { Report } from "./report.ts";
import { hostTable, networkTable, poolTable } from "./text_tables.ts";

/** The length of the bar of new networks' outcomes, in characters. */
const LONG_BAR = 76;
/** The length of the bars of the delay. */
const DELAY_BAR = 44;
/** The length of the bars by day and hour. */
const LOAD_BAR = 20;
/** Rows of the table by day; more days are put together. */
const ROWS = 31;

/** What a bar is made of, by outcome. */
const FILL = { stopped: "#", delayed: "+", open: ".", atOnce: "=" } as const;

/**
 * The lines of the report.
 *
 * @param before the report on another period, to stand beside this one
 */
export function textReport(report: Report, before?: Report): string[] {
  const { delay } = report;
  const page = new Page();
  if (span(report) !== "") page.add(`From ${span(report)}`);
  troubles(page, report);
  page.gap();
  page.say(summary(report));
  newNetworks(page, report);
  for (const caveat of caveats(report)) {
    page.gap();
    page.say(caveat);
  }
  if (before !== undefined) comparison(page, before, report);

  page.heading("Delay of real mail, from first deferral to acceptance");
  page.say(waits(report), "  ");
  if (delay.count > 0) {
    const bars = delayBars(delay);
    const most = Math.max(...bars.map(({ count }) => count));
    for (const { label, count } of bars) {
      const bar = FILL.delayed.repeat(scaled(count, most, DELAY_BAR));
      page.add(`  ${label.padEnd(16)}${amount(count).padStart(12)}  ${bar}`);
    }
  }
  advice(page, report.advice);
  connections(page, report);
  load(page, report);
  hostTable(page, report);
  networkTable(
    page,
    "Came again in time: greylisting would have delayed these",
    report.wouldDelay,
  );
  networkTable(page, "Deferred most", report.mostDeferred);
  networkTable(page, "Let in after the most tries", report.mostTries);
  poolTable(page, report);
  if (report.whitelistedByRule.length > 0) {
    page.heading("Whitelisted by rule");
    for (const { rule, count } of report.whitelistedByRule) {
      page.add(`  ${amount(count).padStart(12)}  ${cut(rule, WIDTH - 16)}`);
    }
  }
  page.gap();
  for (const remark of remarks(report)) page.say(remark);
  return page.lines;
}

function troubles(page: Page, report: Report): void {
  const heading = troubleHeading(report);
  if (heading === undefined) return;
  page.heading(`${heading}:`);
  for (const { level, what, count } of report.troubles) {
    page.add(
      `  ${amount(count).padStart(8)}  ${level.padEnd(8)} ${
        cut(what, WIDTH - 21)
      }`,
    );
  }
}

function newNetworks(page: Page, report: Report): void {
  const { deferred, once, stopped } = report.networks;
  if (deferred === 0) return;
  const parts = outcomes(report);
  page.gap();
  // Each part is rounded so that the whole bar has its full length.
  let done = 0;
  let bar = "";
  for (const { outcome, count } of parts) {
    done += count;
    bar = bar.padEnd(Math.round(LONG_BAR * done / deferred), FILL[outcome]);
  }
  page.add(`  ${bar}`);
  for (const { outcome, name, count, note } of parts) {
    page.add(
      `  ${FILL[outcome]} ${name.padEnd(18)}${amount(count).padStart(11)}${
        share(count, deferred).padStart(9)
      } of new networks${note === "" ? "" : `, ${note}`}`,
    );
  }
  if (stopped > 0) {
    page.add(
      `    ${"came only once".padEnd(18)}${amount(once).padStart(11)}${
        share(once, stopped).padStart(9)
      } of the ${amount(stopped)}`,
    );
  }
}

function comparison(page: Page, before: Report, report: Report): void {
  page.heading("Two periods");
  page.say(`A: ${periodName(before)}`, "  ");
  page.say(`B: ${periodName(report)}`, "  ");
  page.add(`  ${"".padEnd(32)}${"A".padStart(20)}${"B".padStart(20)}`);
  for (const { name, values } of compare(before, report)) {
    const columns = values.map((value) => value.padStart(20)).join("");
    page.add(`  ${name.padEnd(32)}${columns}`);
  }
}

function advice(page: Page, all: Advice[]): void {
  if (all.length === 0) return;
  page.heading("What you can do");
  const looks = all.filter(({ kind }) => kind === "look");
  if (looks.length < all.length) page.say(ADVICE.note, "  ");
  for (const kind of ["pool", "whitelist"] as const) {
    const some = all.filter((advice) => advice.kind === kind);
    if (some.length === 0) continue;
    page.heading(`  ${ADVICE[kind]}:`);
    for (const { subject, why, paste } of some) {
      // A whitelist line has the reason in its comment.
      if (kind === "pool") page.say(`${subject}: ${why}`, "  ");
      page.add(`    ${paste}`);
    }
  }
  if (looks.length === 0) return;
  page.heading(`  ${ADVICE.look}:`);
  page.say(ADVICE.lookNote, "  ");
  for (const { subject, why } of looks) page.say(`${subject}: ${why}`, "  ");
}

function connections(page: Page, report: Report): void {
  const { connections } = report;
  page.heading("What was done                            share of connections");
  const figure = (label: string, value: number) => {
    page.add(
      `  ${label.padEnd(26)}${amount(value).padStart(13)}${
        share(value, connections).padStart(12)
      }`,
    );
  };
  figure("connections", connections);
  for (const { name, count, byReason } of verdicts(report)) {
    figure(name, count);
    for (const [reason, count] of Object.entries(byReason)) {
      figure(`  ${cut(reason, 22)}`, count);
    }
  }
}

function load(page: Page, report: Report): void {
  const { unit, counts } = periods(report.byDay, ROWS);
  if (counts.length === 0) return;
  const hours = report.byHour.map(({ hour, ...count }) => ({
    label: String(hour).padStart(2, "0"),
    ...count,
  }));
  bars(page, `Connections by ${unit}`, counts);
  bars(page, "Connections by hour of day", hours);
}

function bars(
  page: Page,
  title: string,
  counts: (Count & { label: string })[],
): void {
  const most = Math.max(...counts.map(sum));
  page.heading(title);
  page.add(
    `  ${"".padEnd(11)}  # stopped  + delayed     . open  = at once`,
  );
  for (const { label, ...count } of counts) {
    const { stopped, delayed, open, atOnce } = count;
    const whole = sum(count);
    const length = scaled(whole, most, LOAD_BAR);
    let done = 0;
    let bar = "";
    for (const [name, fill] of Object.entries(FILL)) {
      done += count[name as keyof Count];
      bar = bar.padEnd(Math.round(length * done / (whole || 1)), fill);
    }
    const columns = [stopped, delayed, open, atOnce]
      .map((value) => amount(value).padStart(11)).join("");
    page.add(`  ${label.padEnd(11)}${columns}  ${bar}`);
  }
}

/** The length of a bar: at least 1 for a value above 0. */
function scaled(value: number, most: number, longest: number): number {
  return value === 0 ? 0 : Math.max(1, Math.round(longest * value / most));
}
