/**
 * A program that runs beside those of clients, such as `check` of a new binary.
 *
 * @module
 */

import { type ExitStatus, killChild } from "../system/child.ts";
import type { Variables } from "../system/spawn.ts";
import type { ChildProcesses, Spawn } from "./child_processes.ts";

/** One such program. */
export class Helper {
  #pid: number | undefined;
  #isToEnd = false;
  /** How it has ended; rejects with a LibcError if it could not be started. */
  readonly ended: Promise<ExitStatus>;

  /**
   * Starts it.
   *
   * @param fd what its descriptors become
   * @param over is called when it has ended or could not be started, so that it
   * needs `fd` no more
   */
  constructor(
    processes: ChildProcesses,
    spawn: Spawn,
    fd: number,
    variables: Variables,
    over: () => void,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<ExitStatus>();
    this.ended = promise;
    processes.start(spawn, fd, variables, (result) => {
      if (typeof result === "number") {
        this.#pid = result;
        if (this.#isToEnd) killChild(result);
      } else {
        over();
        reject(result);
      }
    }, (status) => {
      this.#pid = undefined;
      over();
      resolve(status);
    });
  }

  /** Ends it; if it is still being started, as soon as it runs. */
  end(): void {
    this.#isToEnd = true;
    if (this.#pid !== undefined) killChild(this.#pid);
  }
}
