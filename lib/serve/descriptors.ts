/**
 * How many descriptors `serve` needs: at least one for each client.
 *
 * @module
 */

import type { ServeConfig } from "./config.ts";

/** Descriptors that are not for clients: the log, the store, Deno's own. */
export const RESERVE = 64;

/**
 * The share of the clients' descriptors for clients that wait for a child process.
 * Without it, a few networks that are known, each with as many connections as it may
 * have, would use all, and nobody could connect for as long as they wait.
 */
export const WAITING_SHARE = 0.5;

/**
 * How many descriptors are wanted: one for each client that may be deferred at
 * once, one for each child process, as many again for clients that wait for a
 * child process, and twice the reserve. One reserve is kept from clients; the other
 * is for clients about which the store or the DNS is being asked. More clients may
 * wait, up to {@linkcode WAITING_SHARE}, while others do not need the descriptors.
 */
export function descriptorsFor(
  { limit, deferredLimit }: Pick<ServeConfig, "limit" | "deferredLimit">,
): bigint {
  return BigInt(2 * limit + deferredLimit + 2 * RESERVE);
}
