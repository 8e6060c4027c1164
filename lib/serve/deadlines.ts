/**
 * Deadlines of clients that all get the same time. The client that began first is
 * due first, so a look at one entry is enough.
 *
 * @module
 */

/** Deadlines of clients, by a number such as the descriptor. In milliseconds. */
export class Deadlines {
  readonly #patience: number;
  /** In the order in which they are due. */
  readonly #due = new Map<number, number>();

  /** @param patience how long each client gets, in milliseconds */
  constructor(patience: number) {
    this.#patience = patience;
  }

  /** The number of clients. */
  get size(): number {
    return this.#due.size;
  }

  /** Starts a client's time anew. */
  start(client: number, now: number): void {
    this.#due.delete(client);
    this.#due.set(client, now + this.#patience);
  }

  /** The client that is due first, undefined if there is none. */
  first(): number | undefined {
    for (const client of this.#due.keys()) return client;
  }

  /** Removes a client. */
  stop(client: number): void {
    this.#due.delete(client);
  }

  /** When the next client is due; Infinity if there is none. */
  next(): number {
    for (const time of this.#due.values()) return time;
    return Infinity;
  }

  /** The clients whose time is over; each is removed as it is given. */
  *expired(now: number): Generator<number> {
    for (const [client, time] of this.#due) {
      if (time > now) return;
      this.#due.delete(client);
      yield client;
    }
  }
}
