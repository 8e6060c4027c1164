/**
 * Waiting for something, but not for ever.
 *
 * @module
 */

/**
 * Waits for a promise.
 *
 * @param limit milliseconds
 * @returns whether the promise was settled in time
 * @throws {unknown} with what the promise was rejected with in time
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
