/**
 * Child processes: PROGRAM runs once for each accepted client, up to a limit. A
 * client that comes at the limit waits, as in tcpserver's backlog.
 *
 * @module
 */

import type { ClientFields } from "../log/line.ts";
import type { ExitStatus } from "../system/child.ts";
import { close } from "../system/descriptor.ts";
import { type Epoll, PEER_CLOSED } from "../system/epoll.ts";
import type { LibcError } from "../system/libc.ts";
import type { Variables } from "../system/spawn.ts";
import { within } from "../system/within.ts";
import { ChildProcesses } from "./child_processes.ts";
import { Deadlines } from "./deadlines.ts";
import { Helper } from "./helper.ts";
import type { Spawn } from "./spawn.ts";

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
  readonly #processes: ChildProcesses;
  /** The number of clients whose child is being started. */
  #starting = 0;
  /** The clients whose child runs, by process id. */
  readonly #served = new Map<number, Served>();
  readonly #helpers = new Set<Helper>();
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
    this.#processes = new ChildProcesses(epoll);
    this.#deadlines = new Deadlines(patience);
  }

  /** The number of clients that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** The number of descriptors in use. */
  get descriptors(): number {
    return this.#waiting.size + this.#processes.descriptors;
  }

  /** The number of children that are being started. */
  get starting(): number {
    return this.#processes.starting;
  }

  /** The number of children that run. */
  get running(): number {
    return this.#processes.running;
  }

  get #isFree(): boolean {
    return this.#served.size + this.#starting < this.#limit &&
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
    const { fd, variables, served } = client;
    client.starting();
    this.#starting++;
    this.#processes.start(this.#spawn, fd, variables, (result) => {
      this.#starting--;
      if (typeof result === "number") {
        close(fd);
        this.#served.set(result, served);
      } else {
        client.failed(result);
        this.#startWaiting();
      }
    }, (status) => this.#ended(client, status));
  }

  #ended(client: Pick<ChildClient, "ended">, status: ExitStatus): void {
    this.#served.delete(status.pid);
    client.ended(status);
    this.#startWaiting();
  }

  /** The clients whose child runs, by process id. */
  get served(): ReadonlyMap<number, Served> {
    return this.#served;
  }

  /** Takes over a child that this process has started before it was replaced. */
  adopt(
    pid: number,
    served: Served,
    ended: (status: ExitStatus) => void,
  ): void {
    this.#served.set(pid, served);
    this.#processes.follow(pid, (status) => this.#ended({ ended }, status));
  }

  /**
   * Runs another program as a child, which counts for no limit.
   *
   * @param fd what its descriptors become
   * @param limit milliseconds after which the child is ended
   * @param over is called when the child has ended or could not be started, so that
   * it needs `fd` no more
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
    const helper = new Helper(this.#processes, spawn, fd, variables, over);
    this.#helpers.add(helper);
    try {
      return (await within(helper.ended, limit))?.value;
    } finally {
      helper.end();
      this.#helpers.delete(helper);
    }
  }

  /** Finishes starts that other threads have done. */
  settle(): void {
    if (this.starting > 0) this.#spawn.settle();
  }

  /** Handles an event: a child has ended, or a client that waits has hung up. */
  ready(fd: number): void {
    if (this.#processes.ready(fd)) return;
    const client = this.#takeWaiting(fd);
    if (client === undefined) return;
    close(fd);
    client.hungUp();
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
    this.#processes.takeExitStatuses();
    for (const fd of this.#deadlines.expired(now)) {
      this.#takeWaiting(fd)?.timedOut();
    }
  }

  /** Gives up all clients that wait. Their children run on, helpers do not. */
  shutDown(): void {
    for (const helper of this.#helpers) helper.end();
    for (const fd of this.#waiting.keys()) this.#takeWaiting(fd)?.timedOut();
  }
}
