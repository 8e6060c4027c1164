/**
 * Decides which clients wait. The order is: the whitelist, `only`, a pool or else the
 * network, and then the verdict on the entry.
 *
 * @module
 */

import { formatNetwork, type Network } from "./address.ts";
import type { ResolvedConfig } from "./config.ts";
import { entryName, poolEntryName } from "./store/entry_name.ts";
import type { Client } from "./whitelist/file.ts";
import {
  type ClientConnection,
  type Files,
  findExemption,
} from "./whitelist/exemption.ts";
import { findSuspicion } from "./whitelist/only.ts";
import { findPool } from "./whitelist/pools.ts";

/** The decision for a client that a whitelist exempts. */
export interface Exempt {
  readonly action: "pass";
  readonly reason: "whitelisted";
  /** The rule as the log names it. */
  readonly rule: string;
}

/** The decision for a client that no rule of `only` names. */
export interface Unsuspected {
  readonly action: "pass";
  readonly reason: "unsuspected";
}

/** Gives the files with rules that a section of the configuration names. */
export type FilesOf = (section: "whitelist" | "only" | "pools") => Files;

/**
 * The decision about a client that does not have to wait, whatever its entry
 * says: a whitelist exempts it, or `only` is configured and does not name it.
 *
 * @returns undefined if the entry decides
 */
export function findPass(
  { whitelist, only }: Pick<ResolvedConfig, "whitelist" | "only">,
  connection: ClientConnection,
  filesOf: FilesOf,
): Exempt | Unsuspected | undefined {
  const rule = findExemption(whitelist, connection, filesOf("whitelist"));
  if (rule !== undefined) {
    return { action: "pass", reason: "whitelisted", rule };
  }
  if (only === undefined) return undefined;
  return findSuspicion(only, connection, filesOf("only")) === undefined
    ? { action: "pass", reason: "unsuspected" }
    : undefined;
}

/** What counts as one client. */
export interface Subject {
  /** The name of its entry. */
  readonly entry: string;
  /** The field `net` of the log line: a network, or `@` and the name of a pool. */
  readonly net: string;
}

/**
 * What a client counts as: the first pool that it belongs to, else its network.
 *
 * @param network the client's network, by the configured prefix lengths
 */
export function subjectOf(
  pools: ResolvedConfig["pools"],
  network: Network,
  client: Client,
  filesOf: FilesOf,
): Subject {
  const pool = pools.length === 0
    ? undefined
    : findPool(pools, client, filesOf("pools"));
  if (pool === undefined) {
    return { entry: entryName(network), net: formatNetwork(network) };
  }
  const name = poolEntryName(pool.name);
  return { entry: name, net: name };
}
