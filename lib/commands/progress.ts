/**
 * A progress bar on stderr, for work that takes longer than a second.
 *
 * @module
 */

/** Milliseconds of work before anything is shown, and between two drawings. */
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
   * @param total how much there is to do, undefined where that is not known
   * @param unit of what; `bytes` are shown as megabytes
   */
  constructor(total: number | undefined, unit: string) {
    this.#total = total;
    this.#unit = unit;
  }

  /** So much more is done. */
  tick(count: number): void {
    this.#count += count;
    if (!this.#visible) return;
    const now = performance.now();
    if (now < this.#next) return;
    this.#next = now + INTERVAL;
    this.#shown = true;
    write(`\r${progressLine(this.#count, this.#total, this.#unit)}\x1b[K`);
  }

  /** Takes the bar away. */
  done(): void {
    if (this.#shown) write("\r\x1b[K");
    this.#shown = false;
  }
}

/** One drawing, less than 80 columns wide. */
export function progressLine(
  count: number,
  total: number | undefined,
  unit: string,
): string {
  const amount = (value: number) =>
    unit === "bytes" ? (value / 1e6).toFixed(0) : value.toLocaleString("en-US");
  const name = unit === "bytes" ? "MB" : unit;
  if (total === undefined || total <= 0) return `${amount(count)} ${name}`;
  const part = Math.min(1, count / total);
  const done = Math.floor(part * BAR);
  return `[${"#".repeat(done)}${".".repeat(BAR - done)}] ` +
    `${String(Math.floor(part * 100)).padStart(3)} %  ` +
    `${amount(count)} of ${amount(total)} ${name}`;
}

function write(text: string): void {
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  } catch {
    // A bar that cannot be drawn stops nothing.
  }
}
