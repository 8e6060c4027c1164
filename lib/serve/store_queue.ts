/**
 * The store as the event loop sees it: a question, and later an answer. Workers
 * make the calls on files, so that a slow disk holds up only the clients that have
 * to be looked up on it, and these no longer than storeTimeout.
 *
 * One worker is enough for a local disk. On one of other machines a decision
 * takes some 20 ms, and up to {@linkcode WORKERS} workers ask at once; each takes
 * 11 MB.
 *
 * @module
 */

import type { Verdict } from "../store/policy.ts";
import { Breaker, type Notice } from "./breaker.ts";
import { Deadlines } from "./deadlines.ts";
import { SLOTS, StoreSlots } from "./store_slots.ts";

/** How many workers there are at most, and so how many calls can hang. */
const WORKERS = 8;

/**
 * From when on an answer is slow, in milliseconds. On a local disk a new client takes
 * 0.3, or 1 on a busy machine, and a second worker would only take 11 MB.
 */
const SLOW = 1.5;

/**
 * The same if the file system may ask another machine. On GlusterFS a new client
 * takes 20, and an early one 1 to 2.
 */
const SLOW_REMOTE = 0.5;

/**
 * How many more slow answers than others a worker gives until it gets one question
 * at a time. Its first few are slow on any disk: the thread has only begun.
 */
const TOO_SLOW = 8;

/** How long a worker may be silent until others get its questions, likewise. */
const SILENT = 100;

/** From when on a worker counts as one that hangs, likewise. */
const HANGING = 1000;

/** How long a worker besides the first one stays without work, likewise. */
const IDLE = 60_000;

/** How many names of entries are remembered, at some 100 bytes each. */
const REMEMBERED = 10_000;

/** How often the log says the same about the store, in milliseconds. */
const REMINDER = 60_000;

/** How many different errors are told apart. */
const ERRORS = 16;

/** Why a client could not be checked. */
export interface Unchecked {
  readonly message: string;
  /** Whether the log says so already, for all such clients together. */
  readonly known: boolean;
}

/** Called once, with the verdict or with the reason why there is none. */
export type Done = (result: Verdict | Unchecked) => void;

/** What a queue works with. */
export interface Setup {
  /** How long a client may have to wait for its verdict, in milliseconds. */
  readonly limit: number;
  /** Whether another worker can be started now. */
  canStart(): boolean;
  /** Starts a worker on the memory that is shared with it. */
  start(memory: SharedArrayBuffer): void;
  /** Called with what the log is to say about a store that hangs. */
  say(notice: Notice): void;
}

interface Job {
  readonly id: number;
  readonly entry: string;
  /** Seconds since 1970. */
  readonly time: number;
  /** Undefined if the client no longer waits for the store. */
  done: Done | undefined;
}

interface Worker {
  readonly slots: StoreSlots;
  readonly free: number[];
  /** What was asked, by slot. */
  readonly asked: Map<number, Job>;
  /** How many more answers were slow than not, from 0 to twice TOO_SLOW. */
  slowness: number;
  /** When it last answered, or got work after it had none. */
  heard: number;
  /** Whether it was asked something and has not been called since. */
  isToBeCalled: boolean;
}

/** All questions about clients. Times are milliseconds unless it says otherwise. */
export class StoreQueue {
  readonly #setup: Setup;
  readonly #breaker: Breaker;
  readonly #deadlines: Deadlines;
  readonly #workers: Worker[] = [];
  /** By number; those that no worker has yet stand in {@linkcode #waiting}. */
  readonly #jobs = new Map<number, Job>();
  readonly #waiting: Job[] = [];
  /** Entries that were asked about: any other client is a new one most likely. */
  readonly #seen = new Set<string>();
  /** When the log last had an error, by its text without the entry's name. */
  readonly #errors = new Map<string, number>();
  #count = 0;
  /** When answers were last looked for. */
  #looked = 0;

  constructor(setup: Setup) {
    this.#setup = setup;
    this.#breaker = new Breaker(setup.say);
    this.#deadlines = new Deadlines(setup.limit);
    this.#start(0);
  }

  /** Whether no worker has anything to do. */
  get isIdle(): boolean {
    return this.#workers.every(({ asked }) => asked.size === 0);
  }

