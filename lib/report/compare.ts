/**
 * Two periods side by side, such as before and after a change of configuration.
 *
 * @module
 */

import { amount, duration, share } from "./format.ts";
import { span } from "./story.ts";
import type { Report } from "./report.ts";

/** One figure of both periods. */
export interface Comparison {
  name: string;
  values: [string, string];
}

/** The figures that can be compared although the periods differ in length. */
export function compare(first: Report, second: Report): Comparison[] {
  const row = (name: string, figure: (report: Report) => string) => ({
    name,
    values: [figure(first), figure(second)] as [string, string],
  });
  const ofNew = (part: "stopped" | "accepted" | "open") => (report: Report) =>
    share(report.networks[part], report.networks.deferred) || "-";
  return [
    row("connections", ({ connections }) => amount(connections)),
    row("connections a day", (report) => daily(report, report.connections)),
    row("let in at once, of connections", atOnce),
    row("turned away", ({ turnedAway }) => amount(turnedAway)),
    row("new networks", ({ networks }) => amount(networks.deferred)),
    row(
      "new networks a day",
      (report) => daily(report, report.networks.deferred),
    ),
    row("stopped, of new networks", ofNew("stopped")),
    row("let in later, of new networks", ofNew("accepted")),
    row("still open, of new networks", ofNew("open")),
    row("waits that ended", ({ delay }) => amount(delay.count)),
    row("half of them took up to", ({ delay }) => duration(delay.median)),
    row("90 % of them took up to", ({ delay }) => duration(delay.p90)),
    row("longest wait", ({ delay }) => duration(delay.worst)),
    row("errors", ({ errors }) => amount(errors)),
    row("warnings", ({ warnings }) => amount(warnings)),
  ];
}

/** The head of a period's column. */
export function periodName(report: Report): string {
  return span(report) || "no entry with a time";
}

function daily({ from, to }: Report, count: number): string {
  // A period of less than a day has no load a day.
  if (from === null || to === null || to - from < 86400) return "-";
  return amount(Math.round(count * 86400 / (to - from)));
}

function atOnce({ connections, passed, wouldDefer, delay }: Report): string {
  return share(passed + wouldDefer - delay.count, connections) || "-";
}
