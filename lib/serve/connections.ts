/**
 * The connections of `serve`. Each goes the same way as through the wrapper: the
 * whitelist, `only`, a pool or else the network, then the verdict. After that
 * PROGRAM is started, or the client is deferred in this process.
 *
 * server.ts accepts a connection. This module takes it through the PROXY header,
 * the rules, the limits, the name look-up and the lists, and asks store_queue.ts
 * for the verdict. dispatch.ts carries the decision out.
 *
 * @module
 */

import {
  clientNetwork,
  contains,
  formatAddress,
  formatNetwork,
} from "../address.ts";
import { decideOnError, refusalFor } from "../decision.ts";
import { type ClientFields, formatLine, quote } from "../log/line.ts";
import { bannerOf, LOCAL_PROBLEM, STOPPING } from "../smtp/refusal.ts";
import type { Verdict } from "../store/policy.ts";
import type { Accepted } from "../system/listener.ts";
import { localOf } from "../system/socket.ts";
import { findPass, subjectOf } from "../who_waits.ts";
import type { Served } from "./children.ts";
import type { Addressed, Connection } from "./connection.ts";
import { Dispatch, type DispatchOptions } from "./dispatch.ts";
import { Lookups } from "./lookups.ts";
import { countedFor, NetworkCounts } from "./network_counts.ts";
import { FAILURES, ProxyClients } from "./proxy_clients.ts";
import { ClientRoom } from "./room.ts";
import { admit } from "./rules.ts";
import type { StoreQueue, Unchecked } from "./store_queue.ts";

/** What {@linkcode Connections} needs. */
export interface ConnectionsOptions extends DispatchOptions {
  readonly store: StoreQueue;
  /** How many descriptors connections may use. */
  readonly maxDescriptors: number;
}

