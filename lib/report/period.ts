/**
 * Periods of time, as `--since`, `--until` and `--compare` give them.
 *
 * @module
 */

import { parseDuration } from "../config/fields.ts";

/** From `since` on and before `until`, in seconds since 1970. */
export interface Period {
  readonly since: number;
  readonly until: number;
}

/** Whether a time is in the period; an unknown time is in none. */
export function includes(
  { since, until }: Period,
  time: number | undefined,
): boolean {
  return time !== undefined && time >= since && time < until;
}

/** What a time may look like, for messages. */
export const TIMES =
  '2026-11-23, "2026-11-23 19:00", 2026-11-23T19:00:00Z or 7d (ago)';

/**
 * Reads a time: a day, a day with a time of day (local time unless a zone
 * follows), or a duration before now.
 *
 * @param now seconds since 1970
 * @returns seconds since 1970, or undefined if the text is no time
 */
export function parseTime(text: string, now: number): number | undefined {
  const ago = parseDuration(text);
  if (ago !== undefined) return now - ago;
  const match =
    /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?))?(Z|[+-]\d\d:?\d\d)?$/
      .exec(text);
  if (match === null) return undefined;
  const [, year, month, day, clock = "00:00", zone = ""] = match;
  if (zone !== "" && match[4] === undefined) return undefined;
  const time = Date.parse(
    `${year}-${month}-${day}T${clock}${zone.replace(/(\d\d)(\d\d)$/, "$1:$2")}`,
  );
  // Date takes 31 February for 3 March.
  const days = new Date(Number(year), Number(month), 0).getDate();
  return isNaN(time) || Number(day) > days ? undefined : time / 1000;
}

/**
 * Reads `FROM..TO`; either may be left out.
 *
 * @returns undefined if the text is no period or the period is empty
 */
export function parsePeriod(text: string, now: number): Period | undefined {
  const [from, to, ...rest] = text.split("..");
  if (to === undefined || rest.length > 0 || from + to === "") return undefined;
  const since = from === "" ? -Infinity : parseTime(from, now);
  const until = to === "" ? Infinity : parseTime(to, now);
  if (since === undefined || until === undefined) return undefined;
  return since < until ? { since, until } : undefined;
}
