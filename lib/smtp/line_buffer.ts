/**
 * Command lines out of chunks that may end anywhere. However long a line is, the
 * memory for it is bounded.
 *
 * @module
 */

/** The longest command line in octets, line end included (RFC 5321: 512). */
export const MAX_LINE = 4096;

const CR = 13;

const NOTHING = new Uint8Array(0);

/** The line that is not complete yet. */
export class LineBuffer {
  /** Its beginning; allocated when there first is one. */
  #kept: Uint8Array = NOTHING;
  /** Its length so far: what was kept and what was not. */
  #length = 0;

  /** Adds to the line. Octets past {@linkcode MAX_LINE} are only counted. */
  keep(part: Uint8Array): void {
    const kept = Math.min(this.#length, MAX_LINE);
    const more = part.subarray(0, MAX_LINE - kept);
    const size = kept + more.length;
    if (size > this.#kept.length) {
      // Doubled, so that a client that sends single bytes causes few copies.
      const larger = new Uint8Array(
        Math.min(MAX_LINE, Math.max(128, 2 * size)),
      );
      larger.set(this.#kept.subarray(0, kept));
      this.#kept = larger;
    }
    this.#kept.set(more, kept);
    this.#length += part.length;
  }

  /**
   * Completes the line.
   *
   * @param chunk has the end of the line, or all of it, from `start` to its LF,
   * which is in front of `end`
   * @returns the line without its line end, not a copy. A line that is too long is
   * cut to {@linkcode MAX_LINE} octets, and no other is as long as that.
   */
  complete(chunk: Uint8Array, start: number, end: number): Uint8Array {
    if (this.#length === 0) return lineIn(chunk, start, end);
    this.keep(chunk.subarray(start, end));
    const length = this.#length;
    this.#length = 0;
    return lineIn(this.#kept, 0, length);
  }
}

/** See {@linkcode LineBuffer.complete}. `end` may be past what was kept. */
function lineIn(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const length = end - start;
  if (length > MAX_LINE) return bytes.subarray(start, start + MAX_LINE);
  const hasCr = length > 1 && bytes[end - 2] === CR;
  return bytes.subarray(start, hasCr ? end - 2 : end - 1);
}
