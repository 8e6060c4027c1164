/**
 * The connections of `serve`. Each takes the way that it takes through the
 * wrapper: whitelists, then the verdict; then PROGRAM is started, or the client is
 * deferred in this process.
 *
 * @module
 */

import {
  clientNetwork,
  contains,
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
} from "../decision.ts";
import {
  type ClientFields,
  envelopeFields,
  errorFields,
  formatLine,
  quote,
} from "../log/line.ts";
import { Dialogue } from "../smtp/dialogue.ts";
import {
  bannerOf,
  dialogueOptions,
  LOCAL_PROBLEM,
  type Refusal,
} from "../smtp/refusal.ts";
import type { Defer, Verdict } from "../store/policy.ts";
import { close } from "../system/descriptor.ts";
import { variable } from "../system/environment.ts";
import type { Epoll } from "../system/epoll.ts";
import type { Accepted } from "../system/listener.ts";
import { localOf, type SocketName } from "../system/socket.ts";
import { send } from "../system/transfer.ts";
import { encode } from "../system/utf8.ts";
import { findPass, subjectOf } from "../who_waits.ts";
import { Children } from "./children.ts";
import type { ServeConfig } from "./config.ts";
import { DeferredClients, SingleReply } from "./deferred_clients.ts";
import { lookUpHostName } from "./host_name.ts";
import { NetworkCounts } from "./network_counts.ts";
import { ProxyClients } from "./proxy_clients.ts";
import { admit } from "./rules.ts";
import type { Spawn } from "./spawn.ts";
import type { SiteFiles } from "./site_files.ts";
import type { StoreQueue, Unchecked } from "./store_queue.ts";
import { tcpEnvironment } from "./tcp_environment.ts";

/** What {@linkcode Connections} needs. */
export interface ConnectionsOptions {
  readonly config: ResolvedConfig;
  readonly serve: ServeConfig;
  readonly epoll: Epoll;
  /** The name of PROGRAM, for the log. */
  readonly program: string;
  readonly spawn: Spawn;
  readonly files: SiteFiles;
  readonly store: StoreQueue;
  /** How many descriptors connections may use. */
  readonly maxDescriptors: number;
}

/**
 * How many descriptors a name look-up takes: the client's, and two for queries,
 * since Deno asks two name servers at once. Uncounted they would leave none for
 * the store, and onError would decide about every client that comes then.
 */
const LOOKUP_DESCRIPTORS = 3;

/**
 * The part of the descriptors that look-ups may use together. More clients are
 * checked without their names: names that are never answered must not keep other
 * clients out.
 */
const LOOKUP_SHARE = 0.25;

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

/** A connection whose client is known. */
interface Known extends Accepted {
  /** The end that the client has connected to, if a load balancer has told it. */
  readonly local?: SocketName;
}

/** A connection on its way through the check. */
interface Connection extends Known {
  readonly client: ClientFields;
  readonly network: Network;
  /** The variables of the rule of `serve.rules`. */
  readonly env: Readonly<Record<string, string>>;
  readonly host?: string;
  /** Ends that the connection counts for its network; called once. */
  release(): void;
}

