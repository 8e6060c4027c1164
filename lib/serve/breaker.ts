/**
 * When the store is left alone: after several clients in a row for whom it was
 * too slow, it is not asked for some seconds, and then about one client. Without
 * that, each client would wait for the whole limit while a disk hangs.
 *
 * @module
 */

/** How many decisions in a row have to come too late. */
const IN_A_ROW = 3;

/** How long the store is left alone until one client tries it, in milliseconds. */
const PAUSE = 5000;

/** How often it is said that the store hangs, in milliseconds. */
const REMINDER = 60_000;

/** What is to be said in the log. */
export interface Notice {
  readonly state: "begins" | "lasts" | "ended";
  /** How many clients were not checked since the last notice. */
  readonly clients: number;
}

/** Knows whether the store is to be asked. Times are milliseconds. */
export class Breaker {
  readonly #say: (notice: Notice) => void;
  #late = 0;
  /** When one client may try the store; undefined while the store answers. */
  #probeAt: number | undefined;
  #clients = 0;
  #saidAt = 0;

  /** @param say is told what the log is to say */
  constructor(say: (notice: Notice) => void) {
    this.#say = say;
  }

  /** Whether the store is left alone. */
  get isOpen(): boolean {
    return this.#probeAt !== undefined;
  }

  /** Whether the store is to be asked about the client that comes now. */
  mayAsk(now: number): boolean {
    if (this.#probeAt === undefined) return true;
    if (now < this.#probeAt) return false;
    this.#probeAt = now + PAUSE;
    return true;
  }

  /** The store has given a verdict in time. */
  answered(now: number): void {
    this.#late = 0;
    if (this.#probeAt === undefined) return;
    this.#probeAt = undefined;
    this.#tell("ended", now);
  }

  /** A client could not be checked: the answer came too late, or none was asked. */
  missed(now: number): void {
    this.#clients++;
    this.#late++;
    if (this.#probeAt === undefined) {
      if (this.#late < IN_A_ROW) return;
      this.#probeAt = now + PAUSE;
      this.#tell("begins", now);
    } else if (now - this.#saidAt >= REMINDER) {
      this.#tell("lasts", now);
    }
  }

  #tell(state: Notice["state"], now: number): void {
    const clients = this.#clients;
    this.#clients = 0;
    this.#saidAt = now;
    this.#say({ state, clients });
  }
}
