/**
 * `greylist check`: timeouts that are valid and probably a mistake, such as a
 * number of hours, days or milliseconds, which counts as seconds.
 *
 * @module
 */

import type { ResolvedConfig } from "../../config.ts";
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

/** The timeouts of a configuration. */
type Timed = Pick<ResolvedConfig, "timeouts" | "storeTimeout" | "deferral">;

/** The findings about timeouts, which are in seconds. */
export function checkTimeouts(
  { timeouts: { delay, retryWindow, expireAfter }, storeTimeout, deferral }:
    Timed,
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
  // A longer one is probably a number of milliseconds.
  const longest: readonly [string, number, number, string][] = [
    [
      "timeouts.delay",
      delay,
      3600,
      "mail from a new client arrives no sooner than that",
    ],
    [
      "storeTimeout",
      storeTimeout,
      60,
      "each client waits that long while baseDir hangs",
    ],
    [
      "deferral.idleTimeout",
      deferral.idleTimeout,
      600,
      "a deferred client that is silent stays connected that long",
    ],
    [
      "deferral.sessionTimeout",
      deferral.sessionTimeout,
      3600,
      "a deferred client may stay connected that long",
    ],
  ];
  for (const [field, seconds, most, effect] of longest) {
    if (seconds <= most) continue;
    findings.push(warn(
      `${field} ${period(seconds)}: ${effect}: is that meant? ` +
        `(at most ${period(most)} is usual)`,
    ));
  }
  if (findings.length > 0) return findings;
  return [ok(
    `timeouts: a new client is let in from ${period(delay)} to ` +
      `${period(retryWindow)} after its first mail, and known for ` +
      period(expireAfter),
  )];
}
