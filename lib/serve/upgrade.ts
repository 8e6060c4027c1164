/**
 * The upgrade of a `serve` that runs: the binary that is now at its path takes its
 * place, in the same process and with the same listening sockets.
 *
 * Everything that can go wrong is checked first, while clients are served as
 * usual. Then new connections wait in the kernel, clients that are deferred or
 * wait get a 421, and execve(2) follows. Programs go on with their clients.
 *
 * @module
 */

import { formatLine, quote } from "../log/line.ts";
import { reasonOf } from "../reason.ts";
import { close } from "../system/descriptor.ts";
import { fileAt, replaceProgram } from "../system/own_program.ts";
import type { Limit } from "../system/resource_limit.ts";
import { ENDING, endOn, HANDLED } from "../system/signals.ts";
import { sleep } from "../system/sleep.ts";
import { within } from "../system/within.ts";
import type { BaseDirectory } from "./base_directory.ts";
import type { Children } from "./children.ts";
import { writeHandover } from "./handover.ts";
import type { ProgramLook } from "./program_look.ts";
import type { Server } from "./server.ts";
import type { SiteFiles } from "./site_files.ts";
import type { StoreQueue } from "./store_queue.ts";
import { until } from "./until.ts";
import { checkNewBinary } from "./upgrade_check.ts";

/** What {@linkcode Upgrade} needs. */
export interface UpgradeOptions {
  readonly children: Children;
  readonly server: Server;
  readonly store: StoreQueue;
  readonly directory: BaseDirectory;
  readonly files: SiteFiles;
  /** The path of the binary, or why it is not known. */
  readonly path: string | Error;
  /** The limit of descriptors that this program has found. */
  readonly limit: Limit;
  /** The look for PROGRAM at the start. */
  readonly look: ProgramLook;
  /** Called when an upgrade begins. */
  begins(): void;
  /** Called when it has failed: this program goes on. */
  failed(): void;
  /** Variables that only the next image of this program is to find. */
  readonly variables: Readonly<Record<string, string>>;
}

/** How long the disk of the new binary may take to show it, in milliseconds. */
const LOOK_TIMEOUT = 2000;

/** How long threads get to finish what they do, in milliseconds. */
const THREADS_TIMEOUT = 3000;

/** How long they get after new clients have begun to wait, in milliseconds. */
const RELOAD_TIMEOUT = 500;

/** Why there is no upgrade while a thread waits for the base directory. */
const STORE_HANGS = "the base directory does not answer";

/** How long the last lines of the log may take, in milliseconds. */
const LAST_LINES = 200;

/**
 * How long it may take until this program learns of a signal that has come, in
 * milliseconds; one turn of the event loop takes less than 1.
 */
const SIGNAL_TURN = 10;

/** Upgrades; one at a time. */
export class Upgrade {
  readonly #options: UpgradeOptions;
  #isUnderWay = false;
  /** Whether another one was asked for meanwhile. */
  #again = false;
  /** Whether a look at the binary, or its `check`, has not ended. */
  #isLooking = false;
  /** The file that was checked; see {@linkcode fileAt}. */
  #checked: string | undefined;

  constructor(options: UpgradeOptions) {
    this.#options = options;
  }

