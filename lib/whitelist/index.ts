/**
 * The index of a whitelist file: the rules by network or name, in a hash table of
 * 1,024 parts. A connection reads only the parts that it needs. Pure: the caller
 * reads and writes the bytes.
 *
 * @module
 */

import { formatNetwork, networkOf } from "../address.ts";
import { compileLowerCase } from "./expression.ts";
import {
  type BadLine,
  badLine,
  type Client,
  eachRule,
  exempts,
  type Found,
} from "./file.ts";
import { isHostPattern } from "./host_pattern.ts";

/** Reads bytes at an offset in the index; fewer than asked for at its end. */
export type Reader = (offset: number, length: number) => Uint8Array;

// The format: where each part begins, and where the last one ends, in 32 bits
// each; the head as JSON; the parts. A part is a line end, and then a line for each
// rule: its network or name, and the number of its line in the file.
const PARTS = 1024;
const TABLE = 4 * (PARTS + 1);

const NEWLINE = 10;
const encoder = new TextEncoder();

/** The length of the first read: the table and most heads fit. */
const START = 8192;

/** The longest part of a bad line that is kept, in characters. */
const SHOWN = 60;

/** The part of the index that every connection reads. */
interface Head {
  /** Names the file, and the state in which it was indexed. */
  readonly seal: string;
  /** The prefix lengths of its networks. */
  readonly prefixes: Readonly<Record<4 | 6, readonly number[]>>;
  /** The regular expressions, which have to be tried one by one. */
  readonly expressions: readonly {
    readonly number: number;
    readonly source: string;
  }[];
  readonly bad: readonly BadLine[];
}

/**
 * Makes the index of a whitelist file, or of several files. If there are several,
 * {@linkcode lineIn} says what a line's number means.
 *
 * @param text the content of the file
 * @param seal names the file and its state
 */
export function buildIndex(
  text: string | readonly string[],
  seal: string,
): Uint8Array<ArrayBuffer> {
  const lines = new Lines();
  const prefixes = { 4: new Set<number>(), 6: new Set<number>() };
  const expressions: { number: number; source: string }[] = [];
  const bad: BadLine[] = [];
  eachRuleOf(text, (rule, number, content) => {
    if ("fault" in rule) {
      bad.push(badLine(rule, number, content.slice(0, SHOWN)));
    } else if ("expression" in rule) {
      expressions.push({ number, source: rule.expression.source });
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
    expressions,
    bad,
  };
  return lines.arrange(encoder.encode(JSON.stringify(head)));
}

/** More lines than any file has: the numbers of one file in an index of several. */
const SPAN = 1e9;

/** The file (from 0) and the line that a number in an index of several means. */
export function lineIn(number: number): { file: number; line: number } {
  return { file: Math.floor(number / SPAN), line: number % SPAN };
}

function eachRuleOf(
  text: string | readonly string[],
  each: Parameters<typeof eachRule>[1],
): void {
  if (typeof text === "string") return eachRule(text, each);
  for (const [file, part] of text.entries()) {
    eachRule(
      part,
      (rule, line, content) => each(rule, file * SPAN + line, content),
    );
  }
}

/**
 * Collects the lines of the parts. They are kept as bytes, because the lines of a
 * large file as strings would take more memory than a process may have.
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

/** An index that is searched, once or many times. */
export class Index {
  readonly #read: Reader;
  readonly #table: DataView;
  readonly #head: Head;
  /** The compiled expressions: `serve` tries each of them at every connection. */
  readonly #compiled: RegExp[] = [];

  private constructor(read: Reader, table: DataView, head: Head) {
    this.#read = read;
    this.#table = table;
    this.#head = head;
  }

  /**
   * Reads the table and the head.
   *
   * @param seal the seal that the file has now
   * @returns undefined if this is no index of this file in this state
   */
  static open(read: Reader, seal: string): Index | undefined {
    const start = read(0, START);
    if (start.length < TABLE) return undefined;
    const table = new DataView(start.buffer, start.byteOffset, TABLE);
    const body = table.getUint32(0, true);
    const head = parseHead(
      body > start.length
        ? read(TABLE, body - TABLE)
        : start.subarray(TABLE, body),
    );
    return head?.seal === seal ? new Index(read, table, head) : undefined;
  }

  /** Makes the index of a file's text for this process. */
  static inMemory(text: string): Index {
    const bytes = buildIndex(text, "");
    return Index.open((at, length) => bytes.subarray(at, at + length), "")!;
  }

  /**
   * Searches for a client.
   *
   * @returns what `searchFile` finds in the file, with bad lines cut to 60
   * characters
   */
  search(client: Client): Found {
    const { bad, expressions } = this.#head;
    let line = Infinity;
    for (const key of keysOf(client, this.#head)) {
      line = Math.min(line, this.#find(key));
    }
    for (let i = 0; i < expressions.length; i++) {
      const { number, source } = expressions[i];
      if (client.host === undefined || number > line) break;
      const expression = this.#compiled[i] ??= compileLowerCase(source);
      if (exempts({ expression }, client)) line = number;
    }
    return {
      line: line === Infinity ? undefined : line,
      bad: bad.filter(({ number }) => number < line),
    };
  }

  /** The first line with this rule, infinite if there is none. */
  #find(key: string): number {
    const part = 4 * partOf(key);
    const from = this.#table.getUint32(part, true);
    const to = this.#table.getUint32(part + 4, true);
    if (to - from <= 1) return Infinity;
    const text = new TextDecoder().decode(this.#read(from, to - from));
    const at = text.indexOf(`\n${key} `);
    return at < 0 ? Infinity : parseInt(text.slice(at + key.length + 2));
  }
}

function parseHead(bytes: Uint8Array): Head | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

/** The keys of all rules that exempt the client, except for expressions. */
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
    // The owner of the client's address chooses the name. A name with a line
    // end in it could look like another line of the part.
    keys.push(...names.filter(isHostPattern));
  }
  return keys;
}

/** The part that holds a key: the low bits of its FNV-1a hash, folded. */
function partOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 20 ^ hash >>> 10 ^ hash) & (PARTS - 1);
}
