/**
 * What the log says about something that hangs: one line at its beginning, one a
 * minute, and one at its end. A disk that is overloaded is late and in time by
 * turns: its hang has ended when nothing was late for five seconds.
 *
 * @module
 */

import { formatLine, quote } from "../log/line.ts";

/** How long nothing may be late until a hang has ended, in milliseconds. */
const CALM = 5000;

/** How often the log says that something still hangs, in milliseconds. */
const REMINDER = 60_000;

/** What is to be said in the log. */
export interface Notice {
  readonly state: "begins" | "lasts" | "ended";
  /** How many clients it is about. */
  readonly clients: number;
}

/**
 * The log line of a notice.
 *
 * @param verb its first word: what hangs
 */
export function hangLine(
  verb: "store" | "start",
  { state, clients }: Notice,
  what: string,
): string {
  return formatLine(verb, { hang: state, clients, what: quote(what) });
}

/** One thing that may hang, such as a disk. Times are milliseconds. */
export class Hang {
  readonly #say: (state: Notice["state"]) => void;
  /** Whether the log has a beginning without an end. */
  #hasBegun = false;
  /** When the log gets that end; Infinity if none is due. */
  #endAt = Infinity;
  #remindAt = -Infinity;

  /** @param say called with what the log is to say */
  constructor(say: (state: Notice["state"]) => void) {
    this.#say = say;
  }

  /** Whether the log has the beginning of a hang, and no end is due. */
  get isUnderWay(): boolean {
    return this.#hasBegun && this.#endAt === Infinity;
  }

  /** From when on {@linkcode late} says that it lasts. */
  get remindAt(): number {
    return this.#remindAt;
  }

  /**
   * Takes note that something is late.
   *
   * @param isSure whether that is a hang even if the last line is less than a
   * minute old
   */
  late(now: number, isSure: boolean): void {
    this.#endAt = Infinity;
    if (now < this.#remindAt && (this.#hasBegun || !isSure)) return;
    this.#tell(this.#hasBegun ? "lasts" : "begins", now);
  }

  /** Takes note that nothing is late. */
  inTime(now: number): void {
    if (this.isUnderWay) this.#endAt = now + CALM;
  }

  /** When {@linkcode expire} has something to do; Infinity for never. */
  next(): number {
    return this.#endAt;
  }

  /** Tells the end of a hang. */
  expire(now: number): void {
    if (now >= this.#endAt) this.#tell("ended", now);
  }

  #tell(state: Notice["state"], now: number): void {
    this.#endAt = Infinity;
    this.#hasBegun = state !== "ended";
    this.#remindAt = now + REMINDER;
    this.#say(state);
  }
}
