/**
 * jgreylist v8: directories named after the numbers of an address, three digits
 * each, and an empty file at the end: `192/000/002` is a /24 (the default),
 * `192/000/002/017` an address. Brandon Turner's patch for IPv6 puts all that
 * below `ip4`, and an IPv6 address below `ip6`, two hexadecimal digits a byte:
 * eight of them are a /64, sixteen an address.
 *
 * mtime is the first contact. atime is the last connection, accepted or too
 * early. A connection is too early within JGREYLIST_HOLDTIME of the first contact.
 *
 * @module
 */

import type { Network } from "../../address.ts";
import type { DirectoryFormat } from "./directory.ts";

/** The default of JGREYLIST_HOLDTIME, in seconds. */
const HOLD_TIME = 120;

/** The files of jgreylist. */
export const jgreylist: DirectoryFormat = {
  network(path) {
    if (path[0] === "ip6") {
      const bytes = path.slice(1).map(hexadecimal);
      return networkOf(6, bytes, [8, 16]);
    }
    const numbers = path[0] === "ip4" ? path.slice(1) : path;
    return networkOf(4, numbers.map(decimal), [3, 4]);
  },
  holdsEntries(path) {
    if (path.length === 1 && (path[0] === "ip4" || path[0] === "ip6")) {
      return true;
    }
    if (path[0] === "ip6") {
      return path.length <= 16 &&
        path.slice(1).every((name) => hexadecimal(name) !== undefined);
    }
    const numbers = path[0] === "ip4" ? path.slice(1) : path;
    return numbers.length <= 3 &&
      numbers.every((name) => decimal(name) !== undefined);
  },
  lastAccepted: (mtime, atime) =>
    atime >= mtime + HOLD_TIME ? atime : undefined,
};

function decimal(name: string): number | undefined {
  return /^\d{3}$/.test(name) && Number(name) <= 255 ? Number(name) : undefined;
}

function hexadecimal(name: string): number | undefined {
  return /^[0-9a-f]{2}$/i.test(name) ? parseInt(name, 16) : undefined;
}

/**
 * @param bytes the address from its beginning
 * @param lengths how many bytes a network or an address has
 */
function networkOf(
  family: 4 | 6,
  bytes: readonly (number | undefined)[],
  [network, address]: readonly [number, number],
): Network | undefined {
  if (bytes.length !== network && bytes.length !== address) return undefined;
  let value = 0n;
  for (const byte of bytes) {
    if (byte === undefined) return undefined;
    value = value << 8n | BigInt(byte);
  }
  const missing = BigInt(8 * (address - bytes.length));
  return { family, value: value << missing, prefix: 8 * bytes.length };
}
