/**
 * Times as text, for the output of the commands.
 *
 * @module
 */

import { timestamp } from "../report/format.ts";

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]] as const;

/** A period in seconds as one number with a unit: `40 s`, `3 h`, `36 d`. */
export function period(seconds: number): string {
  // The largest unit of which there are two or more: 90 min, and not 1 h.
  const unit = UNITS.find(([, size]) => seconds >= 2 * size) ?? UNITS[3];
  return `${Math.floor(seconds / unit[1])} ${unit[0]}`;
}

/** A time relative to now, both in seconds since 1970: `3 h ago`, `in 40 s`. */
export function relative(time: number, now: number): string {
  return time > now
    ? `in ${period(Math.ceil(time - now))}`
    : `${period(now - time)} ago`;
}

/** A time, and how long ago it was: `2026-11-23 19:04:05 (3 h ago)`. */
export function timeAndAge(time: number, now: number): string {
  return `${timestamp(time)} (${relative(time, now)})`;
}
