/**
 * The signals that end a task of the project, and how a task ends.
 *
 * @module
 */

import { C } from "../system/constants.ts";

/** By name, as Deno wants them; the exit code is 128 plus the number. */
export const SIGNALS = {
  SIGHUP: C.SIGHUP,
  SIGINT: C.SIGINT,
  SIGTERM: C.SIGTERM,
} as const;

/**
 * How often removing a directory is tried at most, every 50 ms. A process that is
 * being killed may still write.
 */
const REMOVALS = 600;

/** A process and all its descendants. */
function withDescendants(pid: number): number[] {
  const children: number[] = [];
  try {
    for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
      const text = Deno.readTextFileSync(`/proc/${pid}/task/${name}/children`);
      children.push(...text.split(" ").filter(Boolean).map(Number));
    }
  } catch {
    // It has ended already.
  }
  return [pid, ...children.flatMap(withDescendants)];
}

/** Kills all processes that this one has started, and those that they have. */
export function killDescendants(): void {
  for (const pid of withDescendants(Deno.pid).slice(1)) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It has ended already.
    }
  }
}

/** Lets the signals of a user end this task; see {@linkcode endTask}. */
export function endOnSignals(directories: Iterable<string>): void {
  for (const [signal, number] of Object.entries(SIGNALS)) {
    Deno.addSignalListener(
      signal as Deno.Signal,
      () => endTask(directories, 128 + number),
    );
  }
}

/** Ends this task: kills its processes and removes its directories. */
export function endTask(directories: Iterable<string>, code: number): never {
  killDescendants();
  for (const directory of directories) {
    for (let tries = 0; tries < REMOVALS; tries++) {
      try {
        Deno.removeSync(directory, { recursive: true });
        break;
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) break;
        // All of this process waits, so that no step of the task goes on.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
      }
    }
  }
  Deno.exit(code);
}
