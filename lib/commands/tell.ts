/**
 * Lines on standard error. This module imports nothing, so that `deno task` can
 * use it where JSR does not answer.
 *
 * @module
 */

/**
 * Writes one line to standard error. A line that cannot be written is dropped: it
 * must not change the exit code.
 */
export function tell(line: string): void {
  try {
    console.error(line);
  } catch {
    // The disk is full, or the reader is gone.
  }
}
