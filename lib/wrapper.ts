/**
 * The way of one connection: which client is it, is it exempt, what does its entry
 * say; then become the next program, or tell the client to come back.
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
import type { ResolvedConfig } from "./config.ts";
import { type ConfigModule, resolve } from "./config/compiled.ts";
import {
  decideOnError,
  type Decision,
  passLine,
  refusalFor,
  VARIABLE,
  variableFor,
  warnOfOpenDirectory,
} from "./decision.ts";
import { EXIT } from "./exit.ts";
import { reachesClient } from "./log/client_socket.ts";
import {
  type ClientFields,
  envelopeFields,
  errorFields,
  formatLine,
  quote,
} from "./log/line.ts";
import { type Logger, openLog } from "./log/targets.ts";
import { findHost, findLocalPort, findPeer } from "./peer.ts";
import { greetingName } from "./smtp/control_files.ts";
import { converse, sayOnce } from "./smtp/conversation.ts";
import { Dialogue, type Envelope } from "./smtp/dialogue.ts";
import {
  bannerOf,
  dialogueOptions,
  LOCAL_PROBLEM,
  type Refusal,
} from "./smtp/refusal.ts";
import { cutText } from "./smtp/reply_text.ts";
import { isPruningDue } from "./store/bookmark.ts";
import type { Defer } from "./store/policy.ts";
import { modeOf, Store } from "./store/store.ts";
import { silence } from "./system/descriptor.ts";
import { variable } from "./system/environment.ts";
import { exec } from "./system/process.ts";
import { ignoreFileSizeSignal } from "./system/signals.ts";
import { localOf, peerOf } from "./system/socket.ts";
import { searchFiles, searchWhitelist } from "./whitelist/cache.ts";
import {
  type Caller,
  tellBadLines,
  unreadable,
} from "./whitelist/exemption.ts";
import { type FilesOf, findPass, subjectOf } from "./who_waits.ts";

/** The program to become, and the variables to add to its environment. */
interface Next {
  readonly program: readonly string[];
  readonly variables: Record<string, string>;
  /** Restores stderr. */
  restore(): void;
}

/**
 * Checks the connection on standard input and output, then becomes the program
 * or defers the client.
 *
 * @param program the program and its arguments
 * @param load gives the configuration module
 * @returns the exit code; if the client passes, this does not return
 */
export async function wrap(
  program: readonly string[],
  load: () => Promise<ConfigModule>,
): Promise<number> {
  const stderrIsClient = reachesClient(2);
  // If V8 or the runtime dies, its last words are not for the client.
  const restore = stderrIsClient ? quiet() : () => {};
  ignoreFileSizeSignal();
  const next: Next = { program, variables: {}, restore };
  if (program.length === 0) {
    const log = openLog(DEFAULT_LOG, stderrIsClient);
    log.error(formatLine("defer", { what: quote("no PROGRAM to become") }));
    sayOnce(bannerOf(LOCAL_PROBLEM), LAST_REPLY);
    return EXIT.wrong;
  }
  let config: ResolvedConfig;
  try {
    config = await resolve(await load());
  } catch (error) {
    // What onError says is not known, so no client is turned away.
    const log = openLog(DEFAULT_LOG, stderrIsClient);
    log.error(formatLine("pass", errorFields(error)));
    return become(next, log, variableFor({}, undefined));
  }
  return decide(config, openLog(config.log, stderrIsClient), next);
}

/** How the log is configured if the configuration cannot be used. */
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
  const client: ClientFields = {};
  let verdict: Decision;
  try {
    verdict = check(config, log, next, client);
  } catch (error) {
    const action = decideOnError(config, error, client, log);
    if (action === "pass") {
      return become(next, log, variableFor(client, undefined));
    }
    refuse(config, next, log, LOCAL_PROBLEM);
    return EXIT.done;
  }
  if (verdict.reason === "new") {
    const { baseDir } = config;
    warnOfOpenDirectory(baseDir, modeOf(baseDir), log);
  }
  if (verdict.action === "pass" || config.mode === "observe") {
    log.info(passLine(client, verdict));
    return become(next, log, variableFor(client, verdict));
  }
  try {
    defer(config, log, next, client, verdict);
  } catch (error) {
    // 421 is right at any point of a session (RFC 5321 section 4.2.2).
    log.error(formatLine("defer", { ...client, ...errorFields(error) }));
    sayOnce(bannerOf(LOCAL_PROBLEM), LAST_REPLY);
    return EXIT.temporary;
  }
  await pruneWhenDue(config, log);
  return EXIT.done;
}

