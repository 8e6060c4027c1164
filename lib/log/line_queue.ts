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

const NEWLINE = 0x0a;

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
  /** Whether the log ends in the middle of a line. */
  #isCut = false;
  #writing: Promise<void> | undefined;
  /** When the last write began. */
  #began = 0;

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
      this.lose(1);
      return;
    }
    this.#text += line;
    this.#lines++;
    this.#writing ??= this.#run();
  }

  /** Reports lines that were lost. */
  lose(count: number): void {
    if (count === 0) return;
    this.#lost += count;
    // Also if there is no room: after a write that has failed, nothing else would
    // begin the next one.
    this.#writing ??= this.#run();
  }

  /**
   * When the write that is under way began, from `performance.now()`; Infinity if
   * nothing is being written.
   */
  get busySince(): number {
    return this.#writing === undefined ? Infinity : this.#began;
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

  /**
   * Waits until nothing is being written, however long that takes, and tries once
   * more to write what is left. No line may follow.
   *
   * @returns how many lines were lost and could not be reported
   */
  async end(): Promise<number> {
    await this.#writing;
    this.#writing = this.#run();
    await this.#writing;
    return this.#lost;
  }

  /** Writes until nothing is left. Never rejects. */
  async #run(): Promise<void> {
    this.#began = performance.now();
    // One write takes all lines of one round of the event loop.
    await undefined;
    while (this.#text !== "" || this.#lost > 0) {
      const lost = this.#lost;
      const lines = this.#lines;
      const text = (this.#isCut ? "\n" : "") + this.#text +
        (lost > 0 ? this.#tellLost(lost) : "");
      this.#text = "";
      this.#lines = 0;
      this.#lost = 0;
      const bytes = encode(text);
      const written = bytes.subarray(0, await this.#writeAll(bytes));
      const wasCut = this.#isCut;
      if (written.length > 0) this.#isCut = written.at(-1) !== NEWLINE;
      if (written.length === bytes.length) continue;
      const ends = written.filter((byte) => byte === NEWLINE).length;
      const complete = wasCut ? Math.max(0, ends - 1) : ends;
      // The next line that is added makes the next try, and reports the loss.
      this.#lost += lost + lines - complete;
      break;
    }
    this.#writing = undefined;
  }

  /** @returns how many bytes were written */
  async #writeAll(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
    let written = 0;
    try {
      while (written < bytes.length) {
        this.#began = performance.now();
        const count = await this.#write(bytes.subarray(written));
        if (count <= 0) break;
        written += count;
      }
    } catch {
      // The disk is full, for instance.
    }
    return written;
  }
}