/** All connections that are open. */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #dispatch: Dispatch;
  readonly #proxied: ProxyClients;
  readonly #lookups: Lookups;
  readonly #room: ClientRoom;
  /** Clients that the store was asked about, by descriptor. */
  readonly #asked = new Map<number, Connection>();
  readonly #networks = new NetworkCounts();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    const { config, serve, epoll, maxDescriptors } = options;
    const warn = (what: string) =>
      this.#log.warn(formatLine("serve", { what: quote(what) }));
    this.#room = new ClientRoom(
      maxDescriptors,
      serve.limit,
      () => this.#held,
      warn,
    );
    this.#lookups = new Lookups(maxDescriptors, warn);
    this.#dispatch = new Dispatch(options, this.#room);
    const { idleTimeout } = config.deferral;
    this.#proxied = new ProxyClients(epoll, idleTimeout * 1000);
  }

  get #log() {
    return this.#options.files.log;
  }

  /** The number of descriptors that connections use. */
  get descriptors(): number {
    return this.#dispatch.descriptors + this.#undecided;
  }

  /** Those of clients that have no verdict yet. */
  get #undecided(): number {
    return this.#proxied.size + this.#asked.size + this.#lookups.descriptors;
  }

  /** Those of clients, without those of child processes. */
  get #held(): number {
    return this.#dispatch.held + this.#undecided;
  }

  /** Whether the end has to wait for a dialogue or a child process. */
  get isBusy(): boolean {
    return this.#dispatch.isBusy;
  }

  /** Whether a dialogue or the start of a child process is under way. */
  get isTalking(): boolean {
    return this.#dispatch.isTalking;
  }

  /**
   * Answers 421 to clients that are being deferred or wait. Child processes run
   * on.
   */
  stop(): void {
    this.#proxied.shutDown(bannerOf(STOPPING));
    const clients = [...this.#lookups.takeAll(), ...this.#asked.values()];
    this.#asked.clear();
    for (const connection of clients) {
      this.#dispatch.busy(connection, "stopping");
    }
    this.#dispatch.stop();
  }

  /** Goes on after {@linkcode stop}, when {@linkcode isQuiet}. */
  resume(): void {
    this.#dispatch.resume();
  }

  /** Whether no other thread works for a connection. */
  get isQuiet(): boolean {
    const { children, store } = this.#options;
    return children.starting === 0 && store.isIdle;
  }

  /** Takes over a program that the image before this one has started. */
  adopt(pid: number, served: Served): void {
    const { client } = served;
    const network = countedFor(served, this.#options.config.match);
    const release = this.#networks.count(network);
    this.#options.children.adopt(
      pid,
      { client, network },
      (status) => this.#dispatch.ended(client, release, status),
    );
  }

  /** Continues with a descriptor that is ready. */
  ready(fd: number, now: number): void {
    if (this.#proxied.has(fd)) this.#proxied.ready(fd);
    else this.#dispatch.ready(fd, now);
  }

  /** Continues with what other threads have done. */
  settle(): void {
    this.#dispatch.settle();
    this.#options.store.settle(performance.now());
    this.#options.store.flush();
  }

  /** When {@linkcode expire} has something to do, in milliseconds. */
  next(): number {
    return Math.min(
      this.#dispatch.next(),
      this.#proxied.next(),
      this.#options.store.next(),
    );
  }

  /** Ends what has taken too long, and finds unnoticed ends of children. */
  expire(now: number): void {
    this.#dispatch.expire(now);
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
          // A balancer that connects and hangs up checks that this program runs.
          if (reason === undefined || reason === "stopped") return;
          log(FAILURES[reason]);
        },
      });
    } catch (error) {
      log((error as Error).message);
      this.#dispatch.refuse({ fd, release: () => {} }, LOCAL_PROBLEM);
    }
  }

  #admit(accepted: Addressed): void {
    const { fd, peer } = accepted;
    const { config, serve } = this.#options;
    const client: ClientFields = { ip: formatAddress(peer.address) };
    const { rule, deny, env } = admit(serve.rules, peer.address);
    if (deny) {
      this.#log.info(formatLine("deny", { ...client, rule }));
      this.#dispatch.close({ fd, release: () => {} });
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
    const pass = this.#findPass(connection, !serve.nameLookup);
    if (pass !== undefined) return this.#dispatch.pass(connection, pass);
    if (isAtLimit) return this.#dispatch.busy(connection, "limitPerNetwork");
    const look = serve.nameLookup && this.#room.mayHold(performance.now()) &&
      this.#lookups.mayAdd(connection);
    if (look) this.#lookUp(connection);
    else this.#ask(connection);
  }

  #isAtLimit(network: string): boolean {
    const { limitPerNetwork } = this.#options.serve;
    return limitPerNetwork > 0 && this.#networks.of(network) >= limitPerNetwork;
  }

  #lookUp(connection: Connection): void {
    void this.#lookups.add(connection, (host) => {
      const named = { ...connection, host };
      const pass = this.#findPass(named, true);
      if (pass !== undefined) this.#dispatch.pass(named, pass);
      else this.#ask(named);
      this.#options.epoll.wake();
    });
  }

  #ask(connection: Connection): void {
    // Not onError: a flood must not let its own clients in.
    if (!this.#room.mayAsk(performance.now())) {
      return this.#dispatch.busy(connection, "descriptors");
    }
    const { fd, network, client } = connection;
    const { config, files, store } = this.#options;
    const subject = subjectOf(
      config.pools,
      network,
      this.#clientOf(connection),
      files.lists.filesOf,
    );
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
      const { message, isLogged } = result;
      const action = decideOnError(
        config,
        message,
        client,
        this.#log,
        isLogged,
      );
      if (action === "pass") this.#dispatch.pass(connection);
      else this.#dispatch.defer(connection, LOCAL_PROBLEM);
    } else if (result.action === "pass" || config.mode === "observe") {
      this.#dispatch.pass(connection, result);
    } else {
      const refusal = refusalFor(result, config, client, this.#log);
      this.#dispatch.defer(connection, refusal, result);
    }
  }

  /**
   * The decision about a client that does not have to wait.
   *
   * @param withOnly whether `only` counts too: its rules need the client's name. It
   * is left out before the look-up, and for a client that gets none because too many
   * are under way. Otherwise a flood of look-ups would let its own clients in
   */
  #findPass(connection: Connection, withOnly: boolean) {
    const { config, files } = this.#options;
    const sections = withOnly ? config : { whitelist: config.whitelist };
    const client = this.#clientOf(connection);
    return findPass(sections, client, files.lists.filesOf);
  }

  #clientOf({ fd, peer, local, host, env }: Connection) {
    return this.#options.files.lists.clientOf({
      address: peer.address,
      host,
      env,
      localPort: () => (local ?? localOf(fd))?.port,
    });
  }
}
