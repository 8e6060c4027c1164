/**
 * Large databases, and long whitelists, to measure with.
 *
 * @module
 */

import { close } from "../../system/descriptor.ts";
import { lazily } from "../../system/lazily.ts";
import { check, cString, LIBC } from "../../system/libc.ts";

// Linux, the same on x86_64 and aarch64.
const O_WRONLY = 0o1;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_CLOEXEC = 0o2000000;

/** How many entries are made before anything else has its turn. */
const BATCH = 5000;

const libc = lazily(() =>
  Deno.dlopen(LIBC, {
    // int open(const char *pathname, int flags, mode_t mode);
    open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
    // int ftruncate(int fd, off_t length);
    ftruncate: { parameters: ["i32", "i64"], result: "i32" },
    // int futimens(int fd, const struct timespec times[2]);
    futimens: { parameters: ["i32", "buffer"], result: "i32" },
  }).symbols
);

/** The network of an entry, up to 1.0.0.0/24 plus fourteen million. */
function network(i: number): string {
  return `${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0`;
}

/**
 * Makes entries that were accepted once to nine times, the last time in 2001:
 * `prune` removes them all.
 *
 * @param dir an existing directory
 * @param seconds how long it may take
 * @param made is told how many there are, from time to time
 * @returns false where the time was over first
 * @throws {LibcError}
 */
export async function makeEntries(
  dir: string,
  count: number,
  seconds: number,
  made: (count: number) => void,
): Promise<boolean> {
  const { open, ftruncate, futimens } = libc();
  const start = performance.now();
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
  // struct timespec[2]: seconds and nanoseconds, of last access and change.
  const times = new Uint8Array(
    new BigInt64Array([10n ** 9n, 0n, 10n ** 9n, 0n])
      .buffer,
  );
  for (let i = 0; i < count; i++) {
    const path = cString(`${dir}/${network(i)}_24`);
    const fd = check("open", open(path, flags, 0o600));
    check("ftruncate", ftruncate(fd, BigInt(1 + i % 9)));
    check("futimens", futimens(fd, times));
    close(fd);
    if ((i + 1) % BATCH !== 0) continue;
    made(i + 1);
    await new Promise((done) => setTimeout(done));
    const taken = (performance.now() - start) / 1000;
    // No use to go on where the whole would take too long.
    if (taken > seconds || (taken > 2 && taken / (i + 1) * count > seconds)) {
      return false;
    }
  }
  return true;
}

/** A whitelist of so many lines, none of which any client here matches. */
export function whitelistText(lines: number): string {
  const kinds = [
    (i: number) => `${network(i)}/24`,
    (i: number) => `203.0.${(i >> 8) & 255}.${i & 255}`,
    (i: number) => `mx${i}.mail.example`,
    (i: number) => `.pool${i}.example # listed`,
    (i: number) => `2001:db8:${(i & 0xffff).toString(16)}::/48`,
  ];
  return Array.from(
    { length: lines },
    (_, i) => kinds[i % kinds.length](i) + "\n",
  ).join("");
}
