/**
 * The child processes of `serve`: their starts in other threads, and their ends.
 *
 * @module
 */

import {
  type ExitStatus,
  takeExitStatus,
  watchChild,
} from "../system/child.ts";
import { close } from "../system/descriptor.ts";
import { type Epoll, READABLE } from "../system/epoll.ts";
import type { LibcError } from "../system/libc.ts";
import type { ChildProgram, Done, Variables } from "../system/spawn.ts";

/**
 * Starts child processes in other threads, because the start of a program waits for
 * its disk.
 */
export type Spawn = Pick<ChildProgram, "name" | "spawnBeside" | "settle">;

/** A child process that is being started. */
export interface Starting {
  /** The name of the program. */
  readonly name: string;
  /** When that began, from `performance.now()`. */
  readonly since: number;
}

/** A child process that runs. */
interface Running {
  /** Called when it has ended. */
  ended(status: ExitStatus): void;
  /** The descriptor that reports its end, undefined if there is none. */
  readonly watch: number | undefined;
}

/** All child processes. */
export class ChildProcesses {
  readonly #epoll: Epoll;
  /** In the order in which they began. */
  readonly #starting = new Set<Starting>();
  /** By process id. */
  readonly #running = new Map<number, Running>();
  /** Process ids by the descriptor that reports the end. */
  readonly #watches = new Map<number, number>();

  constructor(epoll: Epoll) {
    this.#epoll = epoll;
  }

  /** The number of those that are being started. */
  get starting(): number {
    return this.#starting.size;
  }

  /** The one whose start began first of those under way, if there is one. */
  get firstStarting(): Starting | undefined {
    const [first] = this.#starting;
    return first;
  }

  /** The number of those that run. */
  get running(): number {
    return this.#running.size;
  }

  /** The number of descriptors in use. */
  get descriptors(): number {
    return this.#starting.size + this.#watches.size;
  }

  /**
   * Starts a child.
   *
   * @param fd what its descriptors become
   * @param variables its environment besides this process's own
   * @param started is called with the process id, or with why there is no child
   * @param ended is called when the child has ended
   */
  start(
    spawn: Spawn,
    fd: number,
    variables: Variables,
    started: Done,
    ended: (status: ExitStatus) => void,
  ): void {
    const starting = { name: spawn.name, since: performance.now() };
    this.#starting.add(starting);
    const done: Done = (result) => {
      this.#starting.delete(starting);
      if (typeof result !== "number") return started(result);
      // Before started(), which may start another child and take exit statuses,
      // this child's among them.
      this.follow(result, ended);
      started(result);
      // A child that cannot be watched may have ended already, and no event would
      // report that.
      const running = this.#running.get(result);
      if (running !== undefined && running.watch === undefined) {
        this.#ended(takeExitStatus(result));
      }
    };
    try {
      spawn.spawnBeside(fd, variables, done);
    } catch (error) {
      // No memory, or a limit of descriptors that was lowered meanwhile.
      if (!this.#starting.has(starting)) throw error;
      done(error as LibcError);
    }
  }

  /**
   * Waits for the end of a child that runs. The end is only reported later: after
   * an upgrade, the exit status of a child that is not followed yet must stay.
   */
  follow(pid: number, ended: (status: ExitStatus) => void): void {
    this.#running.set(pid, { ended, watch: this.#watch(pid) });
  }

  /**
   * Watches for the end of a child.
   *
   * @returns undefined if the child cannot be watched;
   * {@linkcode takeExitStatuses} finds its end then
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

  /**
   * Handles a descriptor that is ready.
   *
   * @returns false if it does not report the end of a child
   */
  ready(fd: number): boolean {
    const pid = this.#watches.get(fd);
    if (pid === undefined) return false;
    this.#ended(takeExitStatus(pid));
    return true;
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
  }

  /**
   * Takes the exit status of children that could not be watched, and of orphans
   * that this process inherited as the first of a container.
   */
  takeExitStatuses(): void {
    // While a child is being started, the C library itself may have to take the
    // status of a failed start. A start that hangs must not hide other ends.
    if (this.#starting.size > 0) {
      for (const [pid, { watch }] of this.#running) {
        if (watch === undefined) this.#ended(takeExitStatus(pid));
      }
    }
    let status: ExitStatus | undefined;
    while (
      this.#starting.size === 0 && (status = takeExitStatus(-1)) !== undefined
    ) {
      this.#ended(status);
    }
  }
}
