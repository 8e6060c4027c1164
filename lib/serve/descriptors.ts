/**
 * How many descriptors `serve` needs, and what clients may do with them.
 *
 * @module
 */

import type { ServeConfig } from "./config.ts";

/**
 * Descriptors that are not for clients: the log, the store, Deno's own. As many again
 * are kept for clients that are answered at once; see {@linkcode roomFor}.
 */
export const RESERVE = 64;

/**
 * The share of the clients' descriptors for clients that wait for a child process.
 * Without it, a few networks that are known, each with as many connections as it may
 * have, would use all, and no client could be deferred for as long as they wait.
 */
export const WAITING_SHARE = 0.5;

/**
 * How many descriptors are wanted: one for each client that may be deferred at
 * once, one for each child process, as many again for clients that wait for a
 * child process, and twice the reserve. More clients may wait, up to
 * {@linkcode WAITING_SHARE}, while others do not need the descriptors.
 */
export function descriptorsFor(
  { limit, deferredLimit }: Pick<ServeConfig, "limit" | "deferredLimit">,
): bigint {
  return BigInt(2 * limit + deferredLimit + 2 * RESERVE);
}

/**
 * How many descriptors clients may hold together. Those of child processes are not
 * counted.
 */
export interface Room {
  /** At so many, no further client is looked up, talked to, or waits for a place. */
  readonly held: number;
  /** At so many, the store is asked about no further client. */
  readonly asked: number;
}

/**
 * The room for clients that hold a descriptor for some time. The rest is for child
 * processes and for clients that are answered at once: those that a whitelist
 * exempts, and those that are told 421. Without the rest, clients that are silent
 * would keep `serve` from accepting any other client. The store is asked about
 * clients also when no other has room: a known client then passes, and the entry of
 * a new one begins.
 *
 * @param maxDescriptors how many descriptors connections may use. Few of them are
 * divided, so that each kind of client gets some
 * @param limit how many child processes run at once
 */
export function roomFor(maxDescriptors: number, limit: number): Room {
  const programs = Math.min(limit, maxDescriptors / 2);
  const spare = Math.min(RESERVE, maxDescriptors / 4);
  const asked = maxDescriptors - programs - spare / 2;
  return { held: asked - spare / 2, asked };
}
