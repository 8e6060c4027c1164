/**
 * Clients that wait until a program may be started for them. Nothing is read from
 * them, because their commands are for that program.
 *
 * @module
 */

import { bannerOf, BUSY } from "../smtp/refusal.ts";
import { close } from "../system/descriptor.ts";
import { type Epoll, PEER_CLOSED } from "../system/epoll.ts";
import { receive, send, shutdownWriting } from "../system/transfer.ts";
import { Deadlines } from "./deadlines.ts";

/** A client that may have to wait. */
export interface WaitingClient {
  readonly fd: number;
  /**
   * The client hung up while it waited, or closed its side and was told 421; the
   * connection is closed.
   */
  hungUp(): void;
}

/**
 * How many reads empty the connection of a client that has closed its side; each
 * takes 4 KB.
 */
const LAST_READS = 64;

/** All clients that wait. Times are milliseconds. */
export class WaitingClients<Client extends WaitingClient> {
  readonly #epoll: Epoll;
  readonly #most: number;
  readonly #deadlines: Deadlines;
  /** By descriptor, in the order in which they came. */
  readonly #clients = new Map<number, Client>();

  /**
   * @param patience how long a client waits, in milliseconds
   * @param most how many clients may wait
   */
  constructor(epoll: Epoll, patience: number, most: number) {
    this.#epoll = epoll;
    this.#most = most;
    this.#deadlines = new Deadlines(patience);
  }

  /** The number of clients that wait. */
  get size(): number {
    return this.#clients.size;
  }

  /**
   * Adds a client.
   *
   * @param now from `performance.now()`
   * @returns false if too many wait already, or the client cannot be watched
   */
  add(client: Client, now: number): boolean {
    if (this.#clients.size >= this.#most) return false;
    try {
      this.#epoll.add(client.fd, PEER_CLOSED);
    } catch {
      return false;
    }
    this.#clients.set(client.fd, client);
    this.#deadlines.start(client.fd, now);
    return true;
  }

  /** Takes out the client that has waited for the longest time, if there is one. */
  takeFirst(): Client | undefined {
    for (const fd of this.#clients.keys()) return this.#take(fd);
  }

  #take(fd: number): Client | undefined {
    const client = this.#clients.get(fd);
    if (client === undefined) return undefined;
    this.#clients.delete(fd);
    this.#deadlines.stop(fd);
    // The child gets the same open file, so epoll would go on to report events for
    // it after this descriptor is closed.
    this.#epoll.remove(fd);
    return client;
  }

  /** Handles an event: a client has hung up. */
  ready(fd: number): void {
    const client = this.#take(fd);
    if (client === undefined) return;
    // A client that has closed the whole connection sends the same as one that has
    // closed its own side. Only the latter reads the reply. All that the client has
    // sent has arrived; unread it would turn the close into a reset.
    send(fd, bannerOf(BUSY));
    for (let i = 0; i < LAST_READS; i++) {
      if (typeof receive(fd) !== "object") break;
    }
    // A child between fork and exec may have a copy of the descriptor.
    shutdownWriting(fd);
    close(fd);
    client.hungUp();
  }

  /** When the next client has waited too long; Infinity for never. */
  next(): number {
    return this.#deadlines.next();
  }

  /** The clients that have waited too long; each is taken out as it is given. */
  *expired(now: number): Generator<Client> {
    for (const fd of this.#deadlines.expired(now)) {
      const client = this.#take(fd);
      if (client !== undefined) yield client;
    }
  }
}
