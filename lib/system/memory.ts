/**
 * Memory that the C library keeps for later.
 *
 * @module
 */

import { fromLibc } from "./libc.ts";

const libc = fromLibc({
  // int malloc_trim(size_t pad);
  malloc_trim: { parameters: ["usize"], result: "i32", nonblocking: true },
});

/**
 * Returns memory that is free to the system: malloc_trim(3), in another thread. A
 * thread that has ended leaves up to 3 MB behind.
 */
export async function returnFreeMemory(): Promise<void> {
  await libc().malloc_trim(0n);
}
