/**
 * The base directory as the wrapper asks it: in other threads, and with one time limit
 * for all calls of a check. Once it does not answer, it is asked nothing more.
 *
 * @module
 */

import type { Timeouts, Verdict } from "./policy.ts";
import { Store } from "./store.ts";
import { C } from "../system/constants.ts";
import { lookAt } from "../system/file_call.ts";
import { HangCount, MOST_WAITING } from "../system/hang_count.ts";
import type { Budget } from "../system/within.ts";
import {
  type IndexDirectory,
  makeIndexes,
  type MissingIndex,
} from "../whitelist/cache.ts";

/** The base directory hangs. */
export class DirectoryHangs extends Error {
  /** @param isLogged whether the log has an ERROR about that already */
  constructor(message: string, readonly isLogged: boolean) {
    super(message);
  }
}

/** What is found out about the directory, also if the check fails. */
export interface DirectoryFindings {
  /** Whether a call hangs in another thread. */
  hangs: boolean;
  /** Settled when the indexes that were missing are made. Never rejects. */
  indexes?: Promise<void>;
}

/** The directory in one check. */
export class CheckedDirectory {
  readonly #path: string;
  readonly #gate: HangCount;
  readonly #budget: Budget;
  readonly #noAnswer: string;
  readonly #findings: DirectoryFindings;
  readonly #missing = new Map<string, MissingIndex>();
  readonly #indexes: IndexDirectory;
  #hasLooked = false;

  /**
   * @param budget what all calls may take together, of `seconds`
   * @param findings is filled in
   */
  constructor(
    path: string,
    budget: Budget,
    seconds: number,
    findings: DirectoryFindings,
  ) {
    this.#path = path;
    this.#gate = new HangCount(path);
    this.#budget = budget;
    this.#noAnswer = `${path}: no answer within ${seconds} s`;
    this.#findings = findings;
    this.#indexes = {
      path,
      missing: (index) => this.#missing.set(index.path, index),
    };
  }

  /** @returns undefined if there is no answer in time */
  async #ask<T>(
    answer: Promise<T>,
  ): Promise<{ readonly value: T } | undefined> {
    const found = await this.#gate.ask(answer, this.#budget);
    this.#findings.hangs = found === undefined;
    return found;
  }

  /** Finds out whether it answers, before an index is read. */
  async look(): Promise<void> {
    if (this.#hasLooked) return;
    this.#hasLooked = true;
    // What the kernel remembers of a file server would not tell.
    const sync = C.AT_STATX_FORCE_SYNC;
    if (!this.#gate.isHigh) {
      await this.#ask(lookAt(this.#path, true, sync).later());
    }
  }

  /**
   * The directory of the indexes; undefined if none may be read. A file may have become
   * large since it was found to have no index, so {@linkcode look} comes first.
   */
  get indexes(): IndexDirectory | undefined {
    return !this.#hasLooked || this.#findings.hangs || this.#gate.isHigh
      ? undefined
      : this.#indexes;
  }

  /** Makes the indexes that were missing. If that hangs, the decision stands. */
  async makeIndexes(): Promise<void> {
    if (this.#missing.size === 0 || this.#findings.hangs) return;
    const missing = [...this.#missing.values()];
    this.#missing.clear();
    this.#findings.indexes = makeIndexes(missing);
    await this.#ask(this.#findings.indexes);
  }

  /** Why it hangs, if it does and no other wrapper has said so; for the log. */
  get newProblem(): string | undefined {
    return this.#gate.isFirst ? this.#noAnswer : undefined;
  }

  /**
   * Decides about a client by its entry, and makes the indexes that were missing.
   *
   * @param now seconds since 1970
   * @throws {DirectoryHangs} if there is no answer in time, or the directory is left
   * alone because too many other wrappers wait for it
   * @throws {StoreError}
   */
  async decide(
    entry: string,
    now: number,
    timeouts: Timeouts,
  ): Promise<Verdict> {
    if (!this.#findings.hangs) {
      if (!this.#gate.mayAsk(now)) {
        const message =
          `${this.#path}: left alone, since ${MOST_WAITING} processes wait for it`;
        throw new DirectoryHangs(message, true);
      }
      const store = new Store(this.#path);
      const isLate = () => this.#findings.hangs;
      let hasWritten = false;
      try {
        const answer = store.decideLater(entry, now, timeouts, isLate);
        const decided = await this.#ask(answer);
        if (decided !== undefined) {
          hasWritten = decided.value.write !== "none";
          // The directory has not answered if it hangs here.
          await this.makeIndexes();
          return decided.value;
        }
      } finally {
        if (!this.#findings.hangs) this.#gate.answered(hasWritten);
      }
    }
    throw new DirectoryHangs(this.#noAnswer, !this.#gate.isFirst);
  }
}
