/**
 * Text as bytes.
 *
 * @module
 */

/**
 * A text as UTF-8. Each result of TextEncoder has memory of its own that the
 * garbage collector has to free: without TextEncoder `serve` takes 16 % less
 * processor time. Nearly all texts here are ASCII.
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
