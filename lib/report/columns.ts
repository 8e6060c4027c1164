/**
 * Columns of numbers and texts outside of the JavaScript heap, so that hundreds
 * of thousands of rows take little memory.
 *
 * @module
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

type Values = Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

/** One column of numbers; it grows by doubling. */
export class Column<T extends Values> {
  values: T;

  constructor(private readonly make: (length: number) => T) {
    this.values = make(1024);
  }

  /** Makes room for so many rows. */
  reserve(length: number): void {
    if (length <= this.values.length) return;
    let size = this.values.length;
    while (size < length) size *= 2;
    const larger = this.make(size);
    larger.set(this.values);
    this.values = larger;
  }
}

/** A column of 32 bits a row. */
export function numbers(): Column<Uint32Array<ArrayBuffer>> {
  return new Column((length) => new Uint32Array(length));
}

/** A column of 8 bits a row. */
export function bytes(): Column<Uint8Array<ArrayBuffer>> {
  return new Column((length) => new Uint8Array(length));
}

const PAGE = 1 << 20;

/** Many short texts. */
export class Texts {
  readonly #pages: Uint8Array[] = [];
  #end = PAGE;

  /** Keeps a text; returns its number, which is above 0. */
  add(text: string): number {
    // A line feed ends each text; no text holds one.
    const bytes = encoder.encode(printable(text) + "\n");
    if (this.#end + bytes.length > PAGE) {
      this.#pages.push(new Uint8Array(PAGE));
      this.#end = this.#pages.length === 1 ? 1 : 0;
    }
    const page = this.#pages.length - 1;
    this.#pages[page].set(bytes, this.#end);
    this.#end += bytes.length;
    return page * PAGE + this.#end - bytes.length;
  }

  /** The text with this number; empty for 0. */
  at(number: number): string {
    if (number === 0) return "";
    const page = this.#pages[Math.floor(number / PAGE)];
    const start = number % PAGE;
    return decoder.decode(page.subarray(start, page.indexOf(10, start)));
  }
}

/** Replaces control characters: other programs may write to the log. */
function printable(text: string): string {
  // The first test is faster than \p{C}, and nearly always enough.
  return /[^ -~]/.test(text) ? text.replace(/\p{C}/gu, "?") : text;
}

/**
 * A printable copy of a piece of log. It is a copy because a substring keeps the
 * whole string alive in V8, a megabyte for a host name.
 */
export function detached(text: string): string {
  return decoder.decode(encoder.encode(printable(text)));
}

/** The numbers below `length` with the largest values above 0, largest first. */
export function largest(
  length: number,
  count: number,
  value: (i: number) => number,
): number[] {
  const best: number[] = [];
  for (let i = 0; i < length; i++) {
    const mine = value(i);
    if (mine <= 0) continue;
    if (best.length === count && mine <= value(best[count - 1])) continue;
    let at = best.length;
    while (at > 0 && value(best[at - 1]) < mine) at--;
    best.splice(at, 0, i);
    if (best.length > count) best.pop();
  }
  return best;
}
