/**
 * What the administrator can do about mail that waits for long: lines to paste.
 *
 * @module
 */

import { isPoolName } from "../whitelist/pools.ts";
import { duration } from "./format.ts";
import type { NetworkRow } from "./networks.ts";
import type { PoolRow } from "./pools.ts";

/** Says whether a client waits no more with the present configuration. */
export type Covered = (client: { ip?: string; helo?: string }) => boolean;

/** One candidate. */
export interface Advice {
  kind: "pool" | "whitelist";
  /** The domain or the network. */
  subject: string;
  why: string;
  /** The line, as it goes into `pools` or into a whitelist file. */
  paste: string;
}

/** The same mail has to come again from another network so often. */
export const MOVES = 3;
/** A network has to wait so many seconds. */
export const WAIT = 3600;

/** A whitelist line has at most so many characters, so that it stays a line. */
const LINE = 76;

/**
 * Finds candidates: a pool for a sender that has tried the same mail from three
 * networks and came through in the end, as a spammer does not; a whitelist line
 * for a network that waited for an hour.
 *
 * @param covered says which clients need nothing any more
 */
export function advise(
  pools: PoolRow[],
  waits: NetworkRow[],
  covered: Covered,
): Advice[] {
  const domains = new Set<string>();
  const advice: Advice[] = [];
  for (const pool of pools) {
    const { domain, moves, networks, accepted, helo = "" } = pool;
    const named = helo.toLowerCase().replace(/\.$/, "").endsWith(`.${domain}`);
    if (!named || !isPoolName(domain)) continue;
    if (moves < MOVES || networks < MOVES || accepted === 0) continue;
    domains.add(domain);
    if (covered(pool)) continue;
    advice.push({
      kind: "pool",
      subject: domain,
      why: `the same mail came from another network ${moves} times, from ` +
        `${networks}${networks >= 1000 ? "+" : ""} networks in all`,
      paste: `{ name: "${domain}", hosts: [".${domain}"] },`,
    });
  }
  for (const row of waits) {
    const { network, longest = 0, helo = "" } = row;
    // An entry of a pool begins with "@": that sender is seen to.
    if (longest < WAIT || network.startsWith("@") || covered(row)) continue;
    const name = helo.toLowerCase();
    if ([...domains].some((domain) => name.endsWith(`.${domain}`))) continue;
    const waited = `waited ${duration(longest)}`;
    const room = LINE - `${network}  # , ${waited}`.length;
    const shown = name.slice(0, Math.max(0, room)).replace(/[^!-~]/g, "?");
    const comment = [shown, waited].filter((part) => part !== "").join(", ");
    advice.push({
      kind: "whitelist",
      subject: network,
      why: `mail ${waited}`,
      paste: `${network}  # ${comment}`,
    });
  }
  return advice;
}
