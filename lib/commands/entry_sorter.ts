/**
 * Sorts entries in little memory: a million takes some 60 MB.
 *
 * @module
 */

import { entryName, parseEntryName } from "../store/entry_name.ts";
import type { Listed } from "../store/listing.ts";

/** The keys that entries can be sorted by. */
export const KEYS = ["last", "first", "accepted", "address"] as const;

/** One of {@linkcode KEYS}. */
export type Key = typeof KEYS[number];

/**
 * Family, prefix length, and the address in four pieces of 32 bits. A pool has
 * family 0, and its index in the list of pools in place of the prefix length.
 */
const WORDS = 6;
/** Accepted count, last and first contact. */
const NUMBERS = 3;

/** The column of each numeric key. Numbers are sorted in descending order. */
const COLUMNS = { accepted: 0, last: 1, first: 2 };

/** Collects entries and gives them back in order. */
export class EntrySorter {
  readonly #key: Key;
  #pools: string[] = [];
  #count = 0;
  #words = new Uint32Array(1024 * WORDS);
  #numbers = new Float64Array(1024 * NUMBERS);

  constructor(key: Key) {
    this.#key = key;
  }

  /** Takes one more entry. */
  add({ name, accepted, mtime, first }: Listed): void {
    const pool = name.startsWith("@") ? this.#pools.push(name) - 1 : undefined;
    // A listing has entries only, so the name can be parsed.
    const { family, prefix, value } = pool === undefined
      ? parseEntryName(name)!
      : { family: 0, prefix: pool, value: 0n };
    const word = this.#count * WORDS;
    const number = this.#count * NUMBERS;
    if (word === this.#words.length) {
      const words = new Uint32Array(word * 2);
      words.set(this.#words);
      this.#words = words;
      const numbers = new Float64Array(number * 2);
      numbers.set(this.#numbers);
      this.#numbers = numbers;
    }
    this.#words[word] = family;
    this.#words[word + 1] = prefix;
    for (let i = 0; i < 4; i++) {
      const shift = BigInt(96 - 32 * i);
      this.#words[word + 2 + i] = Number(value >> shift & 0xffffffffn);
    }
    this.#numbers[number] = accepted;
    this.#numbers[number + 1] = mtime;
    this.#numbers[number + 2] = first ?? NaN;
    this.#count++;
  }

  /** All entries: addresses in ascending order, numbers in descending order. */
  *entries(): Generator<Listed> {
    const order = this.#key === "address"
      ? this.#orderByAddress()
      : this.#orderByNumber(COLUMNS[this.#key]);
    for (const row of order) yield this.#entry(row);
  }

  #orderByAddress(): Uint32Array {
    const words = this.#words;
    const sorted = this.#pools.toSorted();
    const ranks = new Map(sorted.map((name, rank) => [name, rank]));
    for (let row = 0; row < this.#count && sorted.length > 0; row++) {
      const word = row * WORDS;
      if (words[word] > 0) continue;
      words[word + 1] = ranks.get(this.#pools[words[word + 1]])!;
    }
    this.#pools = sorted;
    // The prefix length decides last, so a network comes before its subnets.
    return orderRows(this.#count, words, WORDS, [1, 5, 4, 3, 2, 0]);
  }

  #orderByNumber(column: number): Uint32Array {
    const keys = new Float64Array(this.#count);
    for (let row = 0; row < keys.length; row++) {
      const number = this.#numbers[row * NUMBERS + column];
      // Unknown times are sorted behind all others.
      keys[row] = Number.isNaN(number) ? -Infinity : number;
    }
    // The bits of an IEEE 754 number are a sign and then an unsigned number: in
    // descending order if all bits of a number without a sign are inverted, except
    // the first one.
    const words = new Uint32Array(keys.buffer);
    for (let low = 0; low < words.length; low += 2) {
      if (words[low + 1] >>> 31 === 1) continue;
      words[low] = ~words[low];
      words[low + 1] ^= 0x7fffffff;
    }
    return orderRows(keys.length, words, 2, [0, 1]);
  }

  #entry(row: number): Listed {
    const words = this.#words.subarray(row * WORDS, (row + 1) * WORDS);
    const numbers = this.#numbers.subarray(row * NUMBERS, (row + 1) * NUMBERS);
    let value = 0n;
    for (const word of words.subarray(2)) value = value << 32n | BigInt(word);
    const [accepted, mtime, first] = numbers;
    const [family, prefix] = words;
    return {
      name: family === 0
        ? this.#pools[prefix]
        : entryName({ family: family as 4 | 6, value, prefix }),
      accepted,
      mtime,
      first: Number.isNaN(first) ? undefined : first,
    };
  }
}

/**
 * Sorts rows of unsigned numbers in ascending order by 16 bits at a time, the last
 * ones first. In a binary without V8's compilers, sorting with a comparison takes 4 to
 * 16 times as long: it is called twenty times for each of a million rows.
 *
 * @param columns the columns to sort by, the one that decides last first
 * @returns the numbers of the rows; equal rows are in the order in which they were
 */
function orderRows(
  count: number,
  words: Uint32Array,
  width: number,
  columns: readonly number[],
): Uint32Array {
  const digits = new Uint16Array(words.buffer);
  const stride = 2 * width;
  let order = new Uint32Array(count).map((_, row) => row);
  let next = new Uint32Array(count);
  for (const column of columns) {
    // The lower half of a word comes first in memory.
    for (const digit of [2 * column, 2 * column + 1]) {
      const starts = new Uint32Array(0x10001);
      for (let i = digit; i < count * stride; i += stride) {
        starts[digits[i] + 1]++;
      }
      if (starts[digits[digit] + 1] === count) continue;
      for (let value = 0; value < 0x10000; value++) {
        starts[value + 1] += starts[value];
      }
      for (const row of order) {
        next[starts[digits[row * stride + digit]]++] = row;
      }
      [order, next] = [next, order];
    }
  }
  return order;
}
