/**
 * How `serve` starts child processes. Each gets the limit of descriptors with which
 * `serve` was started if that is possible, even if `serve` has raised its own.
 *
 * @module
 */

import { canOpen } from "../system/descriptor.ts";
import type { LibcError } from "../system/libc.ts";
import { type Limit, setDescriptorLimit } from "../system/resource_limit.ts";
import type { ChildProgram, Done, Variables } from "../system/spawn.ts";

/**
 * How many descriptors other threads may open during a start: the workers of the
 * store, the log and the lists. To find that out takes 4 us for each of them.
 */
const BESIDE = 16;

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

/**
 * Chooses how children are started. Usually other threads start them. If `serve`
 * has raised its limit, it lowers the limit for the moment of each start. All
 * threads share the limit, so the event loop makes such a start itself, and
 * everything else waits.
 *
 * Under the lowered limit the threads of the store open files too. So the limit
 * stays as it is while they would find no descriptor below the old one. Then the
 * child gets the raised limit: that does less harm than a client that `onError`
 * decides about.
 *
 * @param before the limit with which `serve` was started
 * @param now the limit as it is
 */
export function spawnOf(
  program: ChildProgram,
  before: Limit,
  now: Limit,
): Spawn {
  const isRaised = before.soft !== now.soft;
  return {
    name: program.name,
    start(fd, variables, done) {
      if (!isRaised || !canOpen(BESIDE, Number(before.soft))) {
        return program.spawnBeside(fd, variables, done);
      }
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
    settle: () => program.settle(),
  };
}
