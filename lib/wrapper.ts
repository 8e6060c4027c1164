/**
 * The way of one connection: who is it, is it exempt, what does its entry say;
 * then become the next program, or tell the client to come back.
 *
 * @module
 */

import {
  type Address,
  clientNetwork,
  formatAddress,
  formatNetwork,
  type Network,
} from "./address.ts";
import { type ConfigModule, resolve } from "./compiled.ts";
import type { ResolvedConfig } from "./config.ts";
import { isPruningDue } from "./store/bookmark.ts";
import { variable } from "./system/environment.ts";
import { EXIT } from "./exit.ts";
import { silence } from "./system/descriptor.ts";
import { exec } from "./system/process.ts";
import { ignoreFileSizeSignal } from "./system/signals.ts";
import { localOf, peerOf } from "./system/socket.ts";
import { type Logger, openLog, reachesClient } from "./log/targets.ts";
import { formatLine, quote } from "./log/line.ts";
import {
  type Exempt,
  fieldsOf,
  PROBLEM,
  refusalOf,
  trouble,
  warnOfOpenDirectory,
  type Who,
} from "./outcome.ts";
import { findHost, findLocalPort, findPeer } from "./peer.ts";
import type { Defer, Pass } from "./store/policy.ts";
import {
  type Refusal,
  refuseInBanner,
  refuseRecipients,
  type Told,
} from "./smtp/refusal.ts";
import { cutText } from "./smtp/reply_text.ts";
import { Store } from "./store/store.ts";
import { findExemption } from "./whitelist/exemption.ts";
import { searchWhitelist } from "./whitelist/cache.ts";

/** The program to become, and what it finds in its environment besides. */
interface Next {
  readonly program: readonly string[];
  readonly variables: Record<string, string>;
  /** Undoes what was done to the descriptors. */
  restore(): void;
}

/**
 * Checks the connection on standard input and output, then becomes the program
 * or defers the client.
 *
 * @param program the program and its arguments
 * @param load gives the configuration module
 * @returns the exit code; where the client passes it does not return
 */
export async function wrap(
  program: readonly string[],
  load: () => Promise<ConfigModule>,
): Promise<number> {
  const stderrIsClient = reachesClient(2);
  // Should V8 or the runtime die, their last words are not for the client.
  const restore = stderrIsClient ? quiet() : () => {};
  ignoreFileSizeSignal();
  const next: Next = { program, variables: {}, restore };
  if (program.length === 0) {
    const log = openLog(DEFAULT_LOG, stderrIsClient);
    log.error(formatLine("defer", { what: quote("no PROGRAM to become") }));
    refuseInBanner(PROBLEM, LAST_REPLY);
    return EXIT.wrong;
  }
  let config: ResolvedConfig;
  try {
    config = await resolve(await load());
  } catch (error) {
    // How trouble is to be met is not known, so nobody is turned away.
    const log = openLog(DEFAULT_LOG, stderrIsClient);
    log.error(formatLine("pass", trouble(error)));
    return become(next, log);
  }
  return decide(config, openLog(config.log, stderrIsClient), next);
}

/** How the log is configured where the configuration cannot be had. */
const DEFAULT_LOG: ResolvedConfig["log"] = {
  target: "auto",
  level: "INFO",
  facility: "mail",
};

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
  next: Next,
): Promise<number> {
  const who: Who = {};
  let verdict: Defer | Pass | Exempt;
  try {
    verdict = check(config, log, next, who);
  } catch (error) {
    const accept = config.onError === "accept";
    const verb = accept ? "pass" : "defer";
    log.error(formatLine(verb, { ...who, ...trouble(error) }));
    if (accept) return become(next, log);
    refuse(config, next, log, PROBLEM);
    return EXIT.done;
  }
  if (verdict.action === "pass") {
    log.info(formatLine("pass", { ...who, ...fieldsOf(verdict) }));
    return become(next, log);
  }
  try {
    if (verdict.reason === "new") warnOfOpenDirectory(config.baseDir, log);
    defer(config, log, next, who, verdict);
  } catch (error) {
    // 421 is right at any point of a session (RFC 5321 section 4.2.2).
    log.error(formatLine("defer", { ...who, ...trouble(error) }));
    refuseInBanner(PROBLEM, LAST_REPLY);
    return EXIT.temporary;
  }
  await pruneWhenDue(config, log);
  return EXIT.done;
}

