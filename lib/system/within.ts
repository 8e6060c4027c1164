/**
 * Waiting for something, but not for ever.
 *
 * @module
 */

import { fromLibcAtStart } from "./libc.ts";

const libc = fromLibcAtStart({
  // int poll(struct pollfd *fds, nfds_t nfds, int timeout);
  poll_later: {
    name: "poll",
    parameters: ["pointer", "u64", "i32"],
    result: "i32",
    nonblocking: true,
  },
});

/** @param duration milliseconds */
async function sleep(duration: number): Promise<void> {
  const end = performance.now() + duration;
  // A signal ends poll(2) early.
  for (let left = duration; left > 0; left = end - performance.now()) {
    if (await libc.poll_later(null, 0n, Math.ceil(left)) === 0) return;
  }
}

/**
 * Waits for a promise. A thread keeps the time: setTimeout is not part of Deno's
 * snapshot from 2.9 on, and loading it takes 9 ms of a start of 31 ms. The thread
 * does not keep this process from ending.
 *
 * @param limit milliseconds
 * @returns undefined if the promise was not settled in time
 * @throws {unknown} with what the promise was rejected with in time
 */
export async function within<T>(
  promise: Promise<T>,
  limit: number,
): Promise<{ readonly value: T } | undefined> {
  const late = sleep(limit).then(() => undefined);
  return await Promise.race([promise.then((value) => ({ value })), late]);
}
