/**
 * Lines on standard error. This module imports nothing, so that `deno task` can
 * use it where JSR does not answer.
 *
 * @module
 */

/**
 * Writes one line to standard error. Control characters are escaped, because names
 * of files and arguments may hold them. A line that cannot be written is dropped:
 * it must not change the exit code.
 */
export function tell(line: string): void {
  const safe = line.replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
  try {
    console.error(safe);
  } catch {
    // The disk is full, or the reader is gone.
  }
}
