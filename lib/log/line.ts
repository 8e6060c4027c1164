/**
 * The log line: `key=value` pairs, one line a connection. No value that a client
 * chose can look like another field or another line.
 *
 * @module
 */

import { reasonOf } from "../reason.ts";

/** How long one client value may become, in characters. */
const LONGEST = 200;

/**
 * Makes a client's value safe for a log line. Letters, digits, punctuation and
 * symbols stand for themselves, in any script; every other byte (control bytes,
 * blanks, what is no UTF-8, what is invisible or turns the writing direction), a
 * backslash and a quotation mark become `\xNN`. A long value is cut and ends in
 * `...`.
 */
export function escapeValue(value: string | Uint8Array): string {
  if (typeof value === "string" && isSafe(value)) return value;
  const bytes = typeof value === "string"
    ? new TextEncoder().encode(value)
    : value;
  // Enough bytes for LONGEST characters of UTF-8; the rest would be cut anyway.
  return escape(bytes.subarray(0, 4 * LONGEST + 4), false, LONGEST);
}

/** Whether each character is one of ASCII that stands for itself. */
function isSafe(value: string): boolean {
  if (value.length > LONGEST) return false;
  for (let i = 0; i < value.length; i++) {
    const byte = value.charCodeAt(i);
    if (byte <= SPACE || byte >= DELETE || !isPlain(byte)) return false;
  }
  return true;
}

/** A sentence of this program as a value: in quotation marks, on one line. */
export function quote(text: string): string {
  const bytes = new TextEncoder().encode(text.replaceAll('"', "'"));
  return `"${escape(bytes, true, 4 * LONGEST)}"`;
}

function escape(bytes: Uint8Array, blanks: boolean, longest: number): string {
  let text = "";
  for (let i = 0; i < bytes.length;) {
    const byte = bytes[i];
    let piece: string | undefined;
    if (byte >= 0x80) {
      piece = visibleAt(bytes, i);
    } else if (byte > SPACE ? isPlain(byte) : byte === SPACE && blanks) {
      piece = String.fromCharCode(byte);
    }
    if (piece !== undefined) {
      i += sequenceLength(byte);
    } else {
      piece = "\\x" + byte.toString(16).padStart(2, "0");
      i++;
    }
    if (text.length + piece.length > longest) return text + "...";
    text += piece;
  }
  return text;
}

const SPACE = 0x20, QUOTE = 0x22, BACKSLASH = 0x5c, DELETE = 0x7f;

/** Whether a byte of ASCII that is no control byte stands for itself. */
function isPlain(byte: number): boolean {
  return byte !== QUOTE && byte !== BACKSLASH && byte !== DELETE;
}

/** How many bytes a character with this first byte has in UTF-8. */
function sequenceLength(first: number): number {
  return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

// A text and not a literal: V8 takes 1 ms of a start of 27 ms to parse a literal
// of this expression, even in a function that is never called.
const VISIBLE = "^[^\\p{C}\\p{Z}\\p{DI}\\u2800]$";

let visible: RegExp | undefined;
let decoder: TextDecoder | undefined;

/** The character that begins there, undefined if it is invalid or invisible. */
function visibleAt(bytes: Uint8Array, start: number): string | undefined {
  const end = start + sequenceLength(bytes[start]);
  // A client chooses these bytes. With a new decoder and an exception for each, 200
  // of them took 1 ms of the event loop instead of 0.05.
  decoder ??= new TextDecoder("utf-8", { ignoreBOM: true });
  visible ??= new RegExp(VISIBLE, "u");
  const character = bytes.subarray(start, end);
  const piece = decoder.decode(character);
  if (piece === "\ufffd" && !isReplacement(character)) return undefined;
  return visible.test(piece) ? piece : undefined;
}

/** Whether these bytes are U+FFFD itself, which is what invalid bytes become. */
function isReplacement(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbf && bytes[2] === 0xbd;
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
  for (const key in fields) {
    const value = fields[key];
    if (value !== undefined) line += ` ${key}=${value}`;
  }
  return line;
}

/** The fields of a line that say which client it is about. */
export interface ClientFields {
  ip?: string;
  net?: string;
}

/** The fields of a line about a client that passes. */
export function passFields(
  verdict:
    | { readonly reason: "whitelisted"; readonly rule: string }
    | { readonly reason: "unsuspected" }
    | {
      readonly reason: "retried" | "known";
      readonly age: number;
      readonly accepted: number;
    },
) {
  switch (verdict.reason) {
    case "whitelisted":
      return { reason: verdict.reason, rule: escapeValue(verdict.rule) };
    case "unsuspected":
      return { reason: verdict.reason };
    default: {
      const { reason, age, accepted } = verdict;
      return { reason, age, accepted };
    }
  }
}

/** The fields of a line about something that failed. */
export function errorFields(error: unknown) {
  return { reason: "error", what: quote(reasonOf(error)) };
}

/** The fields of a line about the envelope that a client offered. */
export function envelopeFields(
  { helo, from, to }: {
    readonly helo?: string | Uint8Array;
    readonly from?: string | Uint8Array;
    readonly to?: string | Uint8Array;
  },
) {
  return {
    helo: helo && escapeValue(helo),
    from: from === undefined ? undefined : `<${escapeValue(from)}>`,
    to: to === undefined ? undefined : `<${escapeValue(to)}>`,
  };
}
