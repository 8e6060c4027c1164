/**
 * What came of a connection, in words for the log and for the client. The
 * wrapper and the listener say the same.
 *
 * @module
 */

import { defaultMessage, type ResolvedConfig } from "./config.ts";
import type { Logger } from "./log/targets.ts";
import { escapeValue, formatLine, quote } from "./log/line.ts";
import { reasonOf } from "./reason.ts";
import type { Defer, Pass } from "./store/policy.ts";
import type { Refusal } from "./smtp/refusal.ts";
import { stateOf } from "./system/statx.ts";

/** What is known about the client, as the log has it. */
export interface Who {
  ip?: string;
  net?: string;
}

/** A caller that a whitelist exempts. */
export interface Exempt {
  readonly action: "pass";
  readonly reason: "whitelisted";
  readonly rule: string;
}

/** The fields of a line about a client that passes. */
export function fieldsOf(verdict: Pass | Exempt) {
  return verdict.reason === "whitelisted"
    ? { reason: verdict.reason, rule: escapeValue(verdict.rule) }
    : { reason: verdict.reason, age: verdict.age, accepted: verdict.accepted };
}

/** The fields of a line about something that failed. */
export function trouble(error: unknown) {
  return { reason: "error", what: quote(reasonOf(error)) };
}

/** What a client is told where the check itself failed. */
export const PROBLEM: Refusal = {
  status: "4.3.0",
  text: "Temporary local problem, please try again later",
};

/** What a deferred client is told, in the words of the configuration. */
export function refusalOf(
  config: ResolvedConfig,
  log: Logger,
  who: Who,
  { reason, wait }: Defer,
): Refusal {
  const deferral = { seconds: wait, reason, ip: who.ip ?? "" };
  try {
    const text = config.deferral.message(deferral);
    if (typeof text !== "string") throw new Error("expected a text");
    return { status: "4.7.1", text };
  } catch (error) {
    log.warn(formatLine("message", trouble(error)));
    return { status: "4.7.1", text: defaultMessage(deferral) };
  }
}

/**
 * Says so where anybody can write to the base directory: anybody can let anybody
 * in then. Never throws.
 */
export function warnOfOpenDirectory(dir: string, log: Logger): void {
  try {
    const state = stateOf(dir, "follow");
    if (state === undefined || (state.mode & 0o002) === 0) return;
  } catch {
    // The entry could be made: that counts, and the client is to hear the same.
    return;
  }
  const what = `baseDir ${dir}: anybody can write there: expected mode 0700`;
  log.error(formatLine("baseDir", { what: quote(what) }));
}