  get #path(): string {
    const { path } = this.#options;
    if (typeof path === "string") return path;
    throw path;
  }

  /** Begins an upgrade. If one is under way, one more follows. Never throws. */
  request(): void {
    if (this.#isUnderWay) {
      this.#again = true;
      return;
    }
    if (this.#options.server.isStopping) return;
    this.#isUnderWay = true;
    void this.#prepare();
  }

  /** Looks at everything that can be wrong. Never rejects. */
  async #prepare(): Promise<void> {
    const { server, store, directory, files, begins } = this.#options;
    files.log.info(formatLine("serve", { upgrade: "begins", pid: Deno.pid }));
    try {
      begins();
      if (store.isHanging(performance.now())) throw new Error(STORE_HANGS);
      directory.hold();
      await this.#check();
      await this.#untilIdle();
      server.pause();
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Checks the new binary. One that hangs takes a thread, so no other try follows
   * until that has ended.
   *
   * @throws {Error} unless it can take over
   */
  async #check(): Promise<void> {
    if (this.#isLooking) {
      throw new Error(`${this.#path}: an earlier look at it does not end`);
    }
    this.#checked = await this.#look();
    this.#isLooking = true;
    await checkNewBinary(this.#path, this.#options.children, () => {
      this.#isLooking = false;
    });
  }

  /** @throws {Error} if that takes too long */
  async #look(): Promise<string | undefined> {
    this.#isLooking = true;
    const look = fileAt(this.#path).finally(() => this.#isLooking = false);
    const found = await within(look, LOOK_TIMEOUT);
    if (found === undefined) {
      throw new Error(`${this.#path}: its disk does not answer`);
    }
    return found.value;
  }

  /**
   * Waits until no file is being looked at, read or written, no thread of the
   * store hangs, and the starts of programs that are under way have ended. New
   * ones may begin.
   *
   * @throws {Error} if that takes too long
   */
  async #untilIdle(): Promise<void> {
    const { store } = this.#options;
    const began = performance.now();
    await until(
      (now) =>
        this.#busyFiles(began) ?? this.#busyStart(began) ??
          (store.isHanging(now) ? STORE_HANGS : undefined),
      THREADS_TIMEOUT,
    );
  }

  /** @param before only a write to the log that has begun earlier */
  #busyFiles(before: number): string | undefined {
    const { directory, files, look } = this.#options;
    if (!look.isOver) return "a look for PROGRAM does not end";
    if (!directory.isIdle) return "a look at the base directory does not end";
    if (files.isBusy(before)) return "the log or another file does not answer";
    return undefined;
  }

  /** @param before only a start that has begun earlier, from `performance.now()` */
  #busyStart(before: number): string | undefined {
    const first = this.#options.children.firstStarting;
    if (first === undefined || first.since >= before) return undefined;
    return `the start of ${first.name} does not end`;
  }

  /**
   * Makes the new binary take the place of this one, when the server has paused.
   * Returns only if that is not to be, or has failed: the server goes on.
   */
  async replace(): Promise<void> {
    const { files, server, store } = this.#options;
    // execve(2) waits for a thread that hangs, and nothing could end it then. A HUP
    // that has just come has files read and the log opened again.
    const busy = () =>
      this.#busyStart(Infinity) ?? this.#busyFiles(Infinity) ??
        (store.isIdle ? undefined : STORE_HANGS);
    try {
      await files.flush(LAST_LINES);
      const end = performance.now() + RELOAD_TIMEOUT;
      while (true) {
        await until(
          () => server.isStopping ? undefined : busy(),
          end - performance.now(),
        );
        if (server.isStopping) return;
        if (await this.#look() !== this.#checked) {
          this.#again = true;
          throw new Error(`${this.#path}: has changed since its check`);
        }
        const what = await this.#execUnless(busy);
        // Signals that come again and again must not hold up clients.
        if (what !== undefined && performance.now() > end) {
          throw new Error(what);
        }
      }
    } catch (error) {
      server.resume();
      this.#fail(error);
    }
  }

  /**
   * Makes the new binary take the place of this one, unless something has come up
   * that it would cut off.
   *
   * @returns what is busy; undefined if the server stops
   * @throws {Error} if it cannot be started
   */
  async #execUnless(
    busy: () => string | undefined,
  ): Promise<string | undefined> {
    // All clients that were to be told something know it. From here on TERM ends
    // this process without its handler: a handler in another thread could run in
    // vain just before execve(2) ends that thread. Such an end resets the clients that
    // wait in the kernel, so this state must be short.
    // Process 1 of a container keeps its handlers: the kernel drops signals that
    // it has none for.
    const restore = Deno.pid === 1 ? () => {} : endOn(ENDING);
    try {
      // For a handler that has run already.
      await sleep(SIGNAL_TURN);
      if (this.#options.server.isStopping) return undefined;
      const what = busy();
      if (what === undefined) throw this.#exec();
      return what;
    } finally {
      restore();
    }
  }

  /**
   * A HUP or USR2 that comes before execve(2) opens the binary asks for no more
   * than what execve(2) does: the new image reads all files, and it is the newest.
   * From there on signals wait until the new image has handlers; only one that
   * another thread takes in the microseconds until it is ended would be lost. In
   * process 1, a TERM after the last look at `isStopping` is lost too.
   */
  #exec(): Error {
    const { server, children, limit, variables } = this.#options;
    const { listeners, own } = server;
    const path = this.#path;
    const programs = [...children.served];
    const handover = writeHandover(
      { programs, again: this.#again, own, path },
      listeners,
    );
    const error = replaceProgram({
      path,
      descriptors: [...listeners, handover.file],
      variables: { ...variables, ...handover.variables },
      limit,
      blocked: HANDLED,
    });
    close(handover.file);
    return new Error(`${path}: ${error.message}`);
  }

  #fail(error: unknown): void {
    const { server, directory, files, failed } = this.#options;
    // A TERM has ended the check.
    if (server.isStopping) return;
    const what = quote(reasonOf(error));
    files.log.error(formatLine("serve", { upgrade: "refused", what }));
    directory.resume();
    failed();
    this.#isUnderWay = false;
    if (!this.#again) return;
    this.#again = false;
    this.request();
  }
}
