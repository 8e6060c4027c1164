/**
 * DNS messages (RFC 1035 section 4): encodes one question, decodes the answers
 * to it. Only the record types that SPF needs are read.
 *
 * @module
 */

import type { Address } from "../address.ts";

/** The numbers of the record types that are read (RFC 1035, RFC 3596). */
export const TYPE = { A: 1, MX: 15, TXT: 16, AAAA: 28 } as const;

/** The name of a record type. */
export type TypeName = keyof typeof TYPE;

/** One record of an answer. */
export type Answer =
  | { readonly type: "A" | "AAAA"; readonly address: Address }
  | { readonly type: "MX"; readonly exchange: string }
  /** The strings of the record joined, a byte a character. */
  | { readonly type: "TXT"; readonly text: string };

/** A server's reply. */
export interface Reply {
  readonly id: number;
  /** The response code: 0 no error, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED. */
  readonly code: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  /** Whether the server also resolves names outside its own zones. */
  readonly recursive: boolean;
  /** The name that was asked for, in lower case. */
  readonly name: string;
  readonly type: number;
  /** The answer section; records of other types are left out. */
  readonly answers: readonly Answer[];
}

/** The bytes are no reply to one question. */
export class MessageError extends Error {
  override name = "MessageError";
}

/**
 * Tells whether a name can be asked for: labels of 1 to 63 visible ASCII
 * characters, 255 bytes on the wire (RFC 1035 section 2.3.4).
 */
export function isName(name: string): boolean {
  return name.length <= 253 &&
    name.split(".").every((label) => /^[!-[\]-~]{1,63}$/.test(label));
}

/**
 * Encodes a query for one name and type that asks for recursion.
 *
 * @param id any number of 16 bits, which the reply repeats
 * @param name a name for which `isName` holds
 */
export function encodeQuery(
  id: number,
  name: string,
  type: TypeName,
): Uint8Array {
  const labels = name.split(".").flatMap((label) => [
    label.length,
    ...new TextEncoder().encode(label),
  ]);
  const question = [...labels, 0, 0, TYPE[type], 0, 1];
  return Uint8Array
    .from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...question]);
}

/**
 * Decodes a reply.
 *
 * @throws {MessageError} if the bytes are not a reply
 */
export function decodeReply(bytes: Uint8Array): Reply {
  const reader = new Reader(bytes);
  const id = reader.number(2);
  const flags = reader.number(2);
  const questions = reader.number(2);
  const count = reader.number(2);
  reader.skip(4); // how many authority and additional records
  if ((flags & 0x8000) === 0) throw new MessageError("a query, not a reply");
  if (questions !== 1) throw new MessageError("not one question");
  const name = reader.name();
  const type = reader.number(2);
  reader.skip(2); // class
  const answers: Answer[] = [];
  for (let i = 0; i < count; i++) {
    const answer = decodeAnswer(reader);
    if (answer !== undefined) answers.push(answer);
  }
  return {
    id,
    code: flags & 0xf,
    authoritative: (flags & 0x0400) !== 0,
    truncated: (flags & 0x0200) !== 0,
    recursive: (flags & 0x0080) !== 0,
    name: name.toLowerCase(),
    type,
    answers,
  };
}

function decodeAnswer(reader: Reader): Answer | undefined {
  reader.name();
  const type = reader.number(2);
  reader.skip(6); // class, time to live
  const length = reader.number(2);
  const end = reader.at + length;
  const answer = decodeData(reader, type, length);
  if (answer === undefined) reader.skip(length);
  if (reader.at !== end) throw new MessageError("a record of a wrong length");
  return answer;
}

function decodeData(
  reader: Reader,
  type: number,
  length: number,
): Answer | undefined {
  switch (type) {
    case TYPE.A:
      return { type: "A", address: { family: 4, value: reader.big(4) } };
    case TYPE.AAAA:
      return { type: "AAAA", address: { family: 6, value: reader.big(16) } };
    case TYPE.MX:
      reader.skip(2); // preference
      return { type: "MX", exchange: reader.name() };
    case TYPE.TXT: {
      const end = reader.at + length;
      let text = "";
      while (reader.at < end) text += reader.text(reader.number(1));
      return { type: "TXT", text };
    }
  }
}

/** Reads from front to back. Reading past the end throws a `MessageError`. */
class Reader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  #take(count: number): Uint8Array {
    const end = this.at + count;
    if (end > this.#bytes.length) throw new MessageError("cut short");
    const taken = this.#bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }

  skip(count: number): void {
    this.#take(count);
  }

  number(count: 1 | 2): number {
    return this.#take(count).reduce((value, byte) => value * 256 + byte, 0);
  }

  big(count: number): bigint {
    return this.#take(count)
      .reduce((value, byte) => value << 8n | BigInt(byte), 0n);
  }

  text(count: number): string {
    return Array.from(this.#take(count), (b) => String.fromCharCode(b)).join(
      "",
    );
  }

  /**
   * Reads a name, its labels joined by dots. Bytes that no host name has become
   * `\DDD`, so that a dot inside a label is not taken for the end of the label.
   */
  name(): string {
    const labels: string[] = [];
    let back: number | undefined;
    // A pointer may only lead to an earlier place ("a prior occurrence", RFC 1035
    // section 4.1.4), so the loop ends.
    let limit = this.at;
    let size = 0;
    for (;;) {
      const length = this.number(1);
      if (length === 0) break;
      if (length < 64) {
        size += length + 1;
        if (size > 255) throw new MessageError("a name that is too long");
        labels.push(
          this.text(length).replace(
            /[^!-~]|[.\\]/g,
            (c) => `\\${String(c.charCodeAt(0)).padStart(3, "0")}`,
          ),
        );
      } else if (length >= 192) {
        const target = (length & 0x3f) * 256 + this.number(1);
        back ??= this.at;
        if (target >= limit) throw new MessageError("a name that loops");
        this.at = limit = target;
      } else {
        throw new MessageError("an unknown kind of label");
      }
    }
    if (back !== undefined) this.at = back;
    return labels.join(".");
  }
}
