/**
 * Memory that the C library keeps for later.
 *
 * @module
 */

import { C } from "./constants.ts";
import { fromLibc } from "./libc.ts";

const libc = fromLibc({
  // int malloc_trim(size_t pad);
  malloc_trim: { parameters: ["usize"], result: "i32", nonblocking: true },
  // int mallopt(int param, int value);
  mallopt: { parameters: ["i32", "i32"], result: "i32" },
});

/**
 * Has new threads share the heaps that there are: mallopt(3), M_ARENA_MAX. A heap of
 * its own leaves up to 2 MB behind when a thread has ended.
 */
export function shareHeaps(): void {
  libc().mallopt(C.M_ARENA_MAX, 1);
}

/**
 * Returns memory that is free to the system: malloc_trim(3), in another thread. A
 * thread that has ended leaves up to 3 MB behind.
 */
export async function returnFreeMemory(): Promise<void> {
  await libc().malloc_trim(0n);
}