/** All connections that are open. */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #deferred: DeferredClients;
  readonly #children: Children;
  readonly #proxied: ProxyClients;
  /** Clients whose host name is being looked up, by descriptor. */
  readonly #lookups = new Map<number, Connection>();
  /** Clients that the store was asked about, by descriptor. */
  readonly #asked = new Map<number, Connection>();
  readonly #networks = new NetworkCounts();
  #stopping = false;
  /** Until when child processes that are being started are waited for. */
  #startDeadline = Infinity;

  constructor(options: ConnectionsOptions) {
    const { config, serve, epoll, spawn } = options;
    this.#options = options;
    this.#deferred = new DeferredClients(epoll, config.deferral);
    const { idleTimeout, sessionTimeout } = config.deferral;
    const patience = sessionTimeout * 1000;
    this.#children = new Children(epoll, spawn, serve.limit, patience);
    this.#proxied = new ProxyClients(epoll, idleTimeout * 1000);
  }

  get #log() {
    return this.#options.files.log;
  }

  /** The number of descriptors that connections use. */
  get descriptors(): number {
    return this.#deferred.size + this.#children.descriptors +
      this.#proxied.size + this.#asked.size +
      LOOKUP_DESCRIPTORS * this.#lookups.size;
  }

  /** Whether a dialogue or the start of a child process is under way. */
  get isBusy(): boolean {
    return this.#deferred.size > 0 ||
      this.#children.starting > 0 && performance.now() < this.#startDeadline;
  }

  /**
   * Answers 421 to clients that are being deferred or wait. Child processes run
   * on.
   */
  stop(): void {
    this.#stopping = true;
    this.#startDeadline = performance.now() + START_TIMEOUT;
    this.#children.shutDown();
    this.#proxied.shutDown(encode(bannerOf(STOPPING)));
    for (const clients of [this.#lookups, this.#asked]) {
      for (const connection of clients.values()) {
        this.#refuse(connection, STOPPING);
      }
      clients.clear();
    }
    this.#deferred.shutDown(performance.now());
  }

  /** Continues with a descriptor that is ready. */
  ready(fd: number, now: number): void {
    if (this.#deferred.has(fd)) this.#deferred.ready(fd, now);
    else if (this.#proxied.has(fd)) this.#proxied.ready(fd);
    else this.#children.ready(fd);
  }

  /** Continues with what other threads have done. */
  settle(): void {
    this.#children.settle();
    this.#options.store.settle(performance.now());
    this.#options.store.flush();
  }

  /** When {@linkcode expire} has something to do, in milliseconds. */
  next(): number {
    // No event reports that a child process has started.
    const started = this.#stopping && this.#children.starting > 0
      ? performance.now() + START_INTERVAL
      : Infinity;
    return Math.min(
      this.#deferred.next(),
      this.#children.next(),
      this.#proxied.next(),
      this.#options.store.next(),
      started,
    );
  }

  /** Ends what has taken too long, and finds unnoticed ends of children. */
  expire(now: number): void {
    this.#deferred.expire(now);
    this.#children.expire(now);
    this.#proxied.expire(now);
    this.#options.store.expire(now);
  }

  /** Takes a new connection. */
  add(accepted: Accepted): void {
    const { fd, peer } = accepted;
    const isBalancer = this.#options.serve.proxy.some(({ network }) =>
      contains(network, peer.address)
    );
    if (!isBalancer) return this.#admit(accepted);
    const log = (what: string) => {
      const client = formatAddress(peer.address);
      this.#log.warn(formatLine("proxy", { client, what: quote(what) }));
    };
    try {
      this.#proxied.add(fd, performance.now(), {
        arrived: (ends) => this.#admit({ ...accepted, ...ends }),
        failed: (reason) => {
          // A balancer that only connects looks whether this program is there.
          if (reason === "invalid") log("expected a PROXY header");
          if (reason === "silent") log("no PROXY header within idleTimeout");
        },
      });
    } catch (error) {
      log((error as Error).message);
      close(fd);
    }
  }

  #admit(accepted: Known): void {
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
    client.net = formatNetwork(network);
    const isAtLimit = this.#isAtLimit(client.net);
    const release = this.#networks.count(client.net);
    const connection: Connection = {
      ...accepted,
      client,
      network,
      env,
      release,
    };
    const look = serve.nameLookup && this.#mayLookUp;
    const pass = this.#findPass(connection, !look);
    if (pass !== undefined) return this.#pass(connection, pass);
    if (isAtLimit) return this.#busy(connection, "limitPerNetwork");
    if (look) this.#lookUp(connection);
    else this.#ask(connection);
  }

  #isAtLimit(network: string): boolean {
    const { limitPerNetwork } = this.#options.serve;
    return limitPerNetwork > 0 && this.#networks.of(network) >= limitPerNetwork;
  }

  get #mayLookUp(): boolean {
    const used = LOOKUP_DESCRIPTORS * this.#lookups.size;
    return used < LOOKUP_SHARE * this.#options.maxDescriptors;
  }

  /** Never rejects. */
  async #lookUp(connection: Connection): Promise<void> {
    const { fd, peer } = connection;
    this.#lookups.set(fd, connection);
    const host = await lookUpHostName(peer.address);
    // The client has been told that this program stops.
    if (this.#lookups.get(fd) !== connection) return;
    this.#lookups.delete(fd);
    const named = { ...connection, host };
    const pass = this.#findPass(named, true);
    if (pass !== undefined) this.#pass(named, pass);
    else this.#ask(named);
    this.#options.epoll.wake();
  }

  #ask(connection: Connection): void {
    const { fd, network, client } = connection;
    const { config, files, store } = this.#options;
    const caller = this.#callerOf(connection);
    const { filesOf } = files.lists;
    const subject = subjectOf(config.pools, network, caller, filesOf);
    client.net = subject.net;
    this.#asked.set(fd, connection);
    const time = Date.now() / 1000;
    store.ask(subject.entry, time, performance.now(), (result) => {
      if (this.#asked.get(fd) !== connection) return;
      this.#asked.delete(fd);
      this.#decide(connection, result);
    });
  }

  #decide(connection: Connection, result: Verdict | Unchecked): void {
    const { config } = this.#options;
    const { client } = connection;
    if ("message" in result) {
      const { message, known } = result;
      const action = decideOnError(config, message, client, this.#log, known);
      if (action === "pass") this.#pass(connection);
      else this.#defer(connection, LOCAL_PROBLEM);
    } else if (result.action === "pass" || config.mode === "observe") {
      this.#pass(connection, result);
    } else {
      const refusal = refusalFor(result, config, client, this.#log);
      this.#defer(connection, refusal, result);
    }
  }

  /**
   * The decision about a client that does not have to wait.
   *
   * @param only whether what `only` says counts too: it needs the client's name
   */
  #findPass(connection: Connection, only: boolean) {
    const { config, files } = this.#options;
    const sections = only ? config : { whitelist: config.whitelist };
    const caller = this.#callerOf(connection);
    return findPass(sections, caller, files.lists.filesOf);
  }

  #callerOf({ fd, peer, local, host, env }: Connection) {
    return this.#options.files.lists.callerOf({
      address: peer.address,
      host,
      env,
      localPort: () => (local ?? localOf(fd))?.port,
    });
  }

  /** @param verdict undefined if the check has failed */
  #pass(connection: Connection, verdict?: Decision): void {
    const { fd, client, env, release } = connection;
    const local = connection.local ?? localOf(fd);
    // The client has reset the connection.
    if (local === undefined) return this.#close(connection);
    const { hostname } = this.#options.files;
    const localHost = (variable("TCPLOCALHOST") ?? hostname) || undefined;
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
        const what = quote(`${this.#options.program}: ${error.message}`);
        // Not `ip`: reports count the line of the verdict already.
        const line = { reason: "error", client: client.ip, what };
        this.#log.error(formatLine("defer", line));
        this.#refuse(connection, LOCAL_PROBLEM);
      },
      ended: ({ pid, code, signal }) => {
        release();
        this.#log.info(formatLine("end", { ...client, pid, code, signal }));
      },
      timedOut: () => this.#busy(connection, "limit"),
      hungUp: () => {
        release();
        this.#log.info(formatLine("busy", { ...client, reason: "left" }));
      },
    }, performance.now());
  }

  #busy(connection: Connection, reason: string): void {
    if (!this.#stopping) {
      const { client } = connection;
      this.#log.info(formatLine("busy", { ...client, reason }));
    }
    this.#refuse(connection, this.#stopping ? STOPPING : BUSY);
  }

  /**
   * Answers 421 in place of a banner, and closes the connection at once: nothing
   * that the client has sent was read, and nothing is waited for.
   */
  #refuse(connection: Connection, refusal: Refusal): void {
    send(connection.fd, encode(bannerOf(refusal)));
    this.#close(connection);
  }

  #close({ fd, release }: Connection): void {
    close(fd);
    release();
  }

  /** @param verdict undefined if the check has failed, which is logged already */
  #defer(connection: Connection, refusal: Refusal, verdict?: Defer): void {
    const { fd, client, release } = connection;
    const { config, serve, files } = this.#options;
    const logDeferral = (envelope = {}) => {
      if (verdict === undefined) return;
      const { reason, wait } = verdict;
      const line = { ...client, reason, wait, ...envelope };
      this.#log.info(formatLine("defer", line));
    };
    const now = performance.now();
    if (this.#deferred.size >= serve.deferredLimit) {
      logDeferral();
      return this.#refuse(connection, refusal);
    }
    try {
      if (config.deferral.at === "banner") {
        const reply = new SingleReply(bannerOf(refusal));
        const finished = () => logDeferral();
        this.#deferred.add(fd, reply, now, { finished, closed: release });
        return;
      }
      const options = dialogueOptions(refusal, files.hostname);
      const dialogue = new Dialogue(options);
      const finished = () => logDeferral(envelopeFields(dialogue.envelope));
      this.#deferred.add(fd, dialogue, now, { finished, closed: release });
    } catch (error) {
      this.#log.error(
        formatLine("defer", { ...client, ...errorFields(error) }),
      );
      this.#close(connection);
    }
  }
}
