/**
 * How often the log says the same at most.
 *
 * @module
 */

/** The time between two lines that say the same, in milliseconds. */
const INTERVAL = 60_000;

/** One thing that the log says once a minute at most. */
export class Reminder {
  #last = -Infinity;

  /**
   * Whether the log is to say it now; then it has said it.
   *
   * @param now from `performance.now()`
   */
  isDue(now: number): boolean {
    if (now - this.#last < INTERVAL) return false;
    this.#last = now;
    return true;
  }
}
