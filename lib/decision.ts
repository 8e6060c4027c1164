/**
 * What the check of a connection leads to: the decision if the check fails, log
 * lines, PROGRAM's variable and the refusal. The wrapper and `serve` share it.
 *
 * @module
 */

import type { ResolvedConfig } from "./config.ts";
import {
  type ClientFields,
  envelopeFields,
  errorFields,
  formatLine,
  passFields,
  quote,
} from "./log/line.ts";
import type { Logger } from "./log/targets.ts";
import type { Dialogue } from "./smtp/dialogue.ts";
import { deferralRefusal, type Refusal } from "./smtp/refusal.ts";
import type { Defer, Verdict } from "./store/policy.ts";
import type { Exempt, Unsuspected } from "./who_waits.ts";

/** Every decision that a check can end with. */
export type Decision = Exempt | Unsuspected | Verdict;

/**
 * Decides about a client whose check has failed, and logs that.
 *
 * @param isLogged whether the log has an ERROR about the same failure already; this
 * line is INFO then
 */
export function decideOnError(
  { onError, mode }: Pick<ResolvedConfig, "onError" | "mode">,
  error: unknown,
  client: ClientFields,
  log: Logger,
  isLogged = false,
): "pass" | "defer" {
  const observed = onError === "defer" && mode === "observe";
  const verb = onError === "accept"
    ? "pass"
    : observed
    ? "would-defer"
    : "defer";
  const line = formatLine(verb, { ...client, ...errorFields(error) });
  if (isLogged) log.info(line);
  else log.error(line);
  return verb === "defer" ? "defer" : "pass";
}

/**
 * The log line about a client that is let in.
 *
 * @param decision a deferral if the configuration only observes
 */
export function passLine(
  client: ClientFields,
  decision: Decision,
): string {
  if (decision.action === "pass") {
    return formatLine("pass", { ...client, ...passFields(decision) });
  }
  const { reason, wait } = decision;
  return formatLine("would-defer", { ...client, reason, wait });
}

/**
 * The log line about a client that is deferred.
 *
 * @param proxyAdvice what the site can do about a PROXY header
 * @param dialogue what was said, undefined without a dialogue
 */
export function deferLine(
  client: ClientFields,
  { reason, wait }: Defer,
  proxyAdvice: string,
  dialogue?: Pick<Dialogue, "envelope" | "hasProxyHeader">,
): string {
  // Any client can send a header, so that is no warning, and costs no further line.
  const said = dialogue?.hasProxyHeader
    ? { what: quote(`a PROXY header or an empty line: ${proxyAdvice}`) }
    : envelopeFields(dialogue?.envelope ?? {});
  return formatLine("defer", { ...client, reason, wait, ...said });
}

/**
 * The log line about a client whose PROGRAM could not be started. Not `ip`: the client
 * has its line already, and `greylist report` does not count a line with `client`.
 */
export function startFailureLine(
  { ip = "unknown" }: ClientFields,
  program: string,
  { message }: Error,
): string {
  const what = quote(`${program}: ${message}`);
  return formatLine("defer", { reason: "error", client: ip, what });
}

/** The environment variable that tells PROGRAM what was decided. */
export const DECISION_VARIABLE = "GREYLIST";

/**
 * The value of {@linkcode DECISION_VARIABLE}: a word, then the fields of the log
 * line, such as `known age=312 accepted=14 net=192.0.2.0/24`.
 *
 * @param decision undefined if the check has failed
 */
export function variableFor(
  { net }: ClientFields,
  decision: Decision | undefined,
): string {
  if (decision === undefined) return "error";
  if (decision.action === "defer") {
    const { reason, wait } = decision;
    return formatLine("would-defer", { reason, wait, net });
  }
  const { reason, ...fields } = passFields(decision);
  return formatLine(reason, { ...fields, net });
}

/**
 * The refusal for a deferred client. If `deferral.message` throws, that is logged
 * as a warning and the refusal has the default text.
 */
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
 * Logs an ERROR if users besides the owner can write to the base directory: each
 * of them could make entries that let any client in.
 *
 * @param mode the permissions of the base directory, undefined if they are not
 * known
 */
export function warnOfOpenDirectory(
  dir: string,
  mode: number | undefined,
  log: Logger,
): void {
  if (mode === undefined || (mode & 0o022) === 0) return;
  const who = (mode & 0o002) !== 0 ? "anybody" : "its group";
  const what = `baseDir ${dir}: ${who} can write there: expected mode 0700`;
  log.error(formatLine("baseDir", { what: quote(what) }));
}
