/**
 * Measures how long a client waits, on a machine that may stand still meanwhile.
 *
 * @module
 */

/** How often the thread beside the test looks at the clock, in milliseconds. */
const TICK = 10;

/** A machine that does not run it for longer than that stalls, in milliseconds. */
const STALL = 50;

/** How many stalls are remembered. */
const STALLS = 1024;

/** Shared with the thread: its last look, the number of stalls, their ends, lengths. */
const shared = new Float64Array(
  new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT * (2 + 2 * STALLS)),
);

// It begins with the module: what a test begins it has to end.
const thread = new Worker(new URL("stopwatch_thread.ts", import.meta.url), {
  type: "module",
});
thread.postMessage({ shared, TICK, STALL, STALLS });

/** Whether that thread has looked at the clock yet. */
export function isWatched(): boolean {
  return shared[0] > 0;
}

/** Runs from its making on. */
export class Stopwatch {
  readonly #begin = Date.now();

  /**
   * The time so far, without stalls: times in which a thread that only sleeps did
   * not run. A server that waits for something stalls no other thread.
   */
  get seconds(): number {
    const end = Date.now();
    const [last, count] = shared;
    let stalled = 0;
    const add = (to: number, length: number) => {
      const part = Math.min(length, to - this.#begin);
      if (length > STALL && part > 0) stalled += part;
    };
    for (let i = 0; i < Math.min(count, STALLS); i++) {
      add(shared[2 + 2 * i], shared[3 + 2 * i]);
    }
    if (last > 0) add(end, end - last - TICK);
    return (end - this.#begin - stalled) / 1000;
  }
}
