/**
 * The octets of one SMTP command line (RFC 5321 section 4.1): its verb, its
 * argument, and the path in the argument.
 *
 * @module
 */

/** One more than the longest verb, so that STARTTLSX is not STARTTLS. */
const MAX_VERB = "STARTTLS".length + 1;

/** The longest path of RFC 5321 (section 4.5.3.1.3), without `<>`. */
const MAX_TEXT = 254;

/**
 * What a client sent: as text if it is ASCII and not too long, else as bytes. A text
 * takes less memory than a Uint8Array.
 */
export type Octets = string | Uint8Array;

const TAB = 9, SPACE = 32, QUOTE = 34;
const COLON = 58, LESS = 60, GREATER = 62, BACKSLASH = 92;

/**
 * The path in the argument of MAIL or RCPT, with or without keyword, spaces,
 * `<>` and parameters. Undefined if there is no path.
 *
 * @param start where the argument begins in the command
 */
export function parsePath(
  command: Uint8Array,
  start: number,
  keyword: string,
): Octets | undefined {
  const line = trimBlanks(command, start);
  let at = 0;
  const end = endOfWord(line, at);
  const colon = skipBlanks(line, end);
  if (word(line, at, end) === keyword && line[colon] === COLON) {
    at = skipBlanks(line, colon + 1);
  }
  if (line[at] !== LESS) {
    const path = line.subarray(at, findUnquoted(line, at, SPACE));
    return octetsOf(path) || undefined;
  }
  // `<>` is the null sender: a path of no octets, not a missing path.
  return octetsOf(line.subarray(at + 1, findUnquoted(line, at + 1, GREATER)));
}

/**
 * The index of the first `stop` that is in no quoted string (RFC 5321, 4.1.2),
 * else the line's length: `"a>b"@c` is one path.
 */
function findUnquoted(line: Uint8Array, at: number, stop: number): number {
  let quoted = false;
  for (; at < line.length; at++) {
    const byte = line[at];
    if (byte === QUOTE) quoted = !quoted;
    else if (quoted && byte === BACKSLASH) at++;
    else if (!quoted && byte === stop) return at;
  }
  return line.length;
}

/** The end of the ASCII letters that begin at `at`. */
export function endOfWord(line: Uint8Array, at: number): number {
  const limit = Math.min(line.length, at + MAX_VERB);
  while (at < limit && isLetter(line[at])) at++;
  return at;
}

/** The bit in which a small letter of ASCII differs from the capital one. */
const CASE = 0x20;

function isLetter(byte: number): boolean {
  const lower = byte | CASE;
  return lower >= 0x61 && lower <= 0x7a;
}

/** The ASCII letters from `start` to `end` in upper case: commands have no case. */
export function word(line: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at++) {
    text += String.fromCharCode(line[at] & ~CASE);
  }
  return text;
}

/** The index of the first octet from `at` that is no blank. */
export function skipBlanks(line: Uint8Array, at: number): number {
  while (isBlank(line[at])) at++;
  return at;
}

/** The line from `start` on, without blanks at either end; not a copy. */
export function trimBlanks(line: Uint8Array, start: number): Uint8Array {
  const first = skipBlanks(line, start);
  let end = line.length;
  while (end > first && isBlank(line[end - 1])) end--;
  return line.subarray(first, end);
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

/** A copy, because the caller of the dialogue uses the chunk again. */
export function octetsOf(bytes: Uint8Array): Octets {
  if (bytes.length > MAX_TEXT) return bytes.slice();
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] > 0x7f) return bytes.slice();
  }
  // All at once: V8 keeps a text that grew by single characters as a tree of 32 bytes
  // a character. With 254 characters this takes 3 us, and that takes 31.
  return Reflect.apply(String.fromCharCode, undefined, bytes);
}
