/**
 * What the readers of other programs' state have in common.
 *
 * @module
 */

import {
  clientNetwork,
  type Network,
  type PrefixLengths,
} from "../../address.ts";
import type { Entry } from "../policy.ts";

/**
 * The name of a pool's entry, such as `@google`. Only greylist itself has pools.
 */
export type PoolEntry = `@${string}`;

/** What another program knew of a network. Times are seconds since 1970. */
export interface Found<Client extends Network | PoolEntry = Network> {
  readonly network: Client;
  /** First contact. */
  readonly firstSeen: number;
  /** Undefined if no mail was ever accepted. */
  readonly lastAccepted: number | undefined;
  /** How often mail was accepted; 1 if that is all that is known. */
  readonly accepted: number;
}

/**
 * Reads one line of a file.
 *
 * @returns "other" for a well-formed line that holds no entry, undefined for a
 * malformed line
 */
export type ReadLine<Client extends Network | PoolEntry = Network> = (
  line: string,
) => Found<Client> | "other" | undefined;

/**
 * The entry that a network becomes: known since its last accepted mail, or grey
 * since its first contact. Times are whole seconds and not later than now, so that
 * a second import finds nothing better.
 *
 * @param now seconds since 1970
 */
export function entryOf(
  { firstSeen, lastAccepted, accepted }: Found<Network | PoolEntry>,
  now: number,
): Entry {
  const mtime = Math.floor(Math.min(lastAccepted ?? firstSeen, now));
  return lastAccepted === undefined
    ? { accepted: 0, mtime }
    : { accepted: Math.max(1, accepted), mtime };
}

/**
 * The client that a network belongs to.
 *
 * @param match the configured prefix lengths
 * @returns undefined if the network is wider than one client: no connection
 * would look for its entry
 */
export function clientOf(
  network: Network,
  match: PrefixLengths,
): Network | undefined {
  const client = clientNetwork(network, match);
  return network.prefix < client.prefix ? undefined : client;
}
