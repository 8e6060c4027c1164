/**
 * Text as bytes.
 *
 * @module
 */

const encoder = new TextEncoder();

/** A text as UTF-8. Nearly all texts here are ASCII. */
export function encode(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  return writeAscii(text, bytes)
    ? bytes
    : Uint8Array.from(encoder.encode(text));
}

/**
 * Writes a text into memory that is there already. Deno allocates the memory of each
 * Uint8Array with malloc(3), however small, and the garbage collector frees it.
 *
 * @param bytes at least as long as the text
 * @returns false if the text is not ASCII
 */
export function writeAscii(text: string, bytes: Uint8Array): boolean {
  const { read, written } = encoder.encodeInto(text, bytes);
  return read === text.length && written === text.length;
}
