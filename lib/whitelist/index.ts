/**
 * The index of a whitelist file: the rules by network or name, in a hash table of
 * 1,024 parts. A connection reads only the parts that it needs. Pure: the caller
 * reads the bytes. index_builder.ts makes them.
 *
 * @module
 */

import { formatNetwork, networkOf } from "../address.ts";
import { compileLowerCase } from "./expression.ts";
import { type BadLine, type Client, exempts, type Found } from "./file.ts";
import { isHostPattern } from "./host_pattern.ts";

/** Reads bytes at an offset in the index; fewer than asked for at its end. */
export type Reader = (offset: number, length: number) => Uint8Array;

// The format: where each part begins, and where the last one ends, in 32 bits
// each; the head as JSON; the parts. A part is a line end, and then a line for each
// rule: its network or name, and the number of its line in the file.
export const PARTS = 1024;
/** The length of the part of the index that says where the others are. */
export const TABLE = 4 * (PARTS + 1);

/** The length of the first read: the table and most heads fit. */
const START = 8192;

/** The part of the index that every connection reads. */
export interface Head {
  /** Names the file, and the state in which it was indexed. */
  readonly seal: string;
  /** The prefix lengths of its networks. */
  readonly prefixes: Readonly<Record<4 | 6, readonly number[]>>;
  /** The most dots that one of its names has; -1 if it has no names. */
  readonly dots: number;
  /** The regular expressions, which have to be tried one by one. */
  readonly expressions: readonly {
    readonly number: number;
    readonly source: string;
  }[];
  readonly bad: readonly BadLine[];
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

  /** Opens an index that was made for this process. */
  static inMemory(bytes: Uint8Array, seal = ""): Index {
    return Index.open((at, length) => bytes.subarray(at, at + length), seal)!;
  }

  /**
   * Searches for a client.
   *
   * @returns what `searchFile` finds in the file, with bad lines cut to 60
   * characters
   * @throws {Error} if the index ends too early
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
      // Only for a caller that uses them: a file may have thousands.
      get bad() {
        return bad.filter(({ number }) => number < line);
      },
    };
  }

  /** The first line with this rule, infinite if there is none. */
  #find(key: string): number {
    const part = 4 * partOf(key);
    const from = this.#table.getUint32(part, true);
    const to = this.#table.getUint32(part + 4, true);
    if (to - from <= 1) return Infinity;
    const bytes = this.#read(from, to - from);
    if (bytes.length < to - from) throw new Error("an index that is cut short");
    const text = new TextDecoder().decode(bytes);
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
function keysOf(
  { address, host }: Client,
  { prefixes, dots }: Head,
): string[] {
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
    // The owner of the client's address chooses the name. With 127 labels it has 253
    // keys: those with more dots than any rule are left out. Each second key has one
    // dot less. A name with a line end in it could look like another line of the part.
    const skipped = Math.max(0, 2 * (dotsIn(host) - dots));
    keys.push(...names.slice(skipped).filter(isHostPattern));
  }
  return keys;
}

/** How many dots a name has. */
export function dotsIn(name: string): number {
  return name.split(".").length - 1;
}

/** The part that holds a key: the low bits of its FNV-1a hash, folded. */
export function partOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 20 ^ hash >>> 10 ^ hash) & (PARTS - 1);
}
