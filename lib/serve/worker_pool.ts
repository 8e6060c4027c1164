/**
 * The workers that are asked about clients: which one gets a question, when another
 * one starts, and when it ends. Workers make the calls on files: a slow disk holds up
 * only clients that are looked up on it.
 *
 * One worker is enough for a local disk. On a file system of other machines a
 * decision takes some 20 ms, and up to {@linkcode WORKERS} workers ask at once; each
 * takes 11 MB.
 *
 * @module
 */

import { reasonOf } from "../reason.ts";
import { Reminder } from "./reminder.ts";
import {
  type Answer,
  type Question,
  SLOTS,
  StoreSlots,
} from "./store_slots.ts";

/** How many workers there are at most, unless all have hung for {@linkcode LOST}. */
const WORKERS = 8;

/**
 * How long all workers have to hang until one more is started, in milliseconds, and
 * twice as long for each further one. Calls may be lost for ever, as on a mount that
 * was replaced.
 */
const LOST = 60_000;

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

/** How long a worker may be silent until others get its questions, in milliseconds. */
const SILENT = 100;

/** From when on a worker counts as one that hangs, in milliseconds. */
const HANGING = 1000;

/** How long a worker besides the first one stays without work, in milliseconds. */
const IDLE = 60_000;

/**
 * The least time between two starts of workers, in milliseconds. A start that held
 * the event loop for longer is followed by a pause as long as itself.
 */
const SPACING = 100;

/** How long no worker is started after a start has failed, in milliseconds. */
const RETRY = 1000;

/** How workers are started. */
export interface Starter {
  /** Whether another worker can be started now. */
  canStart(): boolean;
  /**
   * Starts a worker on the memory that is shared with it.
   *
   * @returns how long that has held the event loop, in milliseconds
   * @throws {Error} if the system gives no thread
   */
  start(memory: SharedArrayBuffer): number;
  /** Called with why another worker could not be started, once a minute at most. */
  failed(reason: string): void;
}

interface Worker<Job> {
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

/** One worker at first, and more while the disk is slow. Times are milliseconds. */
export class WorkerPool<Job extends Question> {
  readonly #starter: Starter;
  readonly #answered: (job: Job, answer: Answer, now: number) => void;
  readonly #workers: Worker<Job>[] = [];
  /** When answers were last looked for. */
  #looked = 0;
  /** When the next worker may be started. */
  #startAt = -Infinity;
  /** Whether a question waits for another worker. */
  #isWanted = false;
  readonly #reminder = new Reminder();

