/**
 * Lists of networks: finds the shortest list that covers the same addresses, and
 * limits the number of addresses that a list covers.
 *
 * @module
 */

import { covers, type Network, networkOf, width } from "../address.ts";

/** A network, and the terms that list it. */
export interface Sourced {
  readonly network: Network;
  readonly origins: readonly string[];
}

/**
 * Sorts networks (IPv4 first, then by address) and merges what can be merged:
 * one inside another, and two halves of the network that is one bit shorter.
 * The addresses covered stay exactly the same. A merged network keeps all its
 * origins, each once, those of the widest first.
 */
export function minimal(list: readonly Sourced[]): Sourced[] {
  const sorted = [...list].sort((a, b) => compare(a.network, b.network));
  const merged: Sourced[] = [];
  for (const { network, origins } of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && covers(last.network, network)) {
      merged[merged.length - 1] = {
        network: last.network,
        origins: union(last.origins, origins),
      };
      continue;
    }
    merged.push({ network, origins: union(origins) });
    mergeHalves(merged);
  }
  return merged;
}

/** Replaces the last two networks by their common one, as often as possible. */
function mergeHalves(merged: Sourced[]): void {
  for (;;) {
    const [low, high] = merged.slice(-2);
    if (high === undefined || low.network.prefix !== high.network.prefix) {
      return;
    }
    const { prefix } = low.network;
    if (prefix === 0) return;
    const parent = networkOf(low.network, prefix - 1);
    if (!covers(parent, high.network)) return;
    merged.splice(-2, 2, {
      network: parent,
      origins: union(low.origins, high.origins),
    });
  }
}

/** The order of the result: family, address, and the wider network first. */
function compare(a: Network, b: Network): number {
  if (a.family !== b.family) return a.family - b.family;
  if (a.value !== b.value) return a.value < b.value ? -1 : 1;
  return a.prefix - b.prefix;
}

/** The most addresses that one list may cover, as the prefix of one network. */
const WIDEST = { 4: 8, 6: 16 } as const;

/**
 * Checks how much a list covers. Too much is more IPv4 addresses than a /8 has, or
 * more IPv6 addresses than a /16 has.
 *
 * @param list networks that do not overlap, as `minimal` returns them
 * @returns the widest network of the family of which the list covers too much, or
 * undefined
 */
export function excess(list: readonly Sourced[]): Sourced | undefined {
  for (const family of [4, 6] as const) {
    const networks = list.filter(({ network }) => network.family === family);
    const size = ({ network: { prefix } }: Sourced) =>
      1n << BigInt(width(family) - prefix);
    const covered = networks.reduce((sum, each) => sum + size(each), 0n);
    if (covered > 1n << BigInt(width(family) - WIDEST[family])) {
      return networks.reduce((widest, each) =>
        each.network.prefix < widest.network.prefix ? each : widest
      );
    }
  }
}

function union(...lists: (readonly string[])[]): string[] {
  return [...new Set(lists.flat())];
}