/** Never rejects. If it is not time to prune, it costs one look at a file. */
async function pruneWhenDue(config: ResolvedConfig, log: Logger) {
  if (!isPruningDue(config.baseDir, config.prune.every)) return;
  try {
    const { pruneSome } = await import("./store/prune.ts");
    pruneSome(config);
  } catch (error) {
    log.warn(formatLine("prune", errorFields(error)));
  }
}

/** @throws {Error} if the check itself fails */
function check(
  config: ResolvedConfig,
  log: Logger,
  next: Next,
  client: ClientFields,
): Decision {
  let address: Address | undefined;
  let network: Network | undefined;
  let failure: unknown;
  try {
    const peer = findPeer(variable, () => peerOf(0)?.address);
    address = peer.address;
    client.ip = formatAddress(address);
    network = clientNetwork(address, config.match);
    client.net = formatNetwork(network);
    if (peer.source !== "TCPREMOTEIP") next.variables.TCPREMOTEIP = client.ip;
  } catch (error) {
    // A rule that needs no address may still exempt the client.
    failure = error;
  }
  const { baseDir, pools, timeouts } = config;
  const caller: Caller = {
    address,
    host: findHost(variable),
    localPort: () => findLocalPort(variable, () => localOf(0)?.port),
    hasVariable: (name) => variable(name) !== undefined,
  };
  const filesOf: FilesOf = (section) => {
    const warn = (message: string) =>
      log.warn(formatLine(section, { what: quote(message) }));
    return {
      section,
      warn,
      search: (path, client) => searchWhitelist(path, baseDir, client),
      searchAll: (paths, client) =>
        searchFiles(paths, baseDir, client, {
          unreadable: (path, error) => warn(unreadable(path, error, section)),
          bad: (path, lines) => tellBadLines(path, lines, warn),
        }),
    };
  };
  const pass = findPass(config, caller, filesOf);
  if (pass !== undefined) return pass;
  if (network === undefined) throw failure;
  const { entry, net } = subjectOf(pools, network, caller, filesOf);
  client.net = net;
  return new Store(baseDir).decide(entry, Date.now() / 1000, timeouts);
}

function defer(
  config: ResolvedConfig,
  log: Logger,
  next: Next,
  client: ClientFields,
  verdict: Defer,
): void {
  const { reason, wait } = verdict;
  const logDeferral = (envelope: Envelope) => {
    const fields = { ...client, reason, wait, ...envelopeFields(envelope) };
    log.info(formatLine("defer", fields));
  };
  const refusal = refusalFor(verdict, config, client, log);
  refuse(config, next, log, refusal, logDeferral);
}

/** @param deferred called with the envelope, for the log */
function refuse(
  { deferral, controlDir }: ResolvedConfig,
  next: Next,
  log: Logger,
  refusal: Refusal,
  deferred: (envelope: Envelope) => void = () => {},
): void {
  const { at, idleTimeout } = deferral;
  const holdDialogue = () => {
    const hostname = greetingName(controlDir, variable);
    const dialogue = new Dialogue(dialogueOptions(refusal, hostname));
    converse(dialogue, deferral);
    return dialogue.envelope;
  };
  if (at === "rblsmtpd") {
    deferred(NO_ENVELOPE);
    const error = becomeRblsmtpd(next, refusal, idleTimeout);
    log.error(formatLine("rblsmtpd", errorFields(error)));
    holdDialogue();
  } else if (at === "banner") {
    deferred(NO_ENVELOPE);
    sayOnce(bannerOf(refusal), idleTimeout);
  } else {
    deferred(holdDialogue());
  }
}

/** In the banner there is no envelope yet, and rblsmtpd logs its own. */
const NO_ENVELOPE: Envelope = { recipients: 0 };

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
function become(
  { program, variables, restore }: Next,
  log: Logger,
  decision: string,
): number {
  restore();
  const error = exec(program, { ...variables, [VARIABLE]: decision });
  const what = quote(`${program[0]}: ${error.message}`);
  log.error(formatLine("defer", { reason: "error", what }));
  sayOnce(bannerOf(LOCAL_PROBLEM), LAST_REPLY);
  return EXIT.temporary;
}
