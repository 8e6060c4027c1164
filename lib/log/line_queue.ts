/**
 * Lines on their way to a log that may be slow: a disk that hangs, or a reader
 * of standard error that stalls. The caller never waits. Lines that do not fit are
 * counted, and the next line that is written says how many were lost.
 *
 * @module
 */

import { encode } from "../system/utf8.ts";
import { within } from "../system/within.ts";

/** How many characters may wait; a line has some 150. */
const ROOM = 1 << 20;

/**
 * Writes bytes, and waits for that.
 *
 * @returns how many bytes were written
 */
export type Write = (bytes: Uint8Array<ArrayBuffer>) => Promise<number>;

/** Lines that are written in their order, in as few pieces as possible. */
export class LineQueue {
  readonly #write: Write;
  readonly #tellLost: (count: number) => string;
  readonly #room: number;
  #text = "";
  #lines = 0;
  #lost = 0;
  #writing: Promise<void> | undefined;

  /**
   * @param write one call at a time; it may reject
   * @param tellLost the line that says how many lines were lost, with its end
   * @param room how many characters may wait
   */
  constructor(
    write: Write,
    tellLost: (count: number) => string,
    room: number = ROOM,
  ) {
    this.#write = write;
    this.#tellLost = tellLost;
    this.#room = room;
  }

  /** Adds a line with its end. Never waits, never throws. */
  push(line: string): void {
    if (this.#text.length + line.length > this.#room) {
      this.#lost++;
      return;
    }
    this.#text += line;
    this.#lines++;
    this.#writing ??= this.#run();
  }

  /** Whether nothing is being written. */
  get isIdle(): boolean {
    return this.#writing === undefined;
  }

  /**
   * Waits until all is written that was added.
   *
   * @param patience milliseconds after which it is given up, as
   * {@linkcode within} counts them
   */
  async flush(patience: number): Promise<void> {
    if (this.#writing !== undefined) await within(this.#writing, patience);
  }

  /** Writes until nothing is left. Never rejects. */
  async #run(): Promise<void> {
    // One write takes all lines of one round of the event loop.
    await undefined;
    while (this.#text !== "" || this.#lost > 0) {
      const lost = this.#lost;
      const lines = this.#lines;
      const text = lost > 0 ? this.#text + this.#tellLost(lost) : this.#text;
      this.#text = "";
      this.#lines = 0;
      this.#lost = 0;
      if (await this.#writeAll(text)) continue;
      // The next line that is added makes the next try, and reports the loss.
      this.#lost += lost + lines;
      break;
    }
    this.#writing = undefined;
  }

  async #writeAll(text: string): Promise<boolean> {
    let bytes = encode(text);
    try {
      while (bytes.length > 0) {
        const count = await this.#write(bytes);
        if (count <= 0) return false;
        bytes = bytes.subarray(count);
      }
      return true;
    } catch {
      return false;
    }
  }
}
