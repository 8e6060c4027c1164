/**
 * Waiting for a promise with a time limit.
 *
 * @module
 */

/**
 * Waits for a promise. A promise that is late is not cancelled.
 *
 * @param limit milliseconds
 * @returns the value; undefined if the promise was not settled in time
 * @throws {unknown} the reason of the rejection, if that came in time
 */
export async function within<T>(
  promise: Promise<T>,
  limit: number,
): Promise<{ readonly value: T } | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, limit, undefined);
  });
  try {
    return await Promise.race([promise.then((value) => ({ value })), late]);
  } finally {
    clearTimeout(timer);
  }
}
