/**
 * How `serve` starts child processes: in other threads, because the start of a
 * program waits for its disk.
 *
 * @module
 */

import type { ChildProgram, Done, Variables } from "../system/spawn.ts";

/** Starts child processes. */
export interface Spawn {
  /** The name of the program. */
  readonly name: string;
  /**
   * Starts a child on a connection; `done` is called now, or later.
   *
   * @throws {LibcError} if memory or the limit on descriptors does not allow a start
   */
  start(fd: number, variables: Variables, done: Done): void;
  /** Calls `done` for starts that other threads have finished. */
  settle(): void;
}

/** Starts a program in other threads. */
export function spawnOf(program: ChildProgram): Spawn {
  return {
    name: program.name,
    start: (fd, variables, done) => program.spawnBeside(fd, variables, done),
    settle: () => program.settle(),
  };
}
