/**
 * Values that are made when they are first asked for.
 *
 * @module
 */

/** Makes a value when it is first asked for, and gives that from then on. */
export function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => made ??= make();
}
