/**
 * A progress bar on stderr, for work that takes longer than a second.
 *
 * @module
 */

import { amount } from "../report/format.ts";

/** Milliseconds of work before the bar is drawn, and between two drawings. */
const PATIENCE = 1000;
const INTERVAL = 200;
const BAR = 30;

/** Shown on a terminal only. */
export class Progress {
  readonly #total: number | undefined;
  readonly #unit: string;
  readonly #visible = Deno.stderr.isTerminal();
  #count = 0;
  #next = performance.now() + PATIENCE;
  #shown = false;

  /**
   * @param total the amount of work, undefined if it is not known
   * @param unit the unit of the amount; `bytes` are shown as megabytes
   */
  constructor(total: number | undefined, unit: string) {
    this.#total = total;
    this.#unit = unit;
  }

  /** Counts work that is done, and draws the bar if it is time to. */
  tick(count: number): void {
    this.#count += count;
    if (!this.#visible) return;
    const now = performance.now();
    if (now < this.#next) return;
    this.#next = now + INTERVAL;
    this.#shown = true;
    write(`\r${progressLine(this.#count, this.#total, this.#unit)}\x1b[K`);
  }

  /** Erases the bar. */
  done(): void {
    if (this.#shown) write("\r\x1b[K");
    this.#shown = false;
  }
}

/** The text of the bar, less than 80 columns wide. */
export function progressLine(
  count: number,
  total: number | undefined,
  unit: string,
): string {
  const shown = (value: number) =>
    unit === "bytes" ? (value / 1e6).toFixed(0) : amount(value);
  const name = unit === "bytes" ? "MB" : unit;
  if (total === undefined || total <= 0) return `${shown(count)} ${name}`;
  const part = Math.min(1, count / total);
  const done = Math.floor(part * BAR);
  return `[${"#".repeat(done)}${".".repeat(BAR - done)}] ` +
    `${String(Math.floor(part * 100)).padStart(3)} %  ` +
    `${shown(count)} of ${shown(total)} ${name}`;
}

/** Writes to stderr, without a line end of its own. A failure is ignored. */
export function write(text: string): void {
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  } catch {
    // The reader of stderr is gone: the work goes on.
  }
}