  /** Whether a worker has been waiting for the base directory for too long. */
  isHanging(now: number): boolean {
    return this.#workers.some(({ asked, heard }) =>
      asked.size > 0 && now - heard >= HANGING
    );
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
        known: true,
      });
    }
    const job: Job = { id: this.#count++, entry, time, done };
    this.#jobs.set(job.id, job);
    this.#deadlines.start(job.id, now);
    this.#waiting.push(job);
    this.#hand(now);
  }

  /** Calls the workers that were asked something. */
  flush(): void {
    for (const worker of this.#workers) {
      if (!worker.isToBeCalled) continue;
      worker.isToBeCalled = false;
      worker.slots.call();
    }
  }

  /** Takes the answers that are there. */
  settle(now: number): void {
    this.#looked = now;
    for (const worker of this.#workers) {
      if (worker.asked.size > 0) this.#listen(worker, now);
    }
    this.#hand(now);
  }

  /** When {@linkcode expire} has something to do; Infinity for never. */
  next(): number {
    let next = this.#deadlines.next();
    if (this.#workers.length > 1) next = Math.min(next, this.#idleAt());
    for (const { asked, heard } of this.#workers) {
      if (asked.size > 1) next = Math.min(next, heard + SILENT);
    }
    return next;
  }

  /**
   * Gives up questions that have taken too long, takes them away from workers that
   * are silent, and ends workers that are idle.
   */
  expire(now: number): void {
    this.settle(now);
    for (const id of this.#deadlines.expired(now)) {
      this.#breaker.missed(now);
      const limit = this.#setup.limit / 1000;
      const message = `no answer from the base directory within ${limit} s`;
      // The breaker has it said, for all clients that are too late together.
      this.#finish(id, { message, known: true });
    }
    for (const worker of this.#workers) {
      if (worker.asked.size > 1 && this.#isSilent(worker)) {
        this.#relieve(worker);
      }
    }
    this.#hand(now);
    if (this.#workers.length > 1 && now >= this.#idleAt()) this.#dismiss(now);
    this.flush();
  }

  #listen(worker: Worker, now: number): void {
    const { slots, asked, free } = worker;
    for (const [slot, { id, entry }] of asked) {
      const answer = slots.takeAnswer(slot);
      if (answer === undefined) continue;
      asked.delete(slot);
      free.push(slot);
      worker.heard = now;
      const { result, took } = answer;
      worker.slowness = took >= slowFrom(worker)
        ? Math.min(worker.slowness + 1, 2 * TOO_SLOW)
        : Math.max(worker.slowness - 1, 0);
      if (typeof result === "string") {
        this.#finish(id, this.#unchecked(result, entry, now));
        continue;
      }
      // An answer that comes too late is no sign that the store is well, and
      // neither is an error.
      if (took < this.#setup.limit) this.#breaker.answered(now);
      this.#finish(id, result);
    }
  }

  /** An error is known if the log has had it within the last minute. */
  #unchecked(message: string, entry: string, now: number): Unchecked {
    const text = message.replace(`/${entry}:`, "");
    const said = this.#errors.get(text);
    if (said !== undefined && now - said < REMINDER) {
      return { message, known: true };
    }
    if (this.#errors.size >= ERRORS) this.#errors.clear();
    this.#errors.set(text, now);
    return { message, known: false };
  }

  #finish(id: number, result: Verdict | Unchecked): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    this.#jobs.delete(id);
    this.#deadlines.stop(id);
    const { done } = job;
    job.done = undefined;
    done?.(result);
  }

  /** Hands questions to workers that can take some. */
  #hand(now: number): void {
    while (this.#waiting.length > 0) {
      // The client was given up, or the worker that had it first has answered.
      if (this.#waiting[0].done === undefined) {
        this.#waiting.shift();
        continue;
      }
      const worker = this.#workers.find((each) => this.#canTake(each));
      if (worker === undefined) return this.#grow(now);
      const slot = worker.free.pop()!;
      const job = this.#waiting.shift()!;
      if (worker.asked.size === 0) worker.heard = now;
      worker.asked.set(slot, job);
      worker.isToBeCalled = true;
      const { entry, time } = job;
      const isNew = !this.#seen.has(entry);
      if (this.#seen.size >= REMEMBERED) this.#seen.clear();
      this.#seen.add(entry);
      worker.slots.ask(slot, { entry, now: time, isNew });
    }
  }

  /** Starts another worker, but only if all others wait for the disk. */
  #grow(now: number): void {
    const all = this.#workers;
    const isWanted = all.length < WORKERS &&
      all.every((each) => this.#isSlow(each));
    if (!isWanted || !this.#setup.canStart()) return;
    this.#start(now);
    this.#hand(now);
  }

  #start(now: number): void {
    const slots = new StoreSlots();
    this.#workers.push({
      slots,
      free: Array.from({ length: SLOTS }, (_, slot) => slot),
      asked: new Map(),
      // Another worker is started only if the disk is slow.
      slowness: this.#workers.length === 0 ? 0 : TOO_SLOW,
      heard: now,
      isToBeCalled: false,
    });
    this.#setup.start(slots.memory);
  }

  /** Takes back what a worker that hangs has not begun with. */
  #relieve({ slots, asked, free }: Worker): void {
    for (const [slot, job] of asked) {
      if (!slots.withdraw(slot)) continue;
      asked.delete(slot);
      free.push(slot);
      if (job.done !== undefined) this.#waiting.push(job);
    }
  }

  #idleAt(): number {
    return Math.min(
      ...this.#workers.slice(1).map(({ asked, heard }) =>
        asked.size === 0 ? heard + IDLE : Infinity
      ),
    );
  }

  #dismiss(now: number): void {
    for (let i = this.#workers.length - 1; i > 0; i--) {
      const { asked, heard, slots } = this.#workers[i];
      if (asked.size > 0 || now < heard + IDLE) continue;
      this.#workers.splice(i, 1);
      slots.end();
    }
  }

  /**
   * An answer may be there that this thread was too busy to look at: a thousand
   * clients at once keep it busy for 100 ms.
   */
  #isSilent({ asked, heard }: Worker): boolean {
    return asked.size > 0 && this.#looked - heard >= SILENT;
  }

  #isSlow(worker: Worker): boolean {
    return worker.slowness >= TOO_SLOW || this.#isSilent(worker);
  }

  #canTake(worker: Worker): boolean {
    const most = this.#isSlow(worker) ? 1 : SLOTS;
    return worker.asked.size < most;
  }
}

/** From when on an answer of a worker is slow, in milliseconds. */
function slowFrom({ slots }: Worker): number {
  return slots.isRemote ? SLOW_REMOTE : SLOW;
}
