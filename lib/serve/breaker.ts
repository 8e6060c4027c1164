/**
 * A circuit breaker for the store. After three decisions in a row that came too
 * late, the store is asked about no client for a pause, and then about one.
 * Without it, each client would wait for the whole storeTimeout while a disk hangs.
 *
 * All that the log says about late decisions comes from here; see hang.ts.
 *
 * @module
 */

import { Hang, type Notice } from "./hang.ts";

/** How many decisions in a row have to come too late. */
const IN_A_ROW = 3;

/**
 * How long the store is left alone at least until one client tries it, in
 * milliseconds.
 */
const PAUSE = 5000;

/** The circuit breaker: whether the store may be asked. Times are milliseconds. */
export class Breaker {
  readonly #pause: number;
  readonly #hang: Hang;
  #late = 0;
  /** When one client may try the store; undefined while the store answers. */
  #probeAt: number | undefined;
  /** How many clients were not checked since the last notice. */
  #clients = 0;

  /**
   * @param limit how long a client may wait for its verdict. A pause is not shorter,
   * so that one client has its verdict or none before the next one tries the store
   * @param say called with what the log is to say, and with how many clients were
   * not checked since the last notice
   */
  constructor(limit: number, say: (notice: Notice) => void) {
    this.#pause = Math.max(PAUSE, limit);
    this.#hang = new Hang((state) => {
      const clients = this.#clients;
      this.#clients = 0;
      say({ state, clients });
    });
  }

  /** Whether the store is left alone. */
  get isOpen(): boolean {
    return this.#probeAt !== undefined;
  }

  /** Whether the store is to be asked about the client that comes now. */
  mayAsk(now: number): boolean {
    if (this.#probeAt === undefined) return true;
    if (now < this.#probeAt) return false;
    this.#probeAt = now + this.#pause;
    return true;
  }

  /** Counts a verdict that came in time: the store is asked about all clients. */
  answered(now: number): void {
    this.#late = 0;
    this.#probeAt = undefined;
    this.#hang.inTime(now);
  }

  /** When {@linkcode expire} has something to do; Infinity for never. */
  next(): number {
    return this.#hang.next();
  }

  /** Tells the end of a hang. */
  expire(now: number): void {
    this.#hang.expire(now);
  }

  /**
   * Counts a client that could not be checked: the answer came too late, or the
   * store was not asked. The log reports the first such client at once. If the disk
   * is late only now and then, the log reports such clients once a minute.
   */
  missed(now: number): void {
    this.#clients++;
    this.#late++;
    if (this.#late >= IN_A_ROW) this.#probeAt ??= now + this.#pause;
    this.#hang.late(now, this.isOpen);
  }
}
