/**
 * The programs behind accepted clients: at most so many at once. Who comes when
 * all places are taken waits, as in tcpserver's backlog.
 *
 * @module
 */

import { close } from "../descriptor.ts";
import { LibcError } from "../libc.ts";
import { C } from "./abi.ts";
import { Deadlines } from "./deadlines.ts";
import type { Poll } from "./kernel.ts";
import { type Ended, reap } from "./spawn.ts";

/** A client that is to get a program. */
export interface Job {
  readonly fd: number;
  /** The program's environment besides this process's own. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Called just before the program is started. */
  starts(): void;
  /** It cannot be started; the connection is the caller's again. */
  failed(error: LibcError): void;
  /** Called when the program has ended. */
  ended(how: Ended): void;
  /** Waited in vain: the connection is the caller's again. */
  waited(): void;
  /** The client hung up while it waited; the connection is closed. */
  left(): void;
}

/** Starts a program on a descriptor, with variables; gives its process id. */
export type StartProgram = (
  fd: number,
  variables: Job["variables"],
) => number;

/** The programs that run and the clients that wait. Times are milliseconds. */
export class Programs {
  readonly #poll: Poll;
  readonly #start: StartProgram;
  readonly #limit: number;
  readonly #running = new Map<number, Job>();
  /** In the order in which they came. */
  readonly #waiting = new Map<number, Job>();
  readonly #patience: Deadlines;

  /**
   * @param limit how many run at once
   * @param patience how long a client waits for a place, in milliseconds
   */
  constructor(
    poll: Poll,
    start: StartProgram,
    limit: number,
    patience: number,
  ) {
    this.#poll = poll;
    this.#start = start;
    this.#limit = limit;
    this.#patience = new Deadlines(patience);
  }

  /** How many clients wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Starts the program, now or when there is a place.
   *
   * @param now from `performance.now()`
   */
  run(job: Job, now: number): void {
    if (this.#running.size < this.#limit) return this.#run(job);
    try {
      this.#poll.add(job.fd, C.EPOLLRDHUP);
    } catch {
      return job.waited();
    }
    this.#waiting.set(job.fd, job);
    this.#patience.start(job.fd, now);
  }

  #run(job: Job): void {
    job.starts();
    let pid: number;
    try {
      pid = this.#start(job.fd, job.variables);
    } catch (error) {
      return job.failed(error as LibcError);
    }
    this.#running.set(pid, job);
    close(job.fd);
  }

  /** A client that waits may have hung up. */
  ready(fd: number): void {
    const job = this.#take(fd);
    if (job === undefined) return;
    close(fd);
    job.left();
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

  /** Sees to the programs that have ended, and starts what waits. */
  reap(): void {
    for (const how of reap()) {
      const job = this.#running.get(how.pid);
      this.#running.delete(how.pid);
      job?.ended(how);
    }
    for (const fd of this.#waiting.keys()) {
      if (this.#running.size >= this.#limit) return;
      this.#run(this.#take(fd)!);
    }
  }

  /** When {@linkcode expire} has something to do; Infinity for never. */
  next(): number {
    return this.#patience.next();
  }

  /** Gives up on who has waited too long. */
  expire(now: number): void {
    for (const fd of this.#patience.expired(now)) this.#take(fd)?.waited();
  }

  /** Gives up on all that wait. */
  shutDown(): void {
    for (const fd of this.#waiting.keys()) this.#take(fd)?.waited();
  }
}
