/**
 * A circuit breaker for the store. After three decisions in a row that came too
 * late, the store is asked about no client for five seconds, and then about one.
 * Without it, each client would wait for the whole storeTimeout while a disk hangs.
 *
 * All that the log says about late decisions comes from here, so that a hang is one
 * line at its beginning, one a minute, and one at its end. A store that is
 * overloaded is late and in time by turns: its hang has ended when no decision was
 * late for five seconds.
 *
 * @module
 */

/** How many decisions in a row have to come too late. */
const IN_A_ROW = 3;

/** How long the store is left alone until one client tries it, in milliseconds. */
const PAUSE = 5000;

/** How long no decision may be late until a hang has ended, in milliseconds. */
const CALM = 5000;

/** How often the log says that the store still hangs, in milliseconds. */
const REMINDER = 60_000;

/** What is to be said in the log. */
export interface Notice {
  readonly state: "begins" | "lasts" | "ended";
  /** How many clients were not checked since the last notice. */
  readonly clients: number;
}

/** The circuit breaker: whether the store may be asked. Times are milliseconds. */
export class Breaker {
  readonly #say: (notice: Notice) => void;
  #late = 0;
  /** When one client may try the store; undefined while the store answers. */
  #probeAt: number | undefined;
  #clients = 0;
  /** Whether the log has a beginning without an end. */
  #hasBegun = false;
  /** When the log gets that end; Infinity if none is due. */
  #endAt = Infinity;
  #saidAt = -Infinity;

  /** @param say called with what the log is to say */
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

  /** Counts a verdict that came in time: the store is asked about all clients. */
  answered(now: number): void {
    this.#late = 0;
    this.#probeAt = undefined;
    if (this.#hasBegun && this.#endAt === Infinity) this.#endAt = now + CALM;
  }

  /** When {@linkcode expire} has something to do; Infinity for never. */
  next(): number {
    return this.#endAt;
  }

  /** Tells the end of a hang. */
  expire(now: number): void {
    if (now >= this.#endAt) this.#tell("ended", now);
  }

  /**
   * Counts a client that could not be checked: the answer came too late, or the
   * store was not asked. The first one is told at once; on a disk that is late now
   * and then, such a client is told once a minute.
   */
  missed(now: number): void {
    this.#endAt = Infinity;
    this.#clients++;
    this.#late++;
    if (this.#late >= IN_A_ROW) this.#probeAt ??= now + PAUSE;
    const isTimely = now - this.#saidAt >= REMINDER;
    const isNews = this.isOpen && !this.#hasBegun;
    if (!isTimely && !isNews) return;
    this.#tell(this.#hasBegun ? "lasts" : "begins", now);
  }

  #tell(state: Notice["state"], now: number): void {
    const clients = this.#clients;
    this.#clients = 0;
    this.#endAt = Infinity;
    this.#hasBegun = state !== "ended";
    this.#saidAt = now;
    this.#say({ state, clients });
  }
}
