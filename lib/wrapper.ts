/**
 * The way of one connection: which client is it, is it exempt, what does its entry
 * say; then become the next program, or tell the client to come back.
 *
 * @module
 */

import { checkClient, ClientGone, type Findings } from "./client_check.ts";
import type { ResolvedConfig } from "./config.ts";
import { type ConfigModule, resolve } from "./config/compiled.ts";
import {
  decideOnError,
  type Decision,
  DECISION_VARIABLE,
  deferLine,
  passLine,
  refusalFor,
  startFailureLine,
  variableFor,
  warnOfOpenDirectory,
} from "./decision.ts";
import { EXIT } from "./exit.ts";
import { reachesClient } from "./log/client_socket.ts";
import {
  type ClientFields,
  errorFields,
  formatLine,
  quote,
} from "./log/line.ts";
import { type Logger, openLog } from "./log/targets.ts";
import { openWrapperLog } from "./log/wrapper_log.ts";
import { greetingName } from "./smtp/control_files.ts";
import { converse, sayOnce } from "./smtp/conversation.ts";
import { Dialogue } from "./smtp/dialogue.ts";
import {
  bannerOf,
  dialogueOptions,
  LOCAL_PROBLEM,
  type Refusal,
} from "./smtp/refusal.ts";
import { cutText } from "./smtp/reply_text.ts";
import { isPruningDue } from "./store/bookmark.ts";
import type { Defer } from "./store/policy.ts";
import { pruneAfter } from "./store/prune_after.ts";
import { modeOf } from "./store/store.ts";
import { silence } from "./system/descriptor.ts";
import { DirectoryHangs } from "./store/checked_directory.ts";
import { variable } from "./system/environment.ts";
import { leaveConnection } from "./system/leave.ts";
import { exec } from "./system/process.ts";
import { runChild } from "./system/run_child.ts";
import { endAfter, ignoreFileSizeSignal } from "./system/signals.ts";
import { type Budget, within } from "./system/within.ts";

/** The program to become, and what the check finds out for it. */
interface Next extends Findings {
  readonly program: readonly string[];
  /** Restores stderr. */
  restore(): void;
  /** Writes the log lines that are kept; see log/wrapper_log.ts. */
  flush(): Promise<void>;
}

/**
 * Checks the connection on standard input and output, then becomes the program
 * or defers the client.
 *
 * @param program the program and its arguments
 * @param load gives the configuration module
 * @returns the exit code. If the client passes, this returns only if the program had
 * to run as a child, because a call hangs, or could not be started
 */
export async function wrap(
  program: readonly string[],
  load: () => Promise<ConfigModule>,
): Promise<number> {
  const stderrIsClient = reachesClient(2);
  // If V8 or the runtime dies, its last words are not for the client.
  const restore = stderrIsClient ? quiet() : () => {};
  ignoreFileSizeSignal();
  const next: Next = {
    program,
    client: {},
    variables: {},
    hangs: false,
    restore,
    flush: () => Promise.resolve(),
  };
  if (program.length === 0) {
    const log = openLog(DEFAULT_LOG, stderrIsClient);
    log.error(formatLine("defer", { what: quote("no PROGRAM to become") }));
    sayOnce(bannerOf(LOCAL_PROBLEM), LAST_REPLY);
    return EXIT.wrong;
  }
  // If the configuration module does not come to an end, or the check takes longer
  // than its limits allow, the end of this process tells the client to come back.
  endAfter(LAST_RESORT);
  let config: ResolvedConfig;
  try {
    config = await resolve(await load());
  } catch (error) {
    // What onError says is not known, so no client is turned away.
    const log = openLog(DEFAULT_LOG, stderrIsClient);
    log.error(formatLine("pass", errorFields(error)));
    return become(next, log, variableFor({}, undefined));
  }
  // On an overloaded machine a budget may last some four times as long, because only
  // time in which this process runs counts.
  const { storeTimeout } = config;
  endAfter(4 * storeTimeout + LAST_RESORT);
  const budget = { left: storeTimeout * 1000 };
  const log = openWrapperLog(config.log, stderrIsClient, budget);
  next.flush = async () => {
    if (await log.flush()) next.hangs = true;
  };
  try {
    return await decide(config, log.logger, budget, next);
  } finally {
    await next.flush();
    if (next.hangs) {
      // That call keeps this process: the client must not wait for it.
      leaveConnection();
      if (next.indexes) await within(next.indexes, INDEX_PATIENCE);
    }
  }
}

/** How the log is configured if the configuration cannot be used. */
const DEFAULT_LOG: ResolvedConfig["log"] = {
  target: "auto",
  level: "INFO",
  facility: "mail",
};

/**
 * How long the configuration module may take, and then a check besides its waits
 * for the base directory and the log file, in seconds.
 */
const LAST_RESORT = 60;

/**
 * How long this process stays for indexes of whitelist files that are still being
 * written, in milliseconds. Without it, each connection would begin anew.
 */
const INDEX_PATIENCE = 60_000;

/** How long a client may take to read a last reply, in seconds. */
const LAST_REPLY = 10;

function quiet(): () => void {
  try {
    return silence(2);
  } catch {
    return () => {};
  }
}

