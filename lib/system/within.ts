/**
 * Waiting for a promise with a time limit.
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

/**
 * The limit is counted in parts of this length, in milliseconds. A part counts
 * twice this length at most: with 200 clients at once on two processors the
 * system lets a process run once in some 400 ms, and without this rule the limit
 * would be over before the process had looked at an answer that is there.
 */
const PART = 50;

/** A time limit that several waits share. */
export interface Budget {
  /** What is left of it, in milliseconds. The last wait may take a little more. */
  left: number;
}

/**
 * Waits for a promise. A promise that is late is not cancelled.
 *
 * @param limit milliseconds, as {@linkcode withinBudget} counts them
 * @returns the value; undefined if the promise was not settled in time
 * @throws {unknown} the reason of the rejection, if that came in time
 */
export function within<T>(
  promise: Promise<T>,
  limit: number,
): Promise<{ readonly value: T } | undefined> {
  return withinBudget(promise, { left: limit });
}

/**
 * Does what {@linkcode within} does, and takes the time from a limit that several
 * waits share, one after the other.
 *
 * Another thread keeps the time. setTimeout is not part of Deno's snapshot from
 * 2.9 on, and loading it takes 9 ms of a start of 31 ms.
 *
 * @param budget time in which the system did not let this process run counts for
 * little
 * @returns the value; undefined if the promise was not settled in time
 * @throws {unknown} the reason of the rejection, if that came in time
 */
export async function withinBudget<T>(
  promise: Promise<T>,
  budget: Budget,
): Promise<{ readonly value: T } | undefined> {
  let isOver = false;
  let last = performance.now();
  const count = () => {
    const now = performance.now();
    budget.left -= Math.min(now - last, 2 * PART);
    last = now;
  };
  const passed = async () => {
    while (budget.left > 0 && !isOver) {
      await libc.poll_later(null, 0n, Math.ceil(Math.min(budget.left, PART)));
      if (!isOver) count();
    }
  };
  const late = passed().then(() => undefined);
  try {
    return await Promise.race([promise.then((value) => ({ value })), late]);
  } finally {
    isOver = true;
    count();
  }
}
