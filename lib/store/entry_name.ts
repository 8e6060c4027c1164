/**
 * The file names of entries. Pure.
 *
 * @module
 */

import {
  formatAddress,
  type Network,
  parseNetwork,
  width,
} from "../address.ts";

/**
 * The file name of a network: the canonical text of a whole address; for a shorter
 * prefix, the text, `_` and the prefix length (a file name cannot have a `/`).
 */
export function entryName(network: Network): string {
  const text = formatAddress(network);
  return network.prefix === width(network.family)
    ? text
    : `${text}_${network.prefix}`;
}

/**
 * The network of a file name.
 *
 * @returns undefined if {@linkcode entryName} gives no such name
 */
export function parseEntryName(name: string): Network | undefined {
  if (name.includes("/")) return undefined;
  const network = parseNetwork(name.replace("_", "/"));
  // A connection looks for the canonical name only. The only other form that a
  // name of IPv4 can have is `_32`.
  if (network?.family === 4 && !name.includes(":")) {
    return name.endsWith("_32") ? undefined : network;
  }
  return network && entryName(network) === name ? network : undefined;
}

/** The file name of a pool's entry. */
export function poolEntryName(pool: string): string {
  return `@${pool}`;
}

/** Whether a file of this name is an entry: that of a network or of a pool. */
export function isEntryName(name: string): boolean {
  return name.startsWith("@")
    ? /^@[a-z0-9][a-z0-9.-]*$/i.test(name)
    : parseEntryName(name) !== undefined;
}
