/**
 * A clock that is the same for all programs of this machine, and is never set.
 *
 * @module
 */

import { C } from "./constants.ts";
import { check, fromLibc } from "./libc.ts";

const libc = fromLibc({
  // int clock_gettime(clockid_t clockid, struct timespec *tp);
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
});

/**
 * CLOCK_MONOTONIC of clock_gettime(2), in microseconds.
 *
 * @throws {LibcError}
 */
export function monotonicMicroseconds(): bigint {
  // struct timespec { time_t tv_sec; long tv_nsec; };
  const time = new BigInt64Array(2);
  const bytes = new Uint8Array(time.buffer);
  check("clock_gettime", libc().clock_gettime(C.CLOCK_MONOTONIC, bytes));
  return time[0] * 1_000_000n + time[1] / 1000n;
}
