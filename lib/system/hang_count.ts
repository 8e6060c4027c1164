/**
 * How many wrappers wait for a path that hangs: the base directory or the log file.
 * A wrapper whose call hangs cannot end before the call does, so it stays one of the
 * connections that tcpserver's `-c` allows. With enough of them the next ones leave
 * the path alone, except for one at a time that tries. If that one hangs as well,
 * another one tries after a minute, and then in intervals that double: a call may be
 * lost for ever, such as by a daemon that was started anew, while new calls are
 * answered.
 *
 * The count is a semaphore: no file may be touched here, and the kernel takes a
 * process out of the count when its last thread has ended.
 *
 * @module
 */

import { Semaphores } from "./semaphore.ts";
import { type Budget, withinBudget } from "./within.ts";

/** How many may wait, besides the one that tries. */
export const MOST_WAITING = 8;

/** How long the first one that tries is waited for, in seconds. */
const PATIENCE = 60;

/** The semaphores: how many wait, and how many of these have tried. */
const WAITING = 0, TRYING = 1, COUNT = 2;

/** The count as one wrapper sees it. Without semaphores nothing is known. */
export class HangCount {
  readonly #path: string;
  /** Undefined while nobody waits, as far as is known. */
  #set: Semaphores | undefined;
  #isHigh: boolean | undefined;
  #isCounted = false;

  #isFirst = false;

  /** @param path what may hang */
  constructor(path: string) {
    this.#path = path;
  }

  /** Whether this wrapper is the first one with a call that hangs, as far as is known. */
  get isFirst(): boolean {
    return this.#isFirst;
  }

  /** Whether enough wait for the path. */
  get isHigh(): boolean {
    return this.#isHigh ??= attempt(() => {
      const set = Semaphores.find(this.#path, COUNT);
      const waiting = set?.value(WAITING) ?? 0;
      if (waiting > 0) this.#set = set;
      return waiting >= MOST_WAITING;
    }, false);
  }

  /**
   * Whether this wrapper may make calls on the path. If it may, {@linkcode ask},
   * {@linkcode answered} or {@linkcode hangs} has to follow.
   *
   * @param now seconds since 1970
   */
  mayAsk(now: number): boolean {
    if (!this.isHigh) return true;
    return attempt(() => {
      const set = this.#set!;
      if (set.addToZero(TRYING)) return true;
      const tried = Math.max(0, set.value(TRYING) - 1);
      const passed = now - set.lastAdded;
      // It is negative if the clock was set back.
      if (passed >= 0 && passed < PATIENCE * 2 ** tried) return false;
      // That sets the time for all others.
      set.add(TRYING);
      return true;
    }, true);
  }

  /**
   * The path has answered.
   *
   * @param hasWritten whether a call that hung has returned, or an entry was written.
   * Only then those that have waited count no more: while writes alone hang
   * (fsfreeze(8)), the answer to a client that is early proves nothing.
   */
  answered(hasWritten = true): void {
    attempt(() => {
      if (hasWritten) this.#set?.set(WAITING, 0);
      this.#set?.set(TRYING, 0);
    }, undefined);
  }

  /**
   * Waits for a call. If it takes longer than the limit, it hangs: this wrapper
   * counts until it ends, or until the call returns.
   *
   * @param budget the limit, from which the wait is taken
   * @returns undefined if the call hangs
   */
  async ask<T>(
    call: Promise<T>,
    budget: Budget,
  ): Promise<{ readonly value: T } | undefined> {
    const found = await withinBudget(call, budget);
    if (found === undefined) {
      this.hangs();
      // It may return while this process waits for PROGRAM.
      const returned = () => this.answered();
      call.then(returned, returned);
    }
    return found;
  }

  /** A call hangs: this wrapper counts until it ends, or has an answer. */
  hangs(): void {
    if (this.#isCounted) return;
    this.#isCounted = true;
    this.#isFirst = attempt(() => {
      const set = Semaphores.findOrMake(this.#path, COUNT);
      if (set === undefined) return true;
      const isFirst = set.addToZero(WAITING);
      if (!isFirst) set.add(WAITING);
      this.#set = set;
      return isFirst;
    }, true);
  }
}

/** Some containers have no semaphores. */
function attempt<T>(work: () => T, otherwise: T): T {
  try {
    return work();
  } catch {
    return otherwise;
  }
}