/** Never rejects, and costs one look at a file where it is not time. */
async function pruneWhenDue(config: ResolvedConfig, log: Logger) {
  if (!isPruningDue(config.baseDir, config.prune.every)) return;
  try {
    const { pruneSome } = await import("./seldom.ts");
    pruneSome(config);
  } catch (error) {
    log.warn(formatLine("prune", trouble(error)));
  }
}

/** @throws {Error} where the check itself fails */
function check(
  config: ResolvedConfig,
  log: Logger,
  next: Next,
  who: Who,
): Defer | Pass | Exempt {
  let address: Address | undefined;
  let network: Network | undefined;
  let failure: unknown;
  try {
    const peer = findPeer(variable, () => peerOf(0)?.address);
    address = peer.address;
    who.ip = formatAddress(address);
    network = clientNetwork(address, config.match);
    who.net = formatNetwork(network);
    if (peer.source !== "TCPREMOTEIP") next.variables.TCPREMOTEIP = who.ip;
  } catch (error) {
    // A rule that needs no address may still exempt the caller.
    failure = error;
  }
  const { baseDir, whitelist } = config;
  const rule = findExemption(whitelist, {
    address,
    host: findHost(variable),
    localPort: () => findLocalPort(variable, () => localOf(0)?.port),
    hasVariable: (name) => variable(name) !== undefined,
  }, {
    search: (path, client) => searchWhitelist(path, baseDir, client),
    warn: (message) =>
      log.warn(formatLine("whitelist", { what: quote(message) })),
  });
  if (rule !== undefined) {
    return { action: "pass", reason: "whitelisted", rule };
  }
  if (network === undefined) throw failure;
  const store = new Store(baseDir);
  return store.decide(network, Date.now() / 1000, config.timeouts);
}

function defer(
  config: ResolvedConfig,
  log: Logger,
  next: Next,
  who: Who,
  verdict: Defer,
): void {
  const { reason, wait } = verdict;
  const note = (told: Told) =>
    log.info(formatLine("defer", { ...who, reason, wait, ...told }));
  refuse(config, next, log, refusalOf(config, log, who, verdict), note);
}

/** @param note is told when there is something to write to the log */
function refuse(
  config: ResolvedConfig,
  next: Next,
  log: Logger,
  refusal: Refusal,
  note: (told: Told) => void = () => {},
): void {
  const { at, idleTimeout } = config.deferral;
  if (at === "rblsmtpd") {
    note({});
    const error = becomeRblsmtpd(next, refusal, idleTimeout);
    log.error(formatLine("rblsmtpd", trouble(error)));
    refuseRecipients(refusal, config, variable);
  } else if (at === "banner") {
    note({});
    refuseInBanner(refusal, idleTimeout);
  } else {
    note(refuseRecipients(refusal, config, variable));
  }
}

/** @returns only where rblsmtpd could not be started */
function becomeRblsmtpd(next: Next, refusal: Refusal, idleTimeout: number) {
  // Descriptor 2 stays as it is: rblsmtpd writes to it what is not for a client.
  // rblsmtpd runs no program where RBLSMTPD says something. If ever it did,
  // `false` would let no mail in.
  const seconds = String(Math.ceil(idleTimeout));
  return exec(["rblsmtpd", "-t", seconds, "false"], {
    ...next.variables,
    // A hyphen in front would make it 553 (rblsmtpd(1)); the code stands there.
    RBLSMTPD: `${refusal.status} ${cutText(refusal.text)}`,
  });
}

function become({ program, variables, restore }: Next, log: Logger): number {
  restore();
  const error = exec(program, variables);
  const what = quote(`${program[0]}: ${error.message}`);
  log.error(formatLine("defer", { reason: "error", what }));
  refuseInBanner(PROBLEM, LAST_REPLY);
  return EXIT.temporary;
}
