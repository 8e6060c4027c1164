/**
 * Waiting for a promise with a time limit.
 *
 * @module
 */

/**
 * The limit is counted in parts of this length, in milliseconds. A part counts
 * twice this length at most: with 200 clients at once on two processors the
 * system lets a process run once in some 400 ms, and without this rule the limit
 * would be over before the process had looked at an answer that is there.
 */
const PART = 50;

/**
 * Waits for a promise. A promise that is late is not cancelled.
 *
 * @param limit milliseconds; time in which the system did not let this process run
 * counts for little
 * @returns the value; undefined if the promise was not settled in time
 * @throws {unknown} the reason of the rejection, if that came in time
 */
export async function within<T>(
  promise: Promise<T>,
  limit: number,
): Promise<{ readonly value: T } | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    let left = limit;
    let last = performance.now();
    const count = () => {
      const now = performance.now();
      left -= Math.min(now - last, 2 * PART);
      last = now;
      if (left > 0) timer = setTimeout(count, Math.min(left, PART));
      else resolve(undefined);
    };
    timer = setTimeout(count, Math.min(left, PART));
  });
  try {
    return await Promise.race([promise.then((value) => ({ value })), late]);
  } finally {
    clearTimeout(timer);
  }
}
