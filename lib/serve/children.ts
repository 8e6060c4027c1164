/**
 * Child processes: PROGRAM runs once for each accepted client, up to a limit. A
 * client that comes at the limit waits, as in tcpserver's backlog.
 *
 * @module
 */

import type { ClientFields } from "../log/line.ts";
import {
  type ExitStatus,
  killChild,
  takeExitStatus,
  watchChild,
} from "../system/child.ts";
import { close } from "../system/descriptor.ts";
import { type Epoll, PEER_CLOSED, READABLE } from "../system/epoll.ts";
import { LibcError } from "../system/libc.ts";
import type { Variables } from "../system/spawn.ts";
import { Deadlines } from "./deadlines.ts";
import type { Spawn } from "./spawn.ts";
import { within } from "../system/within.ts";

/** The client of a child process, as it is logged and counted. */
export interface Served {
  readonly client: ClientFields;
  /** The network that the connection counts for. */
  readonly network: string;
}

/** A client that is to get a child process, and what is called on the way. */
export interface ChildClient {
  readonly fd: number;
  /** What the next image of this program has to know. */
  readonly served: Served;
  /** The child's environment besides this process's own. */
  readonly variables: Variables;
  /** Called just before the child is started. */
  starting(): void;
  /** The child could not be started; the connection is the caller's again. */
  failed(error: LibcError): void;
  /** The child has ended. */
  ended(status: ExitStatus): void;
  /** No child was free in time; the connection is the caller's again. */
  timedOut(): void;
  /** The client hung up while it waited; the connection is closed. */
  hungUp(): void;
}

/** A child process that runs. */
interface Running {
  /** Undefined for a helper, which does not count for the limit. */
  readonly served: Served | undefined;
  /** Called when it has ended. */
  ended(status: ExitStatus): void;
  /** The descriptor that reports its end, undefined if there is none. */
  readonly watch: number | undefined;
}

/**
 * The most children that are being started at once. Each start takes a thread,
 * of which the runtime has 512, and one of those waits for events.
 */
const MAX_STARTS = 256;

/**
 * The children that run and the clients that wait for one. Times are
 * milliseconds.
 */
export class Children {
  readonly #epoll: Epoll;
  readonly #spawn: Spawn;
  readonly #limit: number;
  #starting = 0;
  #helpers = 0;
  /** By process id. */
  readonly #running = new Map<number, Running>();
  /** Process ids by the descriptor that reports the end. */
  readonly #watches = new Map<number, number>();
  /** By descriptor, in the order in which they came. */
  readonly #waiting = new Map<number, ChildClient>();
  readonly #deadlines: Deadlines;

  /**
   * @param limit how many children run at once
   * @param patience how long a client waits for a child, in milliseconds
   */
  constructor(epoll: Epoll, spawn: Spawn, limit: number, patience: number) {
    this.#epoll = epoll;
    this.#spawn = spawn;
    this.#limit = limit;
    this.#deadlines = new Deadlines(patience);
  }

  /** The number of clients that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** The number of descriptors in use. */
  get descriptors(): number {
    return this.#waiting.size + this.#starting + this.#watches.size;
  }

  /** The number of children that are being started. */
  get starting(): number {
    return this.#starting;
  }

  /** The number of children that run. */
  get running(): number {
    return this.#running.size;
  }

