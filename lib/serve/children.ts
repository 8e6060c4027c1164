/**
 * Child processes: PROGRAM runs once for each accepted client, up to a limit. A
 * client that comes at the limit waits, as in tcpserver's backlog.
 *
 * dispatch.ts adds a client. This module counts places, waiting_clients.ts has the
 * clients that wait for one, and child_processes.ts starts and follows the
 * processes.
 *
 * @module
 */

import type { ClientFields } from "../log/line.ts";
import type { ExitStatus } from "../system/child.ts";
import { close } from "../system/descriptor.ts";
import type { Epoll } from "../system/epoll.ts";
import type { LibcError } from "../system/libc.ts";
import type { Variables } from "../system/spawn.ts";
import { within } from "../system/within.ts";
import {
  ChildProcesses,
  type Spawn,
  type Starting,
} from "./child_processes.ts";
import { Deadlines } from "./deadlines.ts";
import { Hang, type Notice } from "./hang.ts";
import { Helper } from "./helper.ts";
import { StartRetries } from "./start_retries.ts";
import { type WaitingClient, WaitingClients } from "./waiting_clients.ts";

/** The client of a child process, as it is logged and counted. */
export interface Served {
  readonly client: ClientFields;
  /** The network that the connection counts for. */
  readonly network: string;
}

/** A client that is to get a child process, and what is called on the way. */
export interface ChildClient extends WaitingClient {
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
  /**
   * No child was free in time, or the client may not wait for one; the connection
   * is the caller's again.
   *
   * @param reason `limit` if all children run that may, `start` if none could be
   * started
   */
  timedOut(reason: "limit" | "start"): void;
}

/**
 * The most children that are being started at once. Each start takes one of the 32
 * threads that Deno has for such calls (`max_blocking_threads`), for as long as the
 * disk hangs. Other calls take 16 at most: the wait for events 1, the start of `check`
 * or the look at its binary 1, logs 5, control files and lists 2, time limits 2, the
 * look for PROGRAM 1, and looks at the base directory 4. A fifth look at it begins
 * when the first has hung for 15 hours.
 */
const MAX_STARTS = 16;

/**
 * How long a start may take until the log says that it hangs, in milliseconds. That
 * is all that can be done: between fork and exec the child has the connection too,
 * and nothing can stop it from becoming PROGRAM.
 */
export const LATE_START = 10_000;

/**
 * The children that run and the clients that wait for one. Times are
 * milliseconds.
 */
export class Children {
  readonly #epoll: Epoll;
  readonly #spawn: Spawn;
  readonly #limit: number;
  readonly #processes: ChildProcesses;
  /** The clients whose child is being started, by descriptor. */
  readonly #starts = new Deadlines(LATE_START);
  readonly #hang: Hang;
  /** The clients whose child runs, by process id. */
  readonly #served = new Map<number, Served>();
  readonly #helpers = new Set<Helper>();
  readonly #waiting: WaitingClients<ChildClient>;
  readonly #retries = new StartRetries();
  #isStartingWaiting = false;

  /**
   * @param limit how many children run at once
   * @param patience how long a client waits for a child, in milliseconds
   * @param mostWaiting how many clients may wait
   * @param say called with what the log is to say about a start that hangs, and with
   * how many clients are without their child
   */
  constructor(
    epoll: Epoll,
    spawn: Spawn,
    limit: number,
    patience: number,
    mostWaiting: number,
    say: (notice: Notice) => void,
  ) {
    this.#epoll = epoll;
    this.#spawn = spawn;
    this.#limit = limit;
    this.#processes = new ChildProcesses(epoll);
    this.#waiting = new WaitingClients(epoll, patience, mostWaiting);
    this.#hang = new Hang((state) =>
      say({ state, clients: this.#starts.size + this.#waiting.size })
    );
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

  /** The child whose start began first of those under way, if there is one. */
  get firstStarting(): Starting | undefined {
    return this.#processes.firstStarting;
  }

  /** The number of children that run. */
  get running(): number {
    return this.#processes.running;
  }

  /** How many places are taken. */
  get #taken(): number {
    return this.#served.size + this.#starts.size;
  }

  get #isFree(): boolean {
    return this.#taken < this.#limit && this.#starts.size < MAX_STARTS;
  }

