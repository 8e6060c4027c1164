/**
 * The connections of `serve`. Each takes the way that it takes through the
 * wrapper: whitelists, then the verdict; then PROGRAM is started, or the client is
 * deferred in this process.
 *
 * @module
 */

import {
  clientNetwork,
  formatAddress,
  formatNetwork,
  type Network,
} from "../address.ts";
import type { ResolvedConfig } from "../config.ts";
import {
  decideOnError,
  type Decision,
  passLine,
  refusalFor,
  VARIABLE,
  variableFor,
  warnOfOpenDirectory,
} from "../decision.ts";
import {
  type ClientFields,
  envelopeFields,
  errorFields,
  formatLine,
  quote,
} from "../log/line.ts";
import type { Logger } from "../log/targets.ts";
import { greetingName } from "../smtp/control_files.ts";
import { Dialogue } from "../smtp/dialogue.ts";
import {
  bannerOf,
  dialogueOptions,
  LOCAL_PROBLEM,
  type Refusal,
} from "../smtp/refusal.ts";
import type { Defer } from "../store/policy.ts";
import { Store } from "../store/store.ts";
import { close } from "../system/descriptor.ts";
import { variable } from "../system/environment.ts";
import type { Epoll } from "../system/epoll.ts";
import { readRegularFile } from "../system/file.ts";
import type { Accepted } from "../system/listener.ts";
import { localOf } from "../system/socket.ts";
import { findPass, subjectOf } from "../who_waits.ts";
import { Children } from "./children.ts";
import type { ServeConfig } from "./config.ts";
import { DeferredClients, SingleReply } from "./deferred_clients.ts";
import { lookUpHostName } from "./host_name.ts";
import { Lists } from "./lists.ts";
import { NetworkCounts } from "./network_counts.ts";
import { admit } from "./rules.ts";
import type { Spawn } from "./spawn.ts";
import { tcpEnvironment } from "./tcp_environment.ts";

/** What {@linkcode Connections} needs. */
export interface ConnectionsOptions {
  readonly config: ResolvedConfig;
  readonly serve: ServeConfig;
  readonly epoll: Epoll;
  /** The name of PROGRAM, for the log. */
  readonly program: string;
  readonly spawn: Spawn;
  /** Opens the log, at the start and again after a log file was rotated. */
  openLog(): Logger;
}

/**
 * How many descriptors a name look-up takes: the client's, and two for queries,
 * since Deno asks two name servers at once. Uncounted they would leave none for
 * the store, and onError would decide about every client that comes then.
 */
const LOOKUP_DESCRIPTORS = 3;

/**
 * How long `serve` waits at its end for child processes that are being started,
 * in milliseconds. A disk that hangs must not hold it.
 */
const START_TIMEOUT = 2000;

/** How often it looks whether they are there, in milliseconds. */
const START_INTERVAL = 10;

/** What a client is told at a limit (RFC 5321 section 3.8). */
const BUSY: Refusal = {
  status: "4.3.2",
  text: "Too many connections, please try again later",
};

/** What a client is told when `serve` stops. */
const STOPPING: Refusal = {
  status: "4.3.2",
  text: "Shutting down, please try again later",
};

/** A connection on its way through the check. */
interface Connection extends Accepted {
  readonly client: ClientFields;
  readonly network: Network;
  /**
   * The same as text, for `limitPerNetwork`: the members of a pool have one entry,
   * but each of their networks has its own connections.
   */
  readonly limited: string;
  /** The variables of the rule of `serve.rules`. */
  readonly env: Readonly<Record<string, string>>;
  readonly host?: string;
}

