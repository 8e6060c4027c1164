/**
 * How `serve` starts child processes. Each gets the limit of descriptors with which
 * `serve` was started, even if `serve` has raised its own.
 *
 * @module
 */

import type { LibcError } from "../system/libc.ts";
import { type Limit, setDescriptorLimit } from "../system/resource_limit.ts";
import type { ChildProgram, Done, Variables } from "../system/spawn.ts";

/** Starts child processes. */
export interface Spawn {
  /** Starts a child on a connection; `done` is called now, or later. */
  start(fd: number, variables: Variables, done: Done): void;
  /** Calls `done` for starts that other threads have finished. */
  settle(): void;
}

/**
 * Chooses how children are started. Usually other threads start them. If `serve`
 * has raised its limit, it lowers the limit for the moment of each start. All
 * threads share the limit, so the event loop makes such a start itself, and
 * everything else waits.
 *
 * @param before the limit with which `serve` was started
 * @param now the limit as it is
 */
export function spawnOf(
  program: ChildProgram,
  before: Limit,
  now: Limit,
): Spawn {
  if (before.soft === now.soft) {
    return {
      start: (fd, variables, done) => program.spawnBeside(fd, variables, done),
      settle: () => program.settle(),
    };
  }
  return {
    start(fd, variables, done) {
      let result: number | LibcError;
      try {
        result = program.spawn(fd, variables, (start) => {
          // No longer than for the start itself: the C library refuses to hand
          // on a descriptor beyond the limit.
          setDescriptorLimit(before);
          try {
            start();
          } finally {
            setDescriptorLimit(now);
          }
        });
      } catch (error) {
        result = error as LibcError;
      }
      done(result);
    },
    settle() {},
  };
}
