/**
 * Once a minute `serve` looks at the base directory: whether only the owner can
 * write there, and whether it is time to prune. The event loop waits for neither.
 *
 * @module
 */

import type { ResolvedConfig } from "../config.ts";
import { warnOfOpenDirectory } from "../decision.ts";
import { errorFields, formatLine } from "../log/line.ts";
import type { Logger } from "../log/targets.ts";
import { isPruningDueLater } from "../store/bookmark.ts";
import type { Database } from "../store/prune.ts";
import { statxLater } from "../system/file_call.ts";
import { readState } from "../system/statx.ts";
import { pruneInWorker } from "./workers.ts";

/** How often the base directory is looked at, in milliseconds. */
const INTERVAL = 60_000;

/**
 * How long nothing is pruned after the start, in milliseconds, so that clients that
 * have queued are served first. A pruning takes 10 MB, or 17 with 100,000 entries
 * to remove, and much of a processor.
 */
const START = 2000;

/**
 * How soon it is looked at again if another process prunes, in milliseconds: that
 * process may end before it has pruned everything. Each further look comes after
 * twice as long, up to {@linkcode INTERVAL}, since it starts a thread. On a shared
 * file system pruning takes minutes.
 */
const BUSY_INTERVAL = 5000;

/**
 * How long a look or a pruning may take until another look begins beside it, in
 * milliseconds; each further one takes twice as long. A call may be lost for ever,
 * such as on a mount that was replaced.
 */
const LOST = 3_600_000;

/** The base directory. Times are milliseconds. */
export class BaseDirectory {
  readonly #config: ResolvedConfig;
  readonly #log: () => Logger;
  readonly #wake: () => void;
  readonly #ownerMasked: boolean;
  #next = 0;
  /** When its mode is looked at again. */
  #nextMode = 0;
  /** From when on it may prune. */
  #pruneFrom = performance.now() + START;
  #busyInterval = BUSY_INTERVAL;
  /** How many looks are under way: one, unless it hangs or prunes for very long. */
  #looks = 0;
  /** When the last one began. */
  #began = 0;
  #isHeld = false;
  /** Ends the pruning that is under way. */
  #pruning = new AbortController();

  /**
   * @param ownerMasked see {@linkcode Database}
   * @param log gives the log as it is at that time
   * @param wake is called when {@linkcode next} has changed
   */
  constructor(
    config: ResolvedConfig,
    ownerMasked: boolean,
    log: () => Logger,
    wake: () => void,
  ) {
    this.#config = config;
    this.#ownerMasked = ownerMasked;
    this.#log = log;
    this.#wake = wake;
  }

  /** When {@linkcode expire} has something to do. */
  next(): number {
    return this.#isHeld ? Infinity : this.#next;
  }

  /** Whether no other thread looks or prunes. */
  get isIdle(): boolean {
    return this.#looks === 0;
  }

  /**
   * Looks no more. Pruning that is under way ends after the piece that has begun,
   * and the next look goes on with it.
   */
  hold(): void {
    this.#isHeld = true;
    this.#pruning.abort();
  }

  /** Looks again after {@linkcode hold}. */
  resume(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#pruning = new AbortController();
    this.#next = 0;
    this.#wake();
  }

  /** Begins to look, if it is time to. Never throws. */
  expire(now: number): void {
    if (this.#isHeld || now < this.#next) return;
    const mayPrune = now >= this.#pruneFrom;
    this.#next = mayPrune
      ? now + INTERVAL
      : Math.min(this.#pruneFrom, now + INTERVAL);
    const patience = LOST * 2 ** (this.#looks - 1);
    if (this.#looks > 0 && now - this.#began < patience) return;
    this.#looks++;
    this.#began = now;
    this.#look(now, mayPrune).finally(() => this.#looks--);
  }

  /** Never rejects. */
  async #look(now: number, mayPrune: boolean): Promise<void> {
    const { baseDir, timeouts, prune } = this.#config;
    if (now >= this.#nextMode) {
      this.#nextMode = now + INTERVAL;
      await this.#lookAtMode();
    }
    if (!mayPrune) return;
    if (!await isPruningDueLater(baseDir, prune.every)) {
      this.#busyInterval = BUSY_INTERVAL;
      return;
    }
    const ownerMasked = this.#ownerMasked;
    const database: Database = { baseDir, timeouts, prune, ownerMasked };
    try {
      const { signal } = this.#pruning;
      if (signal.aborted) return;
      const result = await pruneInWorker(database, signal);
      if (result === "busy") {
        this.#next = performance.now() + this.#busyInterval;
        this.#busyInterval = Math.min(2 * this.#busyInterval, INTERVAL);
      }
      this.#wake();
    } catch (error) {
      this.#log().warn(formatLine("prune", errorFields(error)));
      // The next pruning would most likely fail, and log, in the same way.
      this.#pruneFrom = performance.now() + prune.every * 1000;
    }
  }

  /** Never rejects. */
  async #lookAtMode(): Promise<void> {
    const { baseDir } = this.#config;
    // Deno.stat would want all permissions below /dev, such as in /dev/shm.
    const words = await statxLater(baseDir, 0);
    // If that fails, the check of the next client fails likewise, and logs it.
    const mode = words && readState(words).mode;
    warnOfOpenDirectory(baseDir, mode, this.#log());
  }
}
