/**
 * The log line: `key=value` pairs, one line a connection, in which nothing that
 * a client sent can look like anything but itself.
 *
 * @module
 */

/** How long one client value may become, in characters. */
const LONGEST = 200;

/**
 * Makes a client's value safe for a log line. Letters, digits, punctuation and
 * symbols stand for themselves, in any script; every other byte (control bytes,
 * blanks, what is no UTF-8, what is invisible or turns the writing direction), a backslash
 * and a quotation mark become `\xNN`. A long value is cut and ends in `...`.
 */
export function escapeValue(value: string | Uint8Array): string {
  const bytes = typeof value === "string"
    ? new TextEncoder().encode(value)
    : value;
  // More would be cut away in any case.
  return escape(
    bytes.subarray(0, 4 * LONGEST + 4),
    /^[^\p{C}\p{Z}\p{DI}\u2800\\"]$/u,
  );
}

/** A sentence of our own as a value: in quotation marks, on one line. */
export function quote(text: string): string {
  const bytes = new TextEncoder().encode(text.replaceAll('"', "'"));
  return `"${escape(bytes, /^(?: |[^\p{C}\p{Z}\p{DI}\u2800\\"])$/u, 800)}"`;
}

function escape(bytes: Uint8Array, plain: RegExp, longest = LONGEST): string {
  let text = "";
  for (let i = 0; i < bytes.length;) {
    const length = sequenceLength(bytes[i]);
    // Nearly all that clients say is ASCII, and needs no decoder.
    let piece = length === 1 && bytes[i] < 0x80
      ? String.fromCharCode(bytes[i])
      : decode(bytes.subarray(i, i + length));
    if (piece !== undefined && plain.test(piece)) {
      i += length;
    } else {
      piece = "\\x" + bytes[i].toString(16).padStart(2, "0");
      i++;
    }
    if (text.length + piece.length > longest) return text + "...";
    text += piece;
  }
  return text;
}

/** How many bytes a character with this first byte has in UTF-8. */
function sequenceLength(first: number): number {
  return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Joins a line. Fields that are undefined are left out.
 *
 * @param fields values that are safe already
 */
export function formatLine(
  verb: string,
  fields: Record<string, string | number | undefined>,
): string {
  let line = verb;
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) line += ` ${key}=${value}`;
  }
  return line;
}
