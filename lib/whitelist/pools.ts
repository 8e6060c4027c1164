/**
 * Pools: senders that retry from another network each time. All members of a pool
 * are one client.
 *
 * @module
 */

import { contains } from "../address.ts";
import { type Files, findFile, type Whitelist } from "./exemption.ts";
import { type Client, matchesName } from "./file.ts";

/** A pool, as the configuration has it. */
export interface Pool extends Pick<Whitelist, "networks" | "hosts" | "files"> {
  readonly name: string;
}

/** Whether a text can name a pool: a part of a file name and of a log line. */
export function isPoolName(text: string): boolean {
  return /^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$/i.test(text);
}

/**
 * Finds the pool that a client belongs to. If several have the client, the first
 * in the list counts.
 */
export function findPool(
  pools: readonly Pool[],
  client: Client,
  files: Files,
): Pool | undefined {
  const byRule = pools.findIndex((pool) => hasByRule(pool, client));
  // The file of an earlier pool may have the client, too. The files of all pools
  // are searched, so that they always share one index.
  if (byRule === 0) return pools[0];
  const paths = pools.flatMap(({ files }) => files);
  const path = findFile(paths, client, files);
  const byFile = path === undefined
    ? -1
    : pools.findIndex((pool) => pool.files.includes(path));
  if (byRule < 0 || byFile < 0) return pools[Math.max(byRule, byFile)];
  return pools[Math.min(byRule, byFile)];
}

function hasByRule(
  { networks, hosts }: Pool,
  { address, host }: Client,
): boolean {
  return address !== undefined &&
      networks.some(({ network }) => contains(network, address)) ||
    host !== undefined && hosts.some((pattern) => matchesName(pattern, host));
}
