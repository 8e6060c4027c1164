/**
 * Programs find the limit of descriptors that `serve` itself has found, though
 * `serve` may have raised it.
 *
 * @module
 */

import type { LibcError } from "../system/libc.ts";
import { type Limit, setDescriptorLimit } from "../system/resource_limit.ts";
import type { Starter } from "./programs.ts";
import type { Spawner } from "../system/spawn.ts";

/**
 * What starts programs: in other threads. But where the limit had to be raised
 * it is lowered for each start, and everything else has to wait for that, since
 * the limit is that of all threads.
 *
 * @param before the limit that was found
 * @param now the limit as it is
 */
export function starterOf(
  spawner: Spawner,
  before: Limit,
  now: Limit,
): Starter {
  if (before.soft === now.soft) {
    return {
      start: (fd, variables, done) => spawner.spawnBeside(fd, variables, done),
      settle: () => spawner.settle(),
    };
  }
  return {
    start(fd, variables, done) {
      let result: number | LibcError;
      try {
        result = spawner.spawn(fd, variables, (start) => {
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
