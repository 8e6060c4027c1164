/**
 * A whitelist file in a form that a connection need not read whole: its rules
 * by what is looked for, in a table of 1,024 parts. Pure; the bytes are the
 * caller's.
 *
 * @module
 */

import { formatNetwork, networkOf } from "../address.ts";
import { isHostPattern } from "./host_pattern.ts";
import {
  type BadLine,
  type Client,
  eachRule,
  exempts,
  type Found,
  parseRule,
} from "./file.ts";

/** Reads so many bytes from a place in the index, fewer where it ends. */
export type Reader = (offset: number, length: number) => Uint8Array;

// First where each part begins, and where the last one ends, in 32 bits each;
// then the head as JSON; then the parts, each a line end and then a line for each
// rule, with what is looked for and the number of its line in the file.
const PARTS = 1024;
const TABLE = 4 * (PARTS + 1);

const NEWLINE = 10;
const encoder = new TextEncoder();

/** As much as holds the table and most heads. */
const START = 8192;

/** The longest part of a bad line that is kept, in characters. */
const SHOWN = 60;

/** What no connection can do without. */
interface Head {
  /** Says which file this is of, in which state. */
  readonly seal: string;
  /** The prefix lengths of its networks. */
  readonly prefixes: Readonly<Record<4 | 6, readonly number[]>>;
  /** The lines with regular expressions, which can be found by trying only. */
  readonly regexes: readonly BadLine[];
  readonly bad: readonly BadLine[];
}

/**
 * Makes the index of a whitelist file.
 *
 * @param text the file's
 * @param seal says which file that is, in which state
 */
export function buildIndex(
  text: string,
  seal: string,
): Uint8Array<ArrayBuffer> {
  const lines = new Lines();
  const prefixes = { 4: new Set<number>(), 6: new Set<number>() };
  const regexes: BadLine[] = [];
  const bad: BadLine[] = [];
  eachRule(text, (rule, number, content) => {
    if (rule === undefined) {
      bad.push({ number, content: content.slice(0, SHOWN) });
    } else if ("regex" in rule) {
      regexes.push({ number, content });
    } else {
      if ("network" in rule) {
        prefixes[rule.network.family].add(rule.network.prefix);
      }
      const key = "name" in rule ? rule.name : formatNetwork(rule.network);
      lines.add(partOf(key), `${key} ${number}\n`);
    }
  });
  const head: Head = {
    seal,
    prefixes: { 4: [...prefixes[4]], 6: [...prefixes[6]] },
    regexes,
    bad,
  };
  return lines.arrange(encoder.encode(JSON.stringify(head)));
}

/**
 * Lines on their way into the index. Kept as bytes: as strings, those of a large
 * file would take more memory than a connection may be given.
 */
class Lines {
  #bytes = new Uint8Array(65536);
  #length = 0;
  /** The part of each line, and where its bytes end. */
  #places = new Uint32Array(4096);
  #count = 0;

  /** @param line ASCII, with its line end */
  add(part: number, line: string): void {
    if (this.#length + line.length > this.#bytes.length) {
      const bytes = new Uint8Array(2 * this.#bytes.length);
      bytes.set(this.#bytes);
      this.#bytes = bytes;
    }
    if (2 * this.#count === this.#places.length) {
      const places = new Uint32Array(2 * this.#places.length);
      places.set(this.#places);
      this.#places = places;
    }
    const free = this.#bytes.subarray(this.#length);
    this.#length += encoder.encodeInto(line, free).written;
    this.#places[2 * this.#count] = part;
    this.#places[2 * this.#count + 1] = this.#length;
    this.#count++;
  }

  /** The whole index: table, head, and the lines by their parts. */
  arrange(head: Uint8Array): Uint8Array<ArrayBuffer> {
    const places = this.#places;
    // Each part begins with a line end.
    const sizes = new Uint32Array(PARTS).fill(1);
    for (let i = 0, from = 0; i < this.#count; i++) {
      const to = places[2 * i + 1];
      sizes[places[2 * i]] += to - from;
      from = to;
    }
    const body = TABLE + head.length;
    const index = new Uint8Array(body + this.#length + PARTS);
    const table = new DataView(index.buffer, 0, TABLE);
    index.set(head, TABLE);
    /** Where the next line of each part goes. */
    const next = new Uint32Array(PARTS);
    let offset = body;
    for (let part = 0; part < PARTS; part++) {
      table.setUint32(4 * part, offset, true);
      index[offset] = NEWLINE;
      next[part] = offset + 1;
      offset += sizes[part];
    }
    table.setUint32(4 * PARTS, offset, true);
    for (let i = 0, from = 0; i < this.#count; i++) {
      const part = places[2 * i];
      const to = places[2 * i + 1];
      index.set(this.#bytes.subarray(from, to), next[part]);
      next[part] += to - from;
      from = to;
    }
    return index;
  }
}

/**
 * Looks through an index for a client.
 *
 * @param seal what the file's seal is now
 * @returns what `searchFile` finds in the file, with bad lines cut to 60
 * characters; undefined where this is no index of this file in this state
 */
export function searchIndex(
  read: Reader,
  seal: string,
  client: Client,
): Found | undefined {
  const start = read(0, START);
  if (start.length < TABLE) return undefined;
  const table = new DataView(start.buffer, start.byteOffset, TABLE);
  const body = table.getUint32(0, true);
  const head = parseHead(
    body > start.length
      ? read(TABLE, body - TABLE)
      : start.subarray(TABLE, body),
  );
  if (head?.seal !== seal) return undefined;
  let line = Infinity;
  for (const key of keysOf(client, head)) {
    const part = 4 * partOf(key);
    const from = table.getUint32(part, true);
    const to = table.getUint32(part + 4, true);
    if (to - from <= 1) continue;
    const text = new TextDecoder().decode(read(from, to - from));
    // The first of several lines with the same rule stands first.
    const at = text.indexOf(`\n${key} `);
    if (at < 0) continue;
    line = Math.min(line, parseInt(text.slice(at + key.length + 2)));
  }
  for (const { number, content } of head.regexes) {
    if (client.host === undefined || number > line) break;
    const rule = parseRule(content);
    if (rule !== undefined && exempts(rule, client)) line = number;
  }
  return {
    line: line === Infinity ? undefined : line,
    bad: head.bad.filter(({ number }) => number < line),
  };
}

function parseHead(bytes: Uint8Array): Head | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

/** Every rule that exempts the client, regular expressions apart, as its key. */
function keysOf({ address, host }: Client, { prefixes }: Head): string[] {
  const keys: string[] = [];
  if (address !== undefined) {
    for (const prefix of prefixes[address.family]) {
      keys.push(formatNetwork(networkOf(address, prefix)));
    }
  }
  if (host !== undefined) {
    const names = [host];
    let dot = -1;
    while ((dot = host.indexOf(".", dot + 1)) >= 0) {
      names.push(host.slice(dot), host.slice(dot + 1));
    }
    // Who owns the client's address says what its name is: whatever it is made
    // of, it must not look like something else here.
    keys.push(...names.filter(isHostPattern));
  }
  return keys;
}

/** The part that a key is in: the low bits of its FNV-1a hash, folded. */
function partOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 20 ^ hash >>> 10 ^ hash) & (PARTS - 1);
}