async function decide(
  config: ResolvedConfig,
  log: Logger,
  budget: Budget,
  next: Next,
): Promise<number> {
  const { client } = next;
  let decision: Decision;
  try {
    // Fills in what `next` says of the client, also if it throws.
    decision = await checkClient(config, log, budget, next);
  } catch (error) {
    if (error instanceof ClientGone) {
      log.debug(formatLine("gone", errorFields(error)));
      return EXIT.done;
    }
    const isLogged = error instanceof DirectoryHangs && error.isLogged;
    const action = decideOnError(config, error, client, log, isLogged);
    if (action === "pass") {
      return become(next, log, variableFor(client, undefined));
    }
    await refuse(config, next, log, LOCAL_PROBLEM);
    return EXIT.done;
  }
  const { baseDir, prune: { every } } = config;
  // The base directory has just answered.
  if (decision.reason === "new" && !next.hangs) {
    warnOfOpenDirectory(baseDir, modeOf(baseDir), log);
  }
  if (decision.action === "pass" || config.mode === "observe") {
    log.info(passLine(client, decision));
    return become(next, log, variableFor(client, decision));
  }
  // After the dialogue the directory may hang, and a look would keep this process as
  // long as it does.
  const isDue = !next.hangs && isPruningDue(baseDir, every);
  try {
    await defer(config, log, next, client, decision);
  } catch (error) {
    // 421 is right at any point of a session (RFC 5321 section 4.2.2).
    log.error(formatLine("defer", { ...client, ...errorFields(error) }));
    return giveUp(next);
  }
  // The line about the client must not wait for the end of the pruning.
  await next.flush();
  if (!isDue || next.hangs) return EXIT.done;
  try {
    await pruneAfter(config, config.storeTimeout * 1000);
  } catch (error) {
    log.warn(formatLine("prune", errorFields(error)));
  }
  return EXIT.done;
}

async function defer(
  config: ResolvedConfig,
  log: Logger,
  next: Next,
  client: ClientFields,
  verdict: Defer,
): Promise<void> {
  const refusal = refusalFor(verdict, config, client, log);
  const logDeferral = (dialogue?: Dialogue) =>
    log.info(deferLine(client, verdict, PROXY_ADVICE, dialogue));
  await refuse(config, next, log, refusal, logDeferral);
}

/** @param logDeferral called with the dialogue, if there was one */
async function refuse(
  { deferral, controlDir }: ResolvedConfig,
  next: Next,
  log: Logger,
  refusal: Refusal,
  logDeferral: (dialogue?: Dialogue) => void = () => {},
): Promise<void> {
  const { at, idleTimeout } = deferral;
  const holdDialogue = () => {
    const hostname = greetingName(controlDir, variable);
    const dialogue = new Dialogue(dialogueOptions(refusal, hostname));
    converse(dialogue, deferral);
    return dialogue;
  };
  // The dialogue may take minutes.
  await next.flush();
  // execve(2) would wait for the thread that hangs.
  if (at === "rblsmtpd" && !next.hangs) {
    logDeferral();
    await next.flush();
    if (!next.hangs) {
      const error = becomeRblsmtpd(next, refusal, idleTimeout);
      log.error(formatLine("rblsmtpd", errorFields(error)));
      await next.flush();
    }
    holdDialogue();
  } else if (at === "banner") {
    logDeferral();
    await next.flush();
    sayOnce(bannerOf(refusal), idleTimeout);
  } else {
    logDeferral(holdDialogue());
  }
}

/** What is expected of a load balancer that sends a header. */
const PROXY_ADVICE =
  "expected proxy-server in front, or serve with serve.proxy";

/** @returns only if rblsmtpd could not be started */
function becomeRblsmtpd(next: Next, refusal: Refusal, idleTimeout: number) {
  // Stderr is not restored: rblsmtpd writes to it what is not for a client.
  // If RBLSMTPD is set, rblsmtpd runs no program. If ever it did, `false` would
  // let no mail in.
  const seconds = String(Math.ceil(idleTimeout));
  return exec(["rblsmtpd", "-t", seconds, "false"], {
    ...next.variables,
    // A hyphen in front would make it 553 (rblsmtpd(1)); the status code does not.
    RBLSMTPD: `${refusal.status} ${cutText(refusal.text)}`,
  });
}

/** @param decision what PROGRAM is told in its environment */
async function become(
  next: Next,
  log: Logger,
  decision: string,
): Promise<number> {
  const { program, restore } = next;
  const variables = { ...next.variables, [DECISION_VARIABLE]: decision };
  await next.flush();
  restore();
  let error: Error;
  if (next.hangs) {
    try {
      const { code, signal } = await runChild(program, variables);
      // As shells have it, since a signal cannot be handed on.
      return code ?? 128 + signal!;
    } catch (failure) {
      error = failure as Error;
    }
  } else {
    error = exec(program, variables);
  }
  log.error(startFailureLine(next.client, program[0], error));
  return giveUp(next);
}

/** Tells the client to come back; the log has the reason. */
async function giveUp(next: Next): Promise<number> {
  await next.flush();
  sayOnce(bannerOf(LOCAL_PROBLEM), LAST_REPLY);
  return EXIT.temporary;
}
