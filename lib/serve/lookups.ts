/**
 * The look-ups of host names that are under way.
 *
 * @module
 */

import { formatAddress, formatNetwork } from "../address.ts";
import { reasonOf } from "../reason.ts";
import type { Connection } from "./connection.ts";
import {
  lookUpHostName,
  MAX_ADDRESSES,
  type Query,
  QUERY_DESCRIPTORS,
} from "./host_name.ts";
import { NetworkCounts } from "./network_counts.ts";
import { Reminder } from "./reminder.ts";

/**
 * The part of the descriptors that look-ups may use together. More clients are
 * checked without their names: names that are never answered must not keep other
 * clients out.
 */
const SHARE = 0.25;

/**
 * The part of that share that clients of one network may use: 12 look-ups at once
 * with 1208 descriptors, or 34 connections of one address, which share a look-up.
 * Name servers that never answer use the whole share only if clients of eight
 * networks wait for them.
 */
const NETWORK_SHARE = 0.125;

/**
 * What a record of an answer with more than {@linkcode MAX_ADDRESSES} costs, in
 * milliseconds: five times as long as Deno reads it in the thread of the event loop,
 * so that such answers take a fifth of the processor time at most. Whoever has a
 * domain can make an answer 4,000 records long.
 */
const RECORD_COST = 0.02;

/** How much of that may be owed until no look-up begins, in milliseconds. */
const MOST_OWED = 1000;

/** All look-ups. */
export class Lookups {
  /** How many descriptors they may use, with their clients. */
  readonly #most: number;
  /** The clients, by descriptor. */
  readonly #clients = new Map<number, Connection>();
  /** The names that are being looked up, by address. */
  readonly #names = new Map<string, Promise<string | undefined>>();
  /**
   * How many look-ups each network has, and how many clients that wait. A client
   * counts until its look-up ends, also after {@linkcode takeAll}.
   */
  readonly #lookups = new NetworkCounts();
  readonly #waiting = new NetworkCounts();
  readonly #say: (what: string) => void;
  readonly #reminder = new Reminder();
  readonly #resolve: Query | undefined;
  /** When nothing is owed for large answers any more. */
  #paid = 0;

  /**
   * @param maxDescriptors how many descriptors connections may use
   * @param say called once a minute at most with what the log is to say
   * @param resolve undefined for Deno's
   */
  constructor(
    maxDescriptors: number,
    say: (what: string) => void,
    resolve?: Query,
  ) {
    this.#most = SHARE * maxDescriptors;
    this.#say = say;
    this.#resolve = resolve;
  }

  /** The number of descriptors in use, also by look-ups that no client waits for. */
  get descriptors(): number {
    return this.#clients.size + QUERY_DESCRIPTORS * this.#names.size;
  }

  /** Whether one more client may be looked up. */
  mayAdd({ network }: Connection): boolean {
    if (this.#paid - performance.now() > MOST_OWED) return false;
    const key = formatNetwork(network);
    const used = this.#waiting.of(key) +
      QUERY_DESCRIPTORS * this.#lookups.of(key);
    return this.descriptors < this.#most && used < NETWORK_SHARE * this.#most;
  }

  /**
   * Looks up the name of a client. Never rejects.
   *
   * @param done is called with the name, undefined if there is none; not called
   * after {@linkcode takeAll}
   */
  async add(
    connection: Connection,
    done: (host: string | undefined) => void,
  ): Promise<void> {
    const { fd, network } = connection;
    this.#clients.set(fd, connection);
    const served = this.#waiting.count(formatNetwork(network));
    const host = await this.#nameOf(connection);
    served();
    if (this.#clients.get(fd) !== connection) return;
    this.#clients.delete(fd);
    done(host);
  }

  #nameOf({ peer: { address }, network }: Connection) {
    const key = formatAddress(address);
    let name = this.#names.get(key);
    if (name === undefined) {
      const ended = this.#lookups.count(formatNetwork(network));
      const events = {
        failed: (error: unknown) => this.#failed(error),
        answered: (records: number) => this.#answered(records),
      };
      name = lookUpHostName(address, events, this.#resolve).finally(() => {
        ended();
        this.#names.delete(key);
      });
      this.#names.set(key, name);
    }
    return name;
  }

  #answered(records: number): void {
    if (records <= MAX_ADDRESSES) return;
    this.#paid = Math.max(this.#paid, performance.now()) +
      RECORD_COST * records;
  }

  #failed(error: unknown): void {
    if (!this.#reminder.isDue(performance.now())) return;
    this.#say(
      `names of clients: ${reasonOf(error)}: expected a resolv.conf that can ` +
        "be read, and a name server that can be asked",
    );
  }

  /** Takes out all clients, whose names are not waited for any more. */
  takeAll(): Connection[] {
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    return clients;
  }
}
