/**
 * The thread of stopwatch.ts: it only sleeps, and notes when it did not run. Gets
 * the shared memory and the constants of that module.
 *
 * @module
 */

const thread = self as unknown as {
  onmessage: (event: MessageEvent) => void;
};

thread.onmessage = ({ data: { shared, TICK, STALL, STALLS } }) => {
  let last = Date.now();
  setInterval(() => {
    const now = Date.now();
    const length = now - last - TICK;
    if (length > STALL) {
      const at = 2 + 2 * (shared[1] % STALLS);
      shared[at] = now;
      shared[at + 1] = length;
      shared[1]++;
    }
    shared[0] = last = now;
  }, TICK);
};