  /**
   * @param answered called with each answer, once; it may ask the next question
   * @throws {Error} if the first worker cannot be started
   */
  constructor(
    starter: Starter,
    answered: (job: Job, answer: Answer, now: number) => void,
  ) {
    this.#starter = starter;
    this.#answered = answered;
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
   * Gives a question to a worker. {@linkcode flush} has to follow.
   *
   * @returns false if no worker can take it now; {@linkcode grow} may help
   */
  ask(job: Job, now: number): boolean {
    const worker = this.#workers.find((each) => this.#canTake(each));
    if (worker === undefined) {
      this.#isWanted = this.#mayGrow(now) &&
        this.#workers.every((each) => this.#isSlow(each));
      return false;
    }
    const slot = worker.free.pop()!;
    if (worker.asked.size === 0) worker.heard = now;
    worker.asked.set(slot, job);
    worker.isToBeCalled = true;
    worker.slots.ask(slot, job);
    return true;
  }

  /**
   * Starts another worker if a question waits for one and all others wait for the
   * disk. Call it once a turn of the event loop, which stands still while the runtime
   * makes a thread: for 20 ms, or 150 on a slow machine.
   *
   * @returns whether a worker was started. If there is no thread, no memory or no
   * descriptor for one, the workers that already run have to suffice.
   */
  grow(now: number): boolean {
    if (!this.#isWanted || now < this.#startAt) return false;
    this.#startAt = now + SPACING;
    if (!this.#starter.canStart()) return false;
    try {
      const took = this.#start(now);
      this.#startAt = now + took + Math.max(SPACING, took);
    } catch (error) {
      this.#startAt = now + RETRY;
      if (this.#reminder.isDue(now)) this.#starter.failed(reasonOf(error));
      return false;
    }
    this.#isWanted = false;
    return true;
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
    this.#isWanted = false;
    for (const worker of this.#workers) {
      if (worker.asked.size > 0) this.#listen(worker, now);
    }
  }

  /**
   * When {@linkcode withdrawn}, {@linkcode grow} or {@linkcode dismiss} has something
   * to do; Infinity for never.
   */
  next(): number {
    let next = this.#isWanted ? this.#startAt : Infinity;
    for (const worker of this.#workers) {
      const { asked, heard } = worker;
      if (asked.size > 1) {
        next = Math.min(next, heard + SILENT);
      } else if (asked.size === 0 && worker !== this.#workers[0]) {
        next = Math.min(next, heard + IDLE);
      }
    }
    return next;
  }

  /**
   * Takes back the questions that silent workers have not begun with.
   * {@linkcode settle} has to come before.
   */
  *withdrawn(): Generator<Job> {
    for (const worker of this.#workers) {
      const { slots, asked, free } = worker;
      if (asked.size < 2 || !this.#isSilent(worker)) continue;
      for (const [slot, job] of asked) {
        if (!slots.withdraw(slot)) continue;
        asked.delete(slot);
        free.push(slot);
        yield job;
      }
    }
  }

  /** Ends workers besides the first one that have been idle for a minute. */
  dismiss(now: number): void {
    for (let i = this.#workers.length - 1; i > 0; i--) {
      const { asked, heard, slots } = this.#workers[i];
      if (asked.size > 0 || now < heard + IDLE) continue;
      this.#workers.splice(i, 1);
      slots.end();
    }
  }

  #listen(worker: Worker<Job>, now: number): void {
    const { slots, asked, free } = worker;
    for (const [slot, job] of asked) {
      const answer = slots.takeAnswer(slot);
      if (answer === undefined) continue;
      asked.delete(slot);
      free.push(slot);
      worker.heard = now;
      worker.slowness = answer.took >= (slots.isRemote ? SLOW_REMOTE : SLOW)
        ? Math.min(worker.slowness + 1, 2 * TOO_SLOW)
        : Math.max(worker.slowness - 1, 0);
      this.#answered(job, answer, now);
    }
  }

  /** @returns how long that has held the event loop */
  #start(now: number): number {
    const slots = new StoreSlots();
    const worker = {
      slots,
      free: Array.from({ length: SLOTS }, (_, slot) => slot),
      asked: new Map<number, Job>(),
      // Another worker is started only if the disk is slow.
      slowness: this.#workers.length === 0 ? 0 : TOO_SLOW,
      heard: now,
      isToBeCalled: false,
    };
    const took = this.#starter.start(slots.memory);
    this.#workers.push(worker);
    return took;
  }

  #mayGrow(now: number): boolean {
    const more = this.#workers.length - WORKERS;
    if (more < 0) return true;
    const least = LOST * 2 ** more;
    return this.#workers.every(({ asked, heard }) =>
      asked.size > 0 && now - heard >= least
    );
  }

  /**
   * An answer may be there that this thread was too busy to look at: a thousand
   * clients at once keep it busy for 100 ms.
   */
  #isSilent({ asked, heard }: Worker<Job>): boolean {
    return asked.size > 0 && this.#looked - heard >= SILENT;
  }

  #isSlow(worker: Worker<Job>): boolean {
    return worker.slowness >= TOO_SLOW || this.#isSilent(worker);
  }

  #canTake(worker: Worker<Job>): boolean {
    return worker.asked.size < (this.#isSlow(worker) ? 1 : SLOTS);
  }
}