  get #isFree(): boolean {
    const running = this.#running.size - this.#helpers;
    return running + this.#starting < this.#limit &&
      this.#starting < MAX_STARTS;
  }

  /**
   * Starts a child for a client, now or as soon as the limit allows.
   *
   * @param now from `performance.now()`
   */
  add(client: ChildClient, now: number): void {
    if (this.#isFree) return this.#start(client);
    try {
      this.#epoll.add(client.fd, PEER_CLOSED);
    } catch {
      return client.timedOut();
    }
    this.#waiting.set(client.fd, client);
    this.#deadlines.start(client.fd, now);
  }

  #start(client: ChildClient): void {
    client.starting();
    this.#starting++;
    this.#spawn.start(client.fd, client.variables, (result) => {
      this.#starting--;
      if (typeof result === "number") {
        close(client.fd);
        const ended = (status: ExitStatus) => client.ended(status);
        this.#follow(result, client.served, ended);
      } else {
        client.failed(result);
        this.#startWaiting();
      }
    });
  }

  /** The children that clients have, by process id. */
  *served(): Generator<[pid: number, served: Served]> {
    for (const [pid, { served }] of this.#running) {
      if (served !== undefined) yield [pid, served];
    }
  }

  /** Takes over a child that this process has started before it was replaced. */
  adopt(
    pid: number,
    served: Served,
    ended: (status: ExitStatus) => void,
  ): void {
    this.#follow(pid, served, ended);
  }

  /**
   * Runs another program as a child, which counts for no limit.
   *
   * @param fd what its descriptors become
   * @param limit milliseconds after which the child is ended
   * @param over is called when `fd` is needed no more: no thread starts the child
   * @returns how it has ended; undefined if that has taken too long
   * @throws {LibcError} if it cannot be started
   */
  async help(
    spawn: Spawn,
    fd: number,
    variables: Variables,
    limit: number,
    over: () => void,
  ): Promise<ExitStatus | undefined> {
    let state: "starts" | number | "ended" = "starts";
    let isLate = false;
    const end = new Promise<ExitStatus>((resolve, reject) => {
      this.#starting++;
      spawn.start(fd, variables, (result) => {
        this.#starting--;
        if (isLate) over();
        if (typeof result !== "number") {
          state = "ended";
          reject(result);
        } else {
          state = result;
          if (isLate) killChild(result);
          this.#helpers++;
          this.#follow(result, undefined, (status) => {
            state = "ended";
            this.#helpers--;
            resolve(status);
          });
        }
        this.#startWaiting();
      });
    });
    try {
      const found = await within(end, limit);
      return found?.value;
    } finally {
      isLate = true;
      if (typeof state === "number") killChild(state);
      if (state !== "starts") over();
    }
  }

  #follow(
    pid: number,
    served: Served | undefined,
    ended: (status: ExitStatus) => void,
  ): void {
    this.#running.set(pid, { served, ended, watch: this.#watch(pid) });
    if (this.#running.size > this.#watches.size) this.#takeExitStatuses();
  }

  /** Finishes starts that other threads have done. */
  settle(): void {
    if (this.#starting > 0) this.#spawn.settle();
  }

  /**
   * Watches for the end of a child.
   *
   * @returns undefined if the child cannot be watched; {@linkcode expire} finds its
   * end then
   */
  #watch(pid: number): number | undefined {
    let fd: number | undefined;
    try {
      fd = watchChild(pid);
      this.#epoll.add(fd, READABLE);
      this.#watches.set(fd, pid);
      return fd;
    } catch {
      // Descriptors have run out, most likely in the whole system.
      if (fd !== undefined) close(fd);
      return undefined;
    }
  }

  /** Handles an event: a child has ended, or a client that waits has hung up. */
  ready(fd: number): void {
    const pid = this.#watches.get(fd);
    if (pid !== undefined) {
      this.#ended(takeExitStatus(pid));
      return;
    }
    const client = this.#takeWaiting(fd);
    if (client === undefined) return;
    close(fd);
    client.hungUp();
  }

  #ended(status: ExitStatus | undefined): void {
    const running = status && this.#running.get(status.pid);
    if (running === undefined) return;
    const { watch } = running;
    this.#running.delete(status!.pid);
    if (watch !== undefined) {
      this.#watches.delete(watch);
      this.#epoll.close(watch);
    }
    running.ended(status!);
    this.#startWaiting();
  }

  /** Takes a client out of the queue. */
  #takeWaiting(fd: number): ChildClient | undefined {
    const client = this.#waiting.get(fd);
    if (client === undefined) return undefined;
    this.#waiting.delete(fd);
    this.#deadlines.stop(fd);
    // The child gets the same open file, so epoll would go on to report events for
    // it after this descriptor is closed.
    this.#epoll.remove(fd);
    return client;
  }

  /** Starts children for clients that wait, as far as the limit allows. */
  #startWaiting(): void {
    for (const fd of this.#waiting.keys()) {
      if (!this.#isFree) return;
      this.#start(this.#takeWaiting(fd)!);
    }
  }

  /** When {@linkcode expire} has something to do; Infinity for never. */
  next(): number {
    return this.#deadlines.next();
  }

  /** Gives up clients that have waited too long, and finds unnoticed ends. */
  expire(now: number): void {
    this.#takeExitStatuses();
    for (const fd of this.#deadlines.expired(now)) {
      this.#takeWaiting(fd)?.timedOut();
    }
  }

  /**
   * Takes the exit status of children that could not be watched, and of orphans
   * that this process inherited as the first of a container. Not while a child is
   * being started: the C library itself has to take the status of a failed start.
   */
  #takeExitStatuses(): void {
    let status: ExitStatus | undefined;
    while (
      this.#starting === 0 && (status = takeExitStatus(-1)) !== undefined
    ) {
      this.#ended(status);
    }
  }

  /** Gives up all clients that wait. Their children run on, helpers do not. */
  shutDown(): void {
    for (const [pid, { served }] of this.#running) {
      if (served === undefined) killChild(pid);
    }
    for (const fd of this.#waiting.keys()) this.#takeWaiting(fd)?.timedOut();
  }
}
