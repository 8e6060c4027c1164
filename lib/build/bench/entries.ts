/**
 * Large databases, and long whitelists, to measure with.
 *
 * @module
 */

import { C } from "../../system/constants.ts";
import { close, open } from "../../system/descriptor.ts";
import { setMtime, truncate } from "../../system/file.ts";
import { sleep } from "../../system/sleep.ts";

/** How many entries are made before the event loop gets its turn. */
const BATCH = 5000;

/** When each entry was last accepted: in 2001. */
const ACCEPTED = 1e9;

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
 * @returns false if the time was over first
 * @throws {LibcError}
 */
export async function makeEntries(
  dir: string,
  count: number,
  seconds: number,
  made: (count: number) => void,
): Promise<boolean> {
  const start = performance.now();
  const flags = C.O_WRONLY | C.O_CREAT | C.O_EXCL;
  for (let i = 0; i < count; i++) {
    const fd = open(`${dir}/${network(i)}_24`, flags, 0o600);
    truncate(fd, 1 + i % 9);
    setMtime(fd, ACCEPTED);
    close(fd);
    if ((i + 1) % BATCH !== 0) continue;
    made(i + 1);
    await sleep(0);
    const taken = (performance.now() - start) / 1000;
    // Stops early if all entries would take too long.
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
