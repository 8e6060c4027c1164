/**
 * Makes the index of a whitelist file. See index.ts for its form. Pure: the caller
 * writes the bytes.
 *
 * @module
 */

import { formatNetwork } from "../address.ts";
import { type BadLine, badLine, eachRule } from "./file.ts";
import { dotsIn, type Head, partOf, PARTS, TABLE } from "./index.ts";

const NEWLINE = 10;
const encoder = new TextEncoder();

/** The longest part of a bad line that is kept, in characters. */
const SHOWN = 60;

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
  const builder = new IndexBuilder();
  const texts = typeof text === "string" ? [text] : text;
  for (const [file, each] of texts.entries()) builder.add(each, file * SPAN);
  return builder.build(seal);
}

/** Collects rules, and makes their index. */
export class IndexBuilder {
  readonly #lines = new Lines();
  readonly #prefixes = { 4: new Set<number>(), 6: new Set<number>() };
  #dots = -1;
  readonly #expressions: { number: number; source: string }[] = [];
  readonly #bad: BadLine[] = [];

  /**
   * Adds the rules of some lines.
   *
   * @param text whole lines
   * @param before the number of the line before them
   */
  add(text: string, before: number): void {
    eachRule(text, (rule, line, content) => {
      const number = before + line;
      if ("fault" in rule) {
        this.#bad.push(badLine(rule, number, content.slice(0, SHOWN)));
      } else if ("expression" in rule) {
        this.#expressions.push({ number, source: rule.expression.source });
      } else if ("network" in rule) {
        this.#prefixes[rule.network.family].add(rule.network.prefix);
        this.#add(formatNetwork(rule.network), number);
      } else {
        this.#dots = Math.max(this.#dots, dotsIn(rule.name));
        this.#add(rule.name, number);
      }
    });
  }

  #add(key: string, number: number): void {
    this.#lines.add(partOf(key), `${key} ${number}\n`);
  }

  /** @param seal names the file and its state */
  build(seal: string): Uint8Array<ArrayBuffer> {
    const head: Head = {
      seal,
      prefixes: { 4: [...this.#prefixes[4]], 6: [...this.#prefixes[6]] },
      dots: this.#dots,
      expressions: this.#expressions,
      bad: this.#bad,
    };
    return this.#lines.arrange(encoder.encode(JSON.stringify(head)));
  }
}

/** More lines than any file has: the numbers of one file in an index of several. */
const SPAN = 1e9;

/** The file (from 0) and the line that a number in an index of several means. */
export function lineIn(number: number): { file: number; line: number } {
  return { file: Math.floor(number / SPAN), line: number % SPAN };
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
