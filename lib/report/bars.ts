/**
 * What the bars of a report stand for: delays, and the load of days or more.
 *
 * @module
 */

import { duration } from "./format.ts";
import { type Count, noConnections } from "./load.ts";
import type { Report } from "./report.ts";

/** One bar of the delay histogram. */
export interface DelayBar {
  label: string;
  /** Seconds, null in the last bar of all. */
  below: number | null;
  count: number;
}

/** The delay histogram without the empty bars at both ends. */
export function delayBars({ histogram }: Report["delay"]): DelayBar[] {
  const bars = histogram.map(({ below, count }, i) => ({
    label: below === null
      ? `${duration(histogram[i - 1].below)} or more`
      : `under ${duration(below)}`,
    below,
    count,
  }));
  const full = (bar: DelayBar) => bar.count > 0;
  return bars.slice(bars.findIndex(full), bars.findLastIndex(full) + 1);
}

/** Days, weeks, months or years, and the connections in each. */
export interface Periods {
  unit: "day" | "week" | "month" | "year";
  counts: (Count & { label: string })[];
}

const DAY = 86_400_000;

/**
 * The days with no gap between them; weeks (named by their Monday), months or
 * years if there are more than `most` of the smaller unit.
 */
export function periods(byDay: Report["byDay"], most: number): Periods {
  const units = {
    day: (day: number) => iso(day),
    // 1970-01-01 was a Thursday.
    week: (day: number) => iso(day - (day / DAY + 3) % 7 * DAY),
    month: (day: number) => iso(day).slice(0, 7),
    year: (day: number) => iso(day).slice(0, 4),
  };
  if (byDay.length === 0) return { unit: "day", counts: [] };
  const first = Date.parse(byDay[0].day);
  const last = Date.parse(byDay.at(-1)!.day);
  for (const [unit, labelOf] of Object.entries(units)) {
    const counts = new Map<string, Count & { label: string }>();
    for (let day = first; day <= last; day += DAY) {
      const label = labelOf(day);
      if (counts.has(label)) continue;
      counts.set(label, { label, ...noConnections() });
    }
    if (counts.size > most && unit !== "year") continue;
    for (const { day, stopped, delayed, open, atOnce } of byDay) {
      const count = counts.get(labelOf(Date.parse(day)))!;
      count.stopped += stopped;
      count.delayed += delayed;
      count.open += open;
      count.atOnce += atOnce;
    }
    return { unit: unit as Periods["unit"], counts: [...counts.values()] };
  }
  throw new Error("unreachable");
}

function iso(day: number): string {
  return new Date(day).toISOString().slice(0, 10);
}