/** All connections that are open. */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #deferred: DeferredClients;
  readonly #children: Children;
  readonly #lists: Lists;
  readonly #store: Store;
  /** Descriptors of clients whose host name is being looked up. */
  readonly #lookups = new Set<number>();
  readonly #networks = new NetworkCounts();
  #log: Logger;
  #hostname = "";
  #stopping = false;
  /** Until when child processes that are being started are waited for. */
  #startDeadline = Infinity;

  constructor(options: ConnectionsOptions) {
    const { config, serve, epoll, spawn } = options;
    this.#options = options;
    this.#deferred = new DeferredClients(epoll, config.deferral);
    const patience = config.deferral.sessionTimeout * 1000;
    this.#children = new Children(epoll, spawn, serve.limit, patience);
    this.#lists = new Lists(config, (name) => variable(name) !== undefined);
    this.#store = new Store(config.baseDir);
    this.#log = options.openLog();
    this.#readFiles();
  }

  /** The log; {@linkcode reload} replaces it. */
  get log(): Logger {
    return this.#log;
  }

  /** The number of descriptors that connections use. */
  get descriptors(): number {
    return this.#deferred.size + this.#children.descriptors +
      LOOKUP_DESCRIPTORS * this.#lookups.size;
  }

  /** Whether a dialogue or the start of a child process is under way. */
  get isBusy(): boolean {
    return this.#deferred.size > 0 ||
      this.#children.starting > 0 && performance.now() < this.#startDeadline;
  }

  /** Reads control and whitelist files again, and opens the log again. */
  reload(): void {
    const before = this.#log;
    this.#log = this.#options.openLog();
    for (const handler of before.handlers) handler.destroy();
    this.#readFiles();
  }

  #readFiles(): void {
    const { config } = this.#options;
    this.#hostname = greetingName(config.controlDir, variable);
    this.#lists.load(
      readRegularFile,
      (section, message) =>
        this.#log.warn(formatLine(section, { what: quote(message) })),
    );
  }

  /**
   * Answers 421 to clients that are being deferred or wait. Child processes run
   * on.
   */
  stop(): void {
    this.#stopping = true;
    this.#startDeadline = performance.now() + START_TIMEOUT;
    this.#children.shutDown();
    for (const fd of this.#lookups) this.#refuse(fd, STOPPING);
    this.#lookups.clear();
    this.#deferred.shutDown(performance.now());
  }

  /** Continues with a descriptor that is ready. */
  ready(fd: number, now: number): void {
    if (this.#deferred.has(fd)) this.#deferred.ready(fd, now);
    else this.#children.ready(fd);
  }

  /** Finishes starts that other threads have done. */
  settle(): void {
    this.#children.settle();
  }

  /** When {@linkcode expire} has something to do, in milliseconds. */
  next(): number {
    // No event reports that a child process has started.
    const started = this.#stopping && this.#children.starting > 0
      ? performance.now() + START_INTERVAL
      : Infinity;
    return Math.min(this.#deferred.next(), this.#children.next(), started);
  }

  /** Ends what has taken too long, and finds unnoticed ends of children. */
  expire(now: number): void {
    this.#deferred.expire(now);
    this.#children.expire(now);
  }

  /** Takes a new connection. */
  add(accepted: Accepted): void {
    const { fd, peer } = accepted;
    const { config, serve } = this.#options;
    const client: ClientFields = { ip: formatAddress(peer.address) };
    const { rule, deny, env } = admit(serve.rules, peer.address);
    if (deny) {
      this.#log.info(formatLine("deny", { ...client, rule }));
      close(fd);
      return;
    }
    const network = clientNetwork(peer.address, config.match);
    const limited = client.net = formatNetwork(network);
    const connection = { ...accepted, client, network, limited, env };
    if (serve.nameLookup) this.#lookUp(connection);
    else this.#decide(connection);
  }

  /** Never rejects. */
  async #lookUp(connection: Connection): Promise<void> {
    const { fd, peer } = connection;
    this.#lookups.add(fd);
    const host = await lookUpHostName(peer.address);
    if (this.#lookups.delete(fd)) this.#decide({ ...connection, host });
    this.#options.epoll.wake();
  }

  #decide(connection: Connection): void {
    const { config } = this.#options;
    const { fd, client } = connection;
    let verdict: Decision | undefined;
    try {
      const { filesOf } = this.#lists;
      const caller = this.#lists.callerOf({
        ...connection,
        address: connection.peer.address,
        localPort: () => localOf(fd)?.port,
      });
      verdict = findPass(config, caller, filesOf);
      if (verdict === undefined) {
        const { network, limited } = connection;
        if (this.#isAtLimit(limited)) {
          return this.#busy(fd, client, "limitPerNetwork");
        }
        const subject = subjectOf(config.pools, network, caller, filesOf);
        client.net = subject.net;
        const now = Date.now() / 1000;
        verdict = this.#store.decide(subject.entry, now, config.timeouts);
      }
    } catch (error) {
      const action = decideOnError(config, error, client, this.#log);
      if (action === "pass") this.#pass(connection);
      else this.#defer(connection, LOCAL_PROBLEM);
      return;
    }
    if (verdict.reason === "new") {
      warnOfOpenDirectory(config.baseDir, this.#log);
    }
    if (verdict.action === "pass" || config.mode === "observe") {
      return this.#pass(connection, verdict);
    }
    const refusal = refusalFor(verdict, config, client, this.#log);
    this.#defer(connection, refusal, verdict);
  }

  #isAtLimit(network: string): boolean {
    const { limitPerNetwork } = this.#options.serve;
    return limitPerNetwork > 0 && this.#networks.of(network) >= limitPerNetwork;
  }

  /** @param verdict undefined if the check has failed */
  #pass(connection: Connection, verdict?: Decision): void {
    const { fd, client, limited, env } = connection;
    const local = localOf(fd);
    if (local === undefined) return close(fd);
    const ended = this.#networks.count(limited);
    const name = variable("TCPLOCALHOST") ?? this.#hostname;
    const localHost = name || undefined;
    const variables = tcpEnvironment({ ...connection, local, localHost });
    this.#children.add({
      fd,
      variables: {
        ...variables,
        ...env,
        [VARIABLE]: variableFor(client, verdict),
      },
      starting: () => {
        if (verdict === undefined) return;
        this.#log.info(passLine(client, verdict));
      },
      failed: (error) => {
        ended();
        const what = quote(`${this.#options.program}: ${error.message}`);
        // Not `ip`: reports count the line of the verdict already.
        const line = { reason: "error", client: client.ip, what };
        this.#log.error(formatLine("defer", line));
        this.#refuse(fd, LOCAL_PROBLEM);
      },
      ended: ({ pid, code, signal }) => {
        ended();
        this.#log.info(formatLine("end", { ...client, pid, code, signal }));
      },
      timedOut: () => {
        ended();
        this.#busy(fd, client, "limit");
      },
      hungUp: () => {
        ended();
        this.#log.info(formatLine("busy", { ...client, reason: "left" }));
      },
    }, performance.now());
  }

  #busy(fd: number, client: ClientFields, reason: string): void {
    if (!this.#stopping) {
      this.#log.info(formatLine("busy", { ...client, reason }));
    }
    this.#refuse(fd, this.#stopping ? STOPPING : BUSY);
  }

  /** Answers 421 in place of a banner. */
  #refuse(fd: number, refusal: Refusal, closed = () => {}): void {
    const speaker = new SingleReply(bannerOf(refusal));
    try {
      const now = performance.now();
      this.#deferred.add(fd, speaker, now, { finished: () => {}, closed });
    } catch {
      close(fd);
      closed();
    }
  }

  /** @param verdict undefined if the check has failed, which is logged already */
  #defer(
    { fd, client, limited }: Connection,
    refusal: Refusal,
    verdict?: Defer,
  ): void {
    const { config, serve } = this.#options;
    const closed = this.#networks.count(limited);
    const logDeferral = (envelope = {}) => {
      if (verdict === undefined) return;
      const { reason, wait } = verdict;
      const line = { ...client, reason, wait, ...envelope };
      this.#log.info(formatLine("defer", line));
    };
    const full = this.#deferred.size >= serve.deferredLimit;
    if (full || config.deferral.at === "banner") {
      logDeferral();
      return this.#refuse(fd, refusal, closed);
    }
    const dialogue = new Dialogue(dialogueOptions(refusal, this.#hostname));
    const finished = () => logDeferral(envelopeFields(dialogue.envelope));
    try {
      this.#deferred.add(fd, dialogue, performance.now(), { finished, closed });
    } catch (error) {
      this.#log.error(
        formatLine("defer", { ...client, ...errorFields(error) }),
      );
      close(fd);
      closed();
    }
  }
}
