/**
 * Waiting for a time to pass.
 *
 * @module
 */

/** Waits for some milliseconds; 0 lets the event loop handle what has happened. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
