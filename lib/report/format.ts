/**
 * Numbers, times and periods in the words of the report.
 *
 * @module
 */

import type { Count, Report } from "./tally.ts";

/** `1,234,567`. */
export function amount(value: number): string {
  return value.toLocaleString("en-US");
}

/** The networks of a pool, of which no more than 1,000 are counted. */
export function atMost(networks: number): string {
  return amount(networks) + (networks >= 1000 ? "+" : "");
}

/** `79.6 %`, empty where there is nothing to have a share of. */
export function share(part: number, whole: number): string {
  return whole === 0 ? "" : `${(100 * part / whole).toFixed(1)} %`;
}

/** Seconds as `12 s`, `6 min 12 s`, `3 h 5 min` or `2 d 4 h`; `-` for null. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "-";
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]] as const;
  const first = Math.max(0, units.findIndex(([, size]) => seconds >= size));
  if (seconds < 1) return "0 s";
  const words: string[] = [];
  let rest = Math.floor(seconds);
  for (const [unit, size] of units.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    if (count > 0) words.push(`${count} ${unit}`);
    rest -= count * size;
  }
  return words.join(" ");
}

/** Seconds since 1970 as local time to the minute; empty for null. */
export function moment(time: number | null): string {
  if (time === null) return "";
  const date = new Date(time * 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-` +
    `${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** The words for a bar of the delay histogram. */
export function delayLabel(
  histogram: Report["delay"]["histogram"],
  i: number,
): string {
  const { below } = histogram[i];
  if (below !== null) return `under ${duration(below)}`;
  return `${duration(histogram[i - 1].below)} or more`;
}

/** Days, weeks, months or years, and what happened in each. */
export interface Periods {
  unit: "day" | "week" | "month" | "year";
  counts: (Count & { label: string })[];
}

const DAY = 86_400_000;

/**
 * The days with no gap between them, put together into weeks (named by their
 * Monday), months or years where there would be more than `most`.
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
      counts.set(label, { label, deferred: 0, passed: 0 });
    }
    if (counts.size > most && unit !== "year") continue;
    for (const { day, deferred, passed } of byDay) {
      const count = counts.get(labelOf(Date.parse(day)))!;
      count.deferred += deferred;
      count.passed += passed;
    }
    return { unit: unit as Periods["unit"], counts: [...counts.values()] };
  }
  throw new Error("unreachable");
}

function iso(day: number): string {
  return new Date(day).toISOString().slice(0, 10);
}

/** What the reader should know about how the figures came to be. */
export function remarks(report: Report): string[] {
  const { lines, networks, poolsForgotten, warnings, errors } = report;
  const said: string[] = [];
  const lost = amount(lines.unreadable);
  if (lines.unreadable > 0) {
    said.push(`${lost} of ${amount(lines.read)} lines could not be read.`);
  }
  if (lines.foreign > 0) {
    said.push(`${amount(lines.foreign)} lines are of other programs.`);
  }
  if (errors + warnings > 0) {
    said.push(
      `The log holds ${amount(errors)} errors and ${
        amount(warnings)
      } warnings.`,
    );
  }
  if (report.connections > 0 && report.from === null) {
    said.push("No line has a time: nothing is said by hour or day.");
  }
  if (networks.deferralsBeyondLimit > 0) {
    said.push(
      `${amount(networks.deferralsBeyondLimit)} deferrals were of networks ` +
        `beyond the ${
          amount(networks.limit)
        } that are kept apart; they count ` +
        "as connections only.",
    );
  }
  if (poolsForgotten > 0) {
    said.push(
      `${
        amount(poolsForgotten)
      } pools with few moves were forgotten for want ` +
        "of room.",
    );
  }
  return said;
}
