/**
 * `greylist check`: timeouts that are valid and probably a mistake, such as a
 * number of seconds where hours or days were meant.
 *
 * @module
 */

import type { Timeouts } from "../../store/policy.ts";
import { period } from "../format.ts";
import { type Finding, ok, warn } from "./finding.ts";

/**
 * The shortest time between delay and retryWindow, in seconds. RFC 5321 section
 * 4.5.4.1 names two attempts in the first hour, and then one every two or three
 * hours. If both early attempts come before delay is over, the next one has to
 * come before the end of retryWindow.
 */
const SHORTEST_WINDOW = 4 * 3600;

/** The shortest default of RFC 6647 section 5 for expireAfter, in seconds. */
const SHORTEST_MEMORY = 7 * 86400;

/** The findings about `timeouts`, which are in seconds. */
export function checkTimeouts(
  { delay, retryWindow, expireAfter }: Timeouts,
): Finding[] {
  const findings: Finding[] = [];
  const window = retryWindow - delay;
  if (window < SHORTEST_WINDOW) {
    findings.push(warn(
      `timeouts.retryWindow ${period(retryWindow)}: a new client has only ` +
        `${period(window)} after timeouts.delay to come back, ` +
        "and many servers retry every two or three hours: is that meant? " +
        "(at least 4 h are safe)",
    ));
  }
  if (expireAfter < SHORTEST_MEMORY) {
    findings.push(warn(
      `timeouts.expireAfter ${period(expireAfter)}: ` +
        "a known client that sends less often is deferred each time: " +
        "is that meant? (at least 7 d are safe)",
    ));
  }
  if (findings.length > 0) return findings;
  return [ok(
    `timeouts: a new client is let in from ${period(delay)} to ` +
      `${period(retryWindow)} after its first mail, and known for ` +
      period(expireAfter),
  )];
}
