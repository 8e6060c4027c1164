/**
 * What the check of a connection leads to. The wrapper and the listener do all of
 * this alike.
 *
 * @module
 */

import type { ResolvedConfig } from "./config.ts";
import {
  type ClientFields,
  errorFields,
  formatLine,
  quote,
} from "./log/line.ts";
import type { Logger } from "./log/targets.ts";
import { deferralRefusal, type Refusal } from "./smtp/refusal.ts";
import type { Defer } from "./store/policy.ts";
import { isWritableByAll } from "./store/store.ts";

/** The decision for a client that a whitelist exempts. */
export interface Exempt {
  readonly action: "pass";
  readonly reason: "whitelisted";
  /** The rule as the log names it. */
  readonly rule: string;
}

/**
 * Decides about a client whose check has failed, and logs that.
 *
 * @param onError what the configuration says
 */
export function decideOnError(
  onError: ResolvedConfig["onError"],
  error: unknown,
  client: ClientFields,
  log: Logger,
): "pass" | "defer" {
  const action = onError === "accept" ? "pass" : "defer";
  log.error(formatLine(action, { ...client, ...errorFields(error) }));
  return action;
}

/** What a deferred client is told. */
export function refusalFor(
  { reason, wait }: Defer,
  { deferral }: ResolvedConfig,
  { ip = "" }: ClientFields,
  log: Logger,
): Refusal {
  return deferralRefusal(
    // Called as a method: a configuration may write it as one.
    (given) => deferral.message(given),
    { seconds: wait, reason, ip },
    (error) => log.warn(formatLine("message", errorFields(error))),
  );
}

/**
 * Warns if every user can write to the base directory: each could let any client
 * in then. Never throws.
 */
export function warnOfOpenDirectory(dir: string, log: Logger): void {
  if (!isWritableByAll(dir)) return;
  const what = `baseDir ${dir}: anybody can write there: expected mode 0700`;
  log.error(formatLine("baseDir", { what: quote(what) }));
}
