/**
 * Memory that the C library keeps for later, and memory that there is room for.
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
  // void *mmap(void *addr, size_t length, int prot, int flags, int fd,
  //            off_t offset);
  mmap: {
    parameters: ["usize", "usize", "i32", "i32", "i32", "i64"],
    result: "isize",
  },
  // int munmap(void *addr, size_t length);
  munmap: { parameters: ["isize", "usize"], result: "i32" },
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

/**
 * Whether so much more memory can be made writable now: mmap(2). RLIMIT_DATA,
 * RLIMIT_AS and a system without overcommit count such memory even if it is never
 * written to, so no page is touched here.
 *
 * @param size bytes
 */
export function canMap(size: bigint): boolean {
  const { mmap, munmap } = libc();
  const access = C.PROT_READ | C.PROT_WRITE;
  // V8 says MAP_NORESERVE too: a machine with less memory than `size` may give it.
  const kind = C.MAP_PRIVATE | C.MAP_ANONYMOUS | C.MAP_NORESERVE;
  const address = mmap(0n, size, access, kind, -1, 0n);
  if (address === -1n) return false;
  munmap(address, size);
  return true;
}
