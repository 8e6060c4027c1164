/**
 * Terms of SPF records that refuse clients, and what they mean for a network that a
 * later term lets pass.
 *
 * @module
 */

import { covers, type Network } from "../address.ts";

/** A record on the way from the domain that was asked for. */
export interface Step {
  readonly domain: string;
  /** The term that led to it, as origins show it. */
  readonly term: string;
}

/** A term that refuses, and comes before the term at hand. */
export interface Refusal {
  /** The network of an `ip4` or `ip6` term. Other terms are not looked up. */
  readonly network?: Network;
  readonly text: string;
  /** The steps to the record that holds the term. */
  readonly path: readonly Step[];
}

/**
 * Finds the terms that refuse some clients of a network, or may refuse some.
 *
 * @param refusals the terms that a client has to get past
 * @returns undefined if one of them refuses the whole network
 */
export function exceptionsTo(
  network: Network,
  refusals: readonly Refusal[],
): Refusal[] | undefined {
  const isRefused = refusals.some((refusal) =>
    refusal.network !== undefined && covers(refusal.network, network)
  );
  if (isRefused) return undefined;
  return refusals.filter((refusal) =>
    refusal.network === undefined || covers(network, refusal.network)
  );
}