  /** Why a client has no child. */
  get #reason(): "limit" | "start" {
    const isStuck = this.#hang.isUnderWay || this.#retries.hasFailed;
    return isStuck && this.#served.size < this.#limit ? "start" : "limit";
  }

  /**
   * Starts a child for a client, now or as soon as the limit allows.
   *
   * @param now from `performance.now()`
   * @param mayWait asked whether the client may wait for another child to end. If
   * only too many are being started, the client waits in any case
   */
  add(client: ChildClient, now: number, mayWait: () => boolean): void {
    if (this.#isFree) return this.#start(client);
    const hasPlace = this.#taken + this.#waiting.size < this.#limit;
    const stays = (hasPlace || mayWait()) && this.#waiting.add(client, now);
    if (!stays) client.timedOut(this.#reason);
  }

  #start(client: ChildClient): void {
    const { fd, variables, served } = client;
    client.starting();
    this.#starts.start(fd, performance.now());
    this.#processes.start(this.#spawn, fd, variables, (result) => {
      this.#starts.stop(fd);
      // The wait for the next event does not know that the hang may have ended.
      if (this.#hang.isUnderWay) this.#epoll.wake();
      if (typeof result === "number") {
        close(fd);
        this.#served.set(result, served);
        this.#retries.succeeded();
        this.#startWaiting();
      } else {
        client.failed(result);
        this.#retries.failed(performance.now());
        // The wait for the next event does not know of that time.
        this.#epoll.wake();
      }
    }, (status) => this.#ended(client, status));
  }

  #ended(client: Pick<ChildClient, "ended">, status: ExitStatus): void {
    this.#served.delete(status.pid);
    client.ended(status);
    this.#tryOne();
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
    if (!this.#processes.ready(fd)) this.#waiting.ready(fd);
  }

  /** Starts children for clients that wait, as far as the limit allows. */
  #startWaiting(): void {
    // A start that is done at once calls this method: the loop that is under way
    // goes on with the next client.
    if (this.#isStartingWaiting) return;
    this.#isStartingWaiting = true;
    while (this.#isFree && this.#retries.mayTry) {
      const client = this.#waiting.takeFirst();
      if (client === undefined) break;
      this.#retries.take();
      this.#start(client);
      // The wait for the next event does not know when this start is late.
      this.#epoll.wake();
    }
    this.#isStartingWaiting = false;
  }

  /** Tries one more client even if the last start has failed. */
  #tryOne(): void {
    this.#retries.allowOne();
    this.#startWaiting();
  }

  /** When {@linkcode expire} has something to do; Infinity for never. */
  next(): number {
    const retry = this.#waiting.size > 0 ? this.#retries.next() : Infinity;
    const late = this.#hang.isUnderWay
      ? this.#hang.remindAt
      : this.#starts.next();
    return Math.min(this.#waiting.next(), retry, late, this.#hang.next());
  }

  /**
   * Gives up clients that have waited too long, and finds unnoticed ends. Tells the
   * log whether a start hangs.
   */
  expire(now: number): void {
    this.#processes.takeExitStatuses();
    if (this.#starts.next() <= now) this.#hang.late(now, true);
    else this.#hang.inTime(now);
    this.#hang.expire(now);
    for (const client of this.#waiting.expired(now)) {
      client.timedOut(this.#reason);
    }
    if (this.#retries.expire(now)) this.#startWaiting();
  }

  /** Gives up all clients that wait, and ends helpers. Children that run go on. */
  shutDown(): void {
    for (const helper of this.#helpers) helper.end();
    for (const client of this.#waiting.expired(Infinity)) {
      client.timedOut(this.#reason);
    }
  }
}
