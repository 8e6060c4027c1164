/**
 * The event loop of `serve`: one process, and one wait for all events.
 *
 * @module
 */

import { formatLine, quote } from "../log/line.ts";
import { bannerOf, STOPPING } from "../smtp/refusal.ts";
import { type Epoll, HUNG_UP, READABLE } from "../system/epoll.ts";
import { close } from "../system/descriptor.ts";
import { accept, endListening } from "../system/listener.ts";
import { formatSocketName, localOf } from "../system/socket.ts";
import { send, shutdownWriting } from "../system/transfer.ts";
import type { BaseDirectory } from "./base_directory.ts";
import type { Connections } from "./connections.ts";
import type { DescriptorLimit } from "./descriptor_limit.ts";
import type { Notify } from "./notify.ts";
import { Reminder } from "./reminder.ts";
import type { SiteFiles } from "./site_files.ts";

/** What {@linkcode Server} needs. */
export interface ServerOptions {
  readonly epoll: Epoll;
  readonly connections: Connections;
  readonly files: SiteFiles;
  readonly directory: BaseDirectory;
  readonly notify: Notify;
  /** Descriptors of the listening sockets. */
  readonly listeners: readonly number[];
  /**
   * Those among them that no other process has. The others are a service manager's:
   * their clients wait for the next start.
   */
  readonly own: readonly number[];
  readonly descriptors: DescriptorLimit;
}

/**
 * How long the next event is waited for in this thread, in milliseconds, if the
 * last look found some: that is much cheaper than the wait in another thread.
 */
const SHORT_WAIT = 1;

/** How many connections are accepted before other events have their turn. */
const BATCH = 64;

/** How long no connection is accepted after descriptors ran out, in milliseconds. */
const EXHAUSTED = 200;

/**
 * How many clients that wait on one listening socket are answered 421 at the end.
 * That takes 40 ms for each socket, of the 300 that an end may take.
 */
const MOST_TURNED_AWAY = 2000;

/** How long signals and DNS answers may have to wait, in milliseconds. */
const MAX_TURN = 10;

/**
 * How long a pause waits for what other threads do for connections, in
 * milliseconds.
 */
const QUIET_TIMEOUT = 2500;

/** Accepts connections and handles events until it is told to stop. */
export class Server {
  readonly #options: ServerOptions;
  /** Those that accept connections still. */
  #listeners: readonly number[];
  #stopping = false;
  /**
   * When a pause for an upgrade stops waiting for other threads; undefined without a
   * pause.
   */
  #upgradeBy: number | undefined;
  /** When connections are accepted again; undefined while they are. */
  #acceptAt: number | undefined;
  readonly #reminder = new Reminder();

  constructor(options: ServerOptions) {
    this.#options = options;
    const { epoll, listeners } = options;
    this.#listeners = listeners;
    for (const listener of listeners) epoll.add(listener, READABLE);
  }

