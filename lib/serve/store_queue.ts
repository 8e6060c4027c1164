/**
 * The store as the event loop sees it: a question about a client, and later an
 * answer, which a worker of worker_pool.ts finds. No client waits longer than
 * storeTimeout.
 *
 * @module
 */

import type { Verdict } from "../store/policy.ts";
import { Breaker } from "./breaker.ts";
import { Deadlines } from "./deadlines.ts";
import type { Notice } from "./hang.ts";
import type { Answer, Question } from "./store_slots.ts";
import { type Starter, WorkerPool } from "./worker_pool.ts";

/** How many names of entries are remembered, at some 100 bytes each. */
const REMEMBERED = 10_000;

/**
 * How late the event loop may come to give a question up, in milliseconds. After a
 * stall of the machine, or of the loop, the answer may be there or about to come: the
 * question then gets so much time again, once.
 */
const LATE = 100;

/** How often the log says the same about the store, in milliseconds. */
const REMINDER = 60_000;

/** How many different errors are told apart. */
const ERRORS = 16;

/** Why a client could not be checked. */
export interface Unchecked {
  readonly message: string;
  /** Whether the log says so already, for all such clients together. */
  readonly isLogged: boolean;
}

/** Called once, with the verdict or with the reason why there is none. */
export type Done = (result: Verdict | Unchecked) => void;

/** What a queue works with. */
export interface Setup extends Starter {
  /** How long a client may have to wait for its verdict, in milliseconds. */
  readonly limit: number;
  /** Called with what the log is to say about a store that hangs. */
  say(notice: Notice): void;
}

interface Job extends Question {
  readonly id: number;
  /** Set when a worker gets the question. */
  isNew: boolean;
  /** Undefined if the client no longer waits for the store. */
  done: Done | undefined;
}

/** All questions about clients. Times are milliseconds unless it says otherwise. */
export class StoreQueue {
  readonly #limit: number;
  readonly #breaker: Breaker;
  readonly #deadlines: Deadlines;
  /** Those of questions that are looked for once more. */
  readonly #lastLooks = new Deadlines(LATE);
  readonly #pool: WorkerPool<Job>;
  /** By number; those that no worker has yet stand in {@linkcode #waiting}. */
  readonly #jobs = new Map<number, Job>();
  readonly #waiting: Job[] = [];
  /** Entries that were asked about: any other client is a new one most likely. */
  readonly #seen = new Set<string>();
  /** When the log last had an error, by its text without the entry's name. */
  readonly #errors = new Map<string, number>();
  #count = 0;

  constructor(setup: Setup) {
    this.#limit = setup.limit;
    this.#breaker = new Breaker(setup.limit, setup.say);
    this.#deadlines = new Deadlines(setup.limit);
    this.#pool = new WorkerPool<Job>(
      setup,
      (job, answer, now) => this.#answered(job, answer, now),
    );
  }

  /** Whether no worker has anything to do. */
  get isIdle(): boolean {
    return this.#pool.isIdle;
  }

  /** Whether a worker has been waiting for the base directory for too long. */
  isHanging(now: number): boolean {
    return this.#pool.isHanging(now);
  }

  /**
   * Asks about a client. {@linkcode flush} has to follow.
   *
   * @param entry the name of its entry
   * @param time seconds since 1970
   * @param now from `performance.now()`
   * @param done is called later, or now if the store is left alone
   */
  ask(entry: string, time: number, now: number, done: Done): void {
    if (!this.#breaker.mayAsk(now)) {
      this.#breaker.missed(now);
      return done({
        message: "the base directory does not answer",
        isLogged: true,
      });
    }
    const job: Job = { id: this.#count++, entry, now: time, isNew: true, done };
    this.#jobs.set(job.id, job);
    this.#deadlines.start(job.id, now);
    this.#waiting.push(job);
    this.#hand(now);
  }

  /** Calls the workers that were asked something. */
  flush(): void {
    this.#pool.flush();
  }

  /** Takes the answers that are there. */
  settle(now: number): void {
    this.#pool.settle(now);
    this.#hand(now);
  }

  /** When {@linkcode expire} has something to do; Infinity for never. */
  next(): number {
    return Math.min(
      this.#deadlines.next(),
      this.#lastLooks.next(),
      this.#pool.next(),
      this.#breaker.next(),
    );
  }

  /**
   * Gives up questions that have taken too long, takes other questions back from
   * workers that are silent, starts another worker, and ends workers that are idle.
   * Reports the end of a hang to the log.
   */
  expire(now: number): void {
    this.settle(now);
    const isLate = now - this.#deadlines.next() > LATE;
    for (const id of this.#deadlines.expired(now)) {
      if (isLate) this.#lastLooks.start(id, now);
      else this.#giveUp(id, now);
    }
    for (const id of this.#lastLooks.expired(now)) this.#giveUp(id, now);
    this.#breaker.expire(now);
    for (const job of this.#pool.withdrawn()) this.#waiting.push(job);
    this.#hand(now);
    // The questions that wanted another worker may just have been given up.
    if (this.#waiting.length > 0 && this.#pool.grow(now)) this.#hand(now);
    this.#pool.dismiss(now);
    this.flush();
  }

  #giveUp(id: number, now: number): void {
    this.#breaker.missed(now);
    const limit = this.#limit / 1000;
    const message = `no answer from the base directory within ${limit} s`;
    // The breaker logs it, in one line for all clients that are too late.
    this.#finish(id, { message, isLogged: true });
  }

  #answered({ id, entry }: Job, { result, took }: Answer, now: number): void {
    if (typeof result === "string") {
      return this.#finish(id, this.#unchecked(result, entry, now));
    }
    // An answer that comes too late is no sign that the store is well, and
    // neither is an error.
    if (took < this.#limit) this.#breaker.answered(now);
    this.#finish(id, result);
  }

  /** An error counts as logged if the log has had it within the last minute. */
  #unchecked(message: string, entry: string, now: number): Unchecked {
    const text = message.replace(`/${entry}:`, "");
    const said = this.#errors.get(text);
    if (said !== undefined && now - said < REMINDER) {
      return { message, isLogged: true };
    }
    if (this.#errors.size >= ERRORS) this.#errors.clear();
    this.#errors.set(text, now);
    return { message, isLogged: false };
  }

  #finish(id: number, result: Verdict | Unchecked): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    this.#jobs.delete(id);
    this.#deadlines.stop(id);
    this.#lastLooks.stop(id);
    const { done } = job;
    job.done = undefined;
    done?.(result);
  }

  /** Hands questions to workers that can take some. */
  #hand(now: number): void {
    while (this.#waiting.length > 0) {
      const job = this.#waiting[0];
      // Without done the client was given up.
      if (job.done !== undefined) {
        job.isNew = !this.#seen.has(job.entry);
        if (!this.#pool.ask(job, now)) return;
        if (this.#seen.size >= REMEMBERED) this.#seen.clear();
        this.#seen.add(job.entry);
      }
      this.#waiting.shift();
    }
  }
}
