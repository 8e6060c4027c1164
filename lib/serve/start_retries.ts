/**
 * How many of the clients that wait are tried after a start of PROGRAM has failed. Each
 * client whose start fails is refused, so a PROGRAM that is missing for a moment must
 * not cost all of them. Pure.
 *
 * @module
 */

/** How long clients that wait are spared after a start has failed, in milliseconds. */
const RETRY = 1000;

/** The clients that may be tried. Times are milliseconds. */
export class StartRetries {
  /** How many more; Infinity while no start has failed. */
  #left = Infinity;
  /** When one more is tried; Infinity while no start has failed. */
  #next = Infinity;

  /** Whether the last start has failed, and no client was tried after it. */
  get hasFailed(): boolean {
    return this.#next !== Infinity;
  }

  /** Whether a client may be tried. */
  get mayTry(): boolean {
    return this.#left > 0;
  }

  /** When {@linkcode expire} has something to do; Infinity for never. */
  next(): number {
    return this.#next;
  }

  /** One client is tried. */
  take(): void {
    this.#left--;
  }

  /** One more client may be tried, even if the last start has failed. */
  allowOne(): void {
    this.#left = Math.max(1, this.#left);
  }

  succeeded(): void {
    this.#left = this.#next = Infinity;
  }

  failed(now: number): void {
    this.#left = 0;
    this.#next = Math.min(this.#next, now + RETRY);
  }

  /** @returns whether it is time to try one more client */
  expire(now: number): boolean {
    if (now < this.#next) return false;
    this.#next = Infinity;
    this.allowOne();
    return true;
  }
}
