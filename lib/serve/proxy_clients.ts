/**
 * Connections from load balancers whose PROXY header has not come yet. Nothing
 * behind the header is read: PROGRAM finds the connection as the client began it.
 *
 * @module
 */

import { type Epoll, READABLE } from "../system/epoll.ts";
import { peek, receive, send, shutdownWriting } from "../system/transfer.ts";
import { Deadlines } from "./deadlines.ts";
import {
  LONGEST_HEADER,
  parseProxyHeader,
  type ProxyHeader,
} from "./proxy_header.ts";

/** What becomes of a connection that waits for its header. */
export interface ProxyCallbacks {
  /** The header has come; the connection is the caller's again. */
  arrived(ends: ProxyHeader["ends"]): void;
  /**
   * No valid header has come, and the connection is closed.
   *
   * @param reason undefined if the balancer has hung up without a byte
   */
  failed(reason: Failure | undefined): void;
}

/** Why a connection has no header, and what the log says of it. */
export const FAILURES = {
  silent: "no PROXY header within idleTimeout",
  invalid: "expected a PROXY header",
  "too long": `a PROXY header of more than ${LONGEST_HEADER} bytes`,
  "broken off": "hung up in the middle of a PROXY header",
} as const;

/** Why a connection has no header; `stopped` if `serve` has ended. */
export type Failure = keyof typeof FAILURES | "stopped";

interface Waiting extends ProxyCallbacks {
  readonly fd: number;
  /** The part of the header that has come. */
  begun: Uint8Array;
}

/** All connections that wait for a header, by descriptor. */
export class ProxyClients {
  readonly #epoll: Epoll;
  readonly #waiting = new Map<number, Waiting>();
  readonly #deadlines: Deadlines;

  /** @param patience how long a header may take, in milliseconds */
  constructor(epoll: Epoll, patience: number) {
    this.#epoll = epoll;
    this.#deadlines = new Deadlines(patience);
  }

  /** The number of connections. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Whether a descriptor waits for a header. */
  has(fd: number): boolean {
    return this.#waiting.has(fd);
  }

  /**
   * Waits for the header of a connection.
   *
   * @param now from `performance.now()`
   * @throws {LibcError} if the connection cannot be watched; the caller closes it
   */
  add(fd: number, now: number, callbacks: ProxyCallbacks): void {
    this.#epoll.add(fd, READABLE);
    this.#waiting.set(fd, { ...callbacks, fd, begun: new Uint8Array(0) });
    this.#deadlines.start(fd, now);
  }

  /** Reads what has come on a connection. */
  ready(fd: number): void {
    const client = this.#waiting.get(fd);
    if (client === undefined) return;
    const bytes = peek(fd);
    if (bytes === undefined) return;
    const { begun } = client;
    if (bytes === "gone") {
      const reason = begun.length > 0 ? "broken off" : undefined;
      return this.#fail(client, reason);
    }
    const all = new Uint8Array(begun.length + bytes.length);
    all.set(begun);
    all.set(bytes, begun.length);
    const header = parseProxyHeader(all);
    if (header === "invalid") return this.#fail(client, "invalid");
    if (header === "too long") return this.#fail(client, "too long");
    // As long as the header is not complete, all that has come belongs to it.
    const end = header === "incomplete" ? all.length : header.length;
    receive(fd, end - begun.length);
    if (header === "incomplete") {
      client.begun = all;
      return;
    }
    this.#forget(client);
    this.#epoll.remove(fd);
    client.arrived(header.ends);
  }

  /** When {@linkcode expire} has something to do; Infinity for never. */
  next(): number {
    return this.#deadlines.next();
  }

  /** Closes connections whose header has taken too long. */
  expire(now: number): void {
    for (const fd of this.#deadlines.expired(now)) {
      this.#fail(this.#waiting.get(fd)!, "silent");
    }
  }

  /**
   * Closes all connections because this program has to stop.
   *
   * @param reply what is sent on each of them first
   */
  shutDown(reply: string): void {
    for (const client of this.#waiting.values()) {
      send(client.fd, reply);
      this.#fail(client, "stopped");
    }
  }

  #fail(client: Waiting, reason: Failure | undefined): void {
    this.#forget(client);
    // A child between fork and exec may have a copy of the descriptor.
    shutdownWriting(client.fd);
    this.#epoll.close(client.fd);
    client.failed(reason);
  }

  #forget({ fd }: Waiting): void {
    this.#waiting.delete(fd);
    this.#deadlines.stop(fd);
  }
}
