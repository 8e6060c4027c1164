/**
 * Sorts entries in little memory: a million takes some 60 MB.
 *
 * @module
 */

import { entryName, parseEntryName } from "../store/store.ts";
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
  readonly #pools: string[] = [];
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
    const order = new Uint32Array(this.#count).map((_, i) => i);
    order.sort(
      this.#key === "address"
        ? (a, b) => this.#compareAddress(a, b)
        : this.#compareNumber(COLUMNS[this.#key]),
    );
    for (const i of order) yield this.#entry(i);
  }

  #compareAddress(a: number, b: number): number {
    const words = this.#words;
    const [one, other] = [a, b].map((row) => words[row * WORDS]);
    if (one === 0 && other === 0) {
      const [name, second] = [a, b].map((row) =>
        this.#pools[words[row * WORDS + 1]]
      );
      return name < second ? -1 : 1;
    }
    // The prefix length decides last, so a network comes before its subnets.
    for (const i of [0, 2, 3, 4, 5, 1]) {
      const difference = words[a * WORDS + i] - words[b * WORDS + i];
      if (difference !== 0) return difference;
    }
    return 0;
  }

  #compareNumber(column: number) {
    const numbers = this.#numbers;
    // Unknown times are sorted behind all others.
    const value = (row: number) => {
      const number = numbers[row * NUMBERS + column];
      return Number.isNaN(number) ? -Infinity : number;
    };
    return (a: number, b: number) => value(b) - value(a) || a - b;
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
