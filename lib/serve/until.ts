/**
 * Waiting for what other threads do, by looking again and again.
 *
 * @module
 */

import { sleep } from "../system/sleep.ts";

/** How often, in milliseconds. */
const INTERVAL = 20;

/**
 * Waits until nothing is busy.
 *
 * @param busy what is busy at a time from `performance.now()`
 * @param limit milliseconds
 * @throws {Error} if that takes too long
 */
export async function until(
  busy: (now: number) => string | undefined,
  limit: number,
): Promise<void> {
  const end = performance.now() + limit;
  while (true) {
    const now = performance.now();
    const what = busy(now);
    if (what === undefined) return;
    if (now > end) throw new Error(what);
    await sleep(INTERVAL);
  }
}
