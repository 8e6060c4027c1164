/**
 * A thread that does not run, as on a busy machine.
 *
 * @module
 */

/** Lets this thread stand still. */
export function standStill(milliseconds: number): void {
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(nobody, 0, 0, milliseconds);
}