  /**
   * Accepts no more connections; {@linkcode run} ends with the last dialogue, and
   * in a container with the last child process.
   */
  stop(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    const { epoll, connections, notify } = this.#options;
    notify.stopping("programs go on with their clients");
    for (const listener of this.own) {
      turnAway(listener);
      endListening(listener);
    }
    for (const listener of this.#listeners) epoll.close(listener);
    if (this.#upgradeBy === undefined) connections.stop();
    // A pause for an upgrade is over: `run` goes on until the last session ends.
    this.#upgradeBy = undefined;
    epoll.wake();
  }

  /** Whether it was told to stop. */
  get isStopping(): boolean {
    return this.#stopping;
  }

  /** The listening sockets, without those that another process has shut down. */
  get listeners(): readonly number[] {
    return this.#listeners;
  }

  /** Those among them that no other process has. */
  get own(): readonly number[] {
    const { own } = this.#options;
    return this.#listeners.filter((listener) => own.includes(listener));
  }

  /**
   * Lets new connections wait in the kernel, and ends dialogues as for
   * {@linkcode stop}; {@linkcode run} returns when no thread works for a
   * connection any more, or that takes too long.
   */
  pause(): void {
    if (this.#isEnding) return;
    const { epoll, connections } = this.#options;
    this.#listen(0);
    this.#upgradeBy = performance.now() + QUIET_TIMEOUT;
    connections.stop();
    epoll.wake();
  }

  /** Ends a pause; {@linkcode run} has to follow. */
  resume(): void {
    if (this.#upgradeBy === undefined) return;
    this.#upgradeBy = undefined;
    this.#acceptAt = undefined;
    this.#options.connections.resume();
    this.#listen(READABLE);
  }

  get #isEnding(): boolean {
    return this.#stopping || this.#upgradeBy !== undefined;
  }

  /** Whether {@linkcode run} is to go on. */
  get #isNeeded(): boolean {
    const { connections } = this.#options;
    if (this.#stopping) return connections.isBusy;
    if (this.#upgradeBy === undefined || connections.isTalking) return true;
    return !connections.isQuiet && performance.now() < this.#upgradeBy;
  }

  /**
   * Runs until {@linkcode stop} or {@linkcode pause}.
   *
   * @returns `cut` if it has stopped because no listening socket was left
   */
  async run(): Promise<"stopped" | "paused" | "cut"> {
    const { epoll, connections } = this.#options;
    let turn = performance.now();
    let count = 0;
    while (this.#isNeeded) {
      count = epoll.look(count > 0 ? SHORT_WAIT : 0);
      const now = performance.now();
      if (count === 0 || now - turn > MAX_TURN) {
        const next = this.#expire(now);
        // The last client may just have been given up: no event would follow.
        if (!this.#isNeeded) break;
        // Not `now`: #expire may have started a worker of the store, which takes
        // 20 ms and more.
        const left = Math.max(0, next - performance.now());
        count = await epoll.wait(count > 0 ? 0 : left);
        turn = performance.now();
      }
      this.#handle(count);
      connections.settle();
    }
    if (!this.#stopping) return "paused";
    return this.#listeners.length > 0 ? "stopped" : "cut";
  }

  /** @returns when there is something to do again, in milliseconds */
  #expire(now: number): number {
    const { connections, directory, notify } = this.#options;
    connections.expire(now);
    directory.expire(now);
    notify.expire(now);
    if (this.#acceptAt !== undefined && now >= this.#acceptAt) {
      this.#acceptAt = undefined;
      this.#listen(READABLE);
    }
    return Math.min(
      connections.next(),
      directory.next(),
      notify.next(),
      this.#acceptAt ?? Infinity,
      this.#upgradeBy ?? Infinity,
    );
  }

  #handle(count: number): void {
    const { epoll, connections } = this.#options;
    const now = performance.now();
    const waiting: number[] = [];
    const ended: number[] = [];
    for (let i = 0; i < count; i++) {
      const event = epoll.event(i);
      if (event === undefined) continue;
      const { fd, events } = event;
      // Those that were closed by `stop` may be child processes by now.
      const isListener = !this.#stopping && this.#listeners.includes(fd);
      if (!isListener) connections.ready(fd, now);
      else if ((events & HUNG_UP) !== 0) ended.push(fd);
      else waiting.push(fd);
    }
    // Last: a new connection may get a descriptor that an event was about.
    for (const listener of waiting) this.#acceptFrom(listener, now);
    for (const listener of ended) this.#leave(listener);
  }

  /**
   * Does without a listening socket that another process with a copy of it has shut
   * down. epoll would report it for ever.
   */
  #leave(listener: number): void {
    const { epoll, files } = this.#options;
    const name = localOf(listener);
    const which = name === undefined ? "a socket" : formatSocketName(name);
    epoll.close(listener);
    this.#listeners = this.#listeners.filter((other) => other !== listener);
    const what = `${which}: another process has shut down this listening ` +
      "socket: expected a restart of the program that opened it";
    files.log.error(formatLine("serve", { what: quote(what) }));
    if (this.#listeners.length === 0) this.stop();
  }

  #acceptFrom(listener: number, now: number): void {
    const { connections, descriptors } = this.#options;
    for (let i = 0; i < BATCH && !this.#isEnding; i++) {
      const accepted = descriptors.allows(connections.descriptors)
        ? accept(listener)
        : "exhausted";
      if (accepted === "none") return;
      if (accepted === "exhausted") return this.#stopAccepting(now);
      if (accepted !== "gone") connections.add(accepted);
    }
  }

  /** Leaves new connections to the backlog for a while. */
  #stopAccepting(now: number): void {
    this.#acceptAt = now + EXHAUSTED;
    this.#listen(0);
    if (!this.#reminder.isDue(now)) return;
    const what = "no descriptors left: new connections wait: expected a " +
      "higher limit (LimitNOFILE=, softlimit -o)";
    this.#options.files.log.error(formatLine("serve", { what: quote(what) }));
  }

  #listen(events: number): void {
    if (this.#isEnding) return;
    const { epoll } = this.#options;
    for (const listener of this.#listeners) epoll.change(listener, events);
  }
}

/** Answers 421 to the clients that nobody has accepted yet; close(2) would reset them. */
function turnAway(listener: number): void {
  const reply = bannerOf(STOPPING);
  for (let i = 0; i < MOST_TURNED_AWAY; i++) {
    const accepted = accept(listener);
    if (accepted === "none" || accepted === "exhausted") return;
    if (accepted === "gone") continue;
    send(accepted.fd, reply);
    // A child between fork and exec may have a copy of the descriptor.
    shutdownWriting(accepted.fd);
    close(accepted.fd);
  }
}
