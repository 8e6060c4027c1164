/**
 * Takes connections until it is told to stop: one process, and one wait for all
 * that can happen.
 *
 * @module
 */

import { isPruningDue } from "../store/bookmark.ts";
import type { ResolvedConfig } from "../config.ts";
import { C } from "../system/constants.ts";
import { close } from "../system/descriptor.ts";
import type { Epoll } from "../system/epoll.ts";
import { accept } from "../system/listener.ts";
import { formatLine, quote } from "../log/line.ts";
import { trouble } from "../outcome.ts";
import { pruneSome } from "../store/prune.ts";
import type { Reception } from "./reception.ts";

/** What a server works with. */
export interface Setup {
  readonly config: ResolvedConfig;
  readonly poll: Epoll;
  readonly reception: Reception;
  /** Descriptors of the sockets that listen. */
  readonly listeners: readonly number[];
  /** How many descriptors connections may take up. */
  readonly room: number;
}

/**
 * How long the next event is waited for right here, in milliseconds, when the
 * last look found some: much cheaper than the wait in another thread.
 */
const MOMENT = 1;

/** How many connections are accepted before others are seen to. */
const BATCH = 64;

/** How long nobody is accepted where descriptors ran out, in milliseconds. */
const PAUSE = 200;

/** How often it is said at most that they ran out, in milliseconds. */
const REMINDER = 60_000;

/** How long signals and answers of the DNS may have to wait, in milliseconds. */
const TURN = 10;

/** How long one piece of pruning may take, and how long until the next. */
const PRUNE = { piece: 20, pause: 200, look: 60_000 };

/** Serves until it is told to stop. */
export class Server {
  readonly #setup: Setup;
  #stopping = false;
  /** When connections are accepted again; undefined while they are. */
  #resume: number | undefined;
  #reminded = -Infinity;
  #pruneNext = 0;

  constructor(setup: Setup) {
    this.#setup = setup;
    const { poll, listeners } = setup;
    for (const listener of listeners) poll.add(listener, C.EPOLLIN);
  }

  /** Accepts nobody any more, and ends when the last client has been told. */
  stop(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    const { listeners, poll, reception } = this.#setup;
    for (const listener of listeners) close(listener);
    reception.stop();
    poll.wake();
  }

  /** Runs until {@linkcode stop}. */
  async run(): Promise<void> {
    const { poll, reception } = this.#setup;
    let turn = performance.now();
    let count = 0;
    while (!this.#stopping || reception.isBusy) {
      count = poll.look(count > 0 ? MOMENT : 0);
      const now = performance.now();
      if (count === 0 || now - turn > TURN) {
        const next = this.#expire(now);
        // The last client may just have been given up: nothing would wake this.
        if (this.#stopping && !reception.isBusy) return;
        count = await poll.wait(count > 0 ? 0 : Math.max(0, next - now));
        turn = performance.now();
      }
      this.#see(count);
      reception.settle();
    }
  }

  /** @returns when there is something to do again, in milliseconds */
  #expire(now: number): number {
    const { reception } = this.#setup;
    reception.expire(now);
    this.#pruneWhenDue(now);
    if (this.#resume !== undefined && now >= this.#resume) {
      this.#resume = undefined;
      this.#listen(C.EPOLLIN);
    }
    const resume = this.#resume ?? Infinity;
    return Math.min(reception.next(), this.#pruneNext, resume);
  }

  #see(count: number): void {
    const { poll, listeners, reception } = this.#setup;
    const now = performance.now();
    const calling: number[] = [];
    for (let i = 0; i < count; i++) {
      const event = poll.event(i);
      if (event === undefined) continue;
      if (listeners.includes(event.fd)) calling.push(event.fd);
      else reception.ready(event.fd, now);
    }
    // Last, for a new connection may get a descriptor that an event was about.
    for (const listener of calling) this.#acceptFrom(listener, now);
  }

  #acceptFrom(listener: number, now: number): void {
    const { reception, room } = this.#setup;
    for (let i = 0; i < BATCH && !this.#stopping; i++) {
      const accepted = reception.open < room ? accept(listener) : "exhausted";
      if (accepted === "none") return;
      if (accepted === "exhausted") return this.#pause(now);
      if (accepted !== "gone") reception.welcome(accepted);
    }
  }

  /** Who comes now waits in the kernel. */
  #pause(now: number): void {
    this.#resume = now + PAUSE;
    this.#listen(0);
    if (now - this.#reminded < REMINDER) return;
    this.#reminded = now;
    const what = "no descriptors left: new connections wait: expected a " +
      "higher limit (LimitNOFILE=, softlimit -o)";
    this.#setup.reception.log.error(formatLine("serve", { what: quote(what) }));
  }

  #listen(events: number): void {
    if (this.#stopping) return;
    const { poll, listeners } = this.#setup;
    for (const listener of listeners) poll.change(listener, events);
  }

  /** Never throws, and never takes long: clients are waiting. */
  #pruneWhenDue(now: number): void {
    if (now < this.#pruneNext) return;
    const { config } = this.#setup;
    const { every } = config.prune;
    if (every === 0) {
      this.#pruneNext = Infinity;
      return;
    }
    const due = isPruningDue(config.baseDir, every);
    this.#pruneNext = now + (due ? PRUNE.pause : PRUNE.look);
    if (!due) return;
    try {
      pruneSome(config, PRUNE.piece);
    } catch (error) {
      this.#pruneNext = now + every * 1000;
      this.#setup.reception.log.warn(formatLine("prune", trouble(error)));
    }
  }
}
