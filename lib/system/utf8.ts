/**
 * Text as bytes.
 *
 * @module
 */

/**
 * A text as UTF-8. TextEncoder takes longer where a text has the length of a
 * line and is ASCII, as nearly all are here, and a start of the program 0.1 ms
 * for its first use. It gives each result memory of its own besides, which the
 * garbage collector of a process with 10,000 clients a second has to free.
 */
export function encode(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return Uint8Array.from(new TextEncoder().encode(text));
    bytes[i] = unit;
  }
  return bytes;
}
