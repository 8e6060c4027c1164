/**
 * The programs behind accepted clients: at most so many at once. Who comes when
 * all places are taken waits, as in tcpserver's backlog.
 *
 * @module
 */

import {
  type ExitStatus,
  takeExitStatus,
  watchChild,
} from "../system/child.ts";
import { C } from "../system/constants.ts";
import { close } from "../system/descriptor.ts";
import type { Epoll } from "../system/epoll.ts";
import { LibcError } from "../system/libc.ts";
import { Deadlines } from "./deadlines.ts";
import type { Done, Variables } from "../system/spawn.ts";

/** A client that is to get a program. */
export interface Job {
  readonly fd: number;
  /** The program's environment besides this process's own. */
  readonly variables: Variables;
  /** Called just before the program is started. */
  starts(): void;
  /** It cannot be started; the connection is the caller's again. */
  failed(error: LibcError): void;
  /** Called when the program has ended. */
  ended(how: ExitStatus): void;
  /** Waited in vain: the connection is the caller's again. */
  waited(): void;
  /** The client hung up while it waited; the connection is closed. */
  left(): void;
}

/** Starts programs. */
export interface Starter {
  /** Starts one on a descriptor; `done` is called now, or later. */
  start(fd: number, variables: Variables, done: Done): void;
  /** Calls the `done` of those that are there. */
  settle(): void;
}

/** A program that runs. */
interface Running {
  readonly job: Job;
  /** The descriptor that tells of its end, where there is one. */
  readonly watch: number | undefined;
}

/**
 * How many programs are started at once at most: each takes a thread, of which
 * the runtime has 512, and one of those waits for events.
 */
const STARTS = 256;

/** The programs that run and the clients that wait. Times are milliseconds. */
export class Programs {
  readonly #poll: Epoll;
  readonly #starter: Starter;
  readonly #limit: number;
  #starting = 0;
  /** By process id. */
  readonly #running = new Map<number, Running>();
  /** Process ids by the descriptor that tells of the end. */
  readonly #watches = new Map<number, number>();
  /** In the order in which they came. */
  readonly #waiting = new Map<number, Job>();
  readonly #patience: Deadlines;

  /**
   * @param limit how many run at once
   * @param patience how long a client waits for a place, in milliseconds
   */
  constructor(poll: Epoll, starter: Starter, limit: number, patience: number) {
    this.#poll = poll;
    this.#starter = starter;
    this.#limit = limit;
    this.#patience = new Deadlines(patience);
  }

  /** How many clients wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** How many descriptors they take up. */
  get descriptors(): number {
    return this.#waiting.size + this.#starting + this.#watches.size;
  }

  /** How many programs are being started. */
  get starting(): number {
    return this.#starting;
  }

  get #hasPlace(): boolean {
    return this.#running.size + this.#starting < this.#limit &&
      this.#starting < STARTS;
  }

  /**
   * Starts the program, now or when there is a place.
   *
   * @param now from `performance.now()`
   */
  run(job: Job, now: number): void {
    if (this.#hasPlace) return this.#start(job);
    try {
      this.#poll.add(job.fd, C.EPOLLRDHUP);
    } catch {
      return job.waited();
    }
    this.#waiting.set(job.fd, job);
    this.#patience.start(job.fd, now);
  }

  #start(job: Job): void {
    job.starts();
    this.#starting++;
    this.#starter.start(job.fd, job.variables, (result) => {
      this.#starting--;
      if (typeof result === "number") {
        close(job.fd);
        this.#running.set(result, { job, watch: this.#watch(result) });
        if (this.#running.size > this.#watches.size) this.#collect();
      } else {
        job.failed(result);
        this.#startNext();
      }
    });
  }

  /** Finishes what has been started. */
  settle(): void {
    if (this.#starting > 0) this.#starter.settle();
  }

  /** @returns undefined where that is not possible: its end is noticed later */
  #watch(pid: number): number | undefined {
    try {
      const fd = watchChild(pid);
      this.#watches.set(fd, pid);
      this.#poll.add(fd, C.EPOLLIN);
      return fd;
    } catch {
      // Descriptors have run out, in the whole system most likely.
      return undefined;
    }
  }

  /** A program has ended, or a client that waits has hung up. */
  ready(fd: number): void {
    const pid = this.#watches.get(fd);
    if (pid !== undefined) {
      this.#ended(takeExitStatus(pid));
      return;
    }
    const job = this.#take(fd);
    if (job === undefined) return;
    close(fd);
    job.left();
  }

  #ended(how: ExitStatus | undefined): void {
    const running = how && this.#running.get(how.pid);
    if (running === undefined) return;
    const { job, watch } = running;
    this.#running.delete(how!.pid);
    if (watch !== undefined) {
      this.#watches.delete(watch);
      close(watch);
    }
    job.ended(how!);
    this.#startNext();
  }

  /** Takes a client out of those that wait. */
  #take(fd: number): Job | undefined {
    const job = this.#waiting.get(fd);
    if (job === undefined) return undefined;
    this.#waiting.delete(fd);
    this.#patience.stop(fd);
    // The program has the same open file: closing ours would not do it.
    this.#poll.remove(fd);
    return job;
  }

  /** Starts what waits, as far as there are places. */
  #startNext(): void {
    for (const fd of this.#waiting.keys()) {
      if (!this.#hasPlace) return;
      this.#start(this.#take(fd)!);
    }
  }

  /** When {@linkcode expire} has something to do; Infinity for never. */
  next(): number {
    return this.#patience.next();
  }

  /** Gives up on who has waited too long, and looks for what nobody told of. */
  expire(now: number): void {
    this.#collect();
    for (const fd of this.#patience.expired(now)) this.#take(fd)?.waited();
  }

  /**
   * Sees to programs that have ended and could not be watched, and to what others
   * have left to this process as the first of a container. Not while programs are
   * started: of those that fail the C library wants to know itself.
   */
  #collect(): void {
    let how: ExitStatus | undefined;
    while (this.#starting === 0 && (how = takeExitStatus(-1)) !== undefined) {
      this.#ended(how);
    }
  }

  /** Gives up on all that wait. */
  shutDown(): void {
    for (const fd of this.#waiting.keys()) this.#take(fd)?.waited();
  }
}
