/**
 * What the administrator can do about mail that waits for long: lines to paste.
 *
 * @module
 */

import { matchesName } from "../whitelist/file.ts";
import { isPoolName } from "../whitelist/pools.ts";
import { amount, duration, networkCount } from "./format.ts";
import type { NetworkRow } from "./networks.ts";
import type { PoolRow } from "./pools.ts";

/** Tells whether the present configuration already covers a client. */
export type Covered = (client: { ip?: string; helo?: string }) => boolean;

/** One candidate. */
export interface Advice {
  kind: "pool" | "whitelist";
  /** The domain that the HELO names have in common, or the network. */
  subject: string;
  why: string;
  /** The line, as it goes into `pools` or into a whitelist file. */
  paste: string;
}

/** How often the same mail has to come from another network. */
export const MOVES = 3;
/** How long a network has to wait, in seconds. */
export const WAIT = 3600;

/** The longest whitelist line, in characters: a longer one would be wrapped. */
const LINE = 76;

/**
 * Finds candidates. A pool: a sender that tried the same mail from three networks
 * and was let in at the end, which spammers rarely are. A whitelist line: a network
 * that waited for an hour.
 *
 * @param covered tells which clients need no advice
 */
export function advise(
  pools: PoolRow[],
  waits: NetworkRow[],
  covered: Covered,
): Advice[] {
  const patterns: string[] = [];
  const advice: Advice[] = [];
  for (const pool of pools) {
    const { domain, hosts = "", moves, networks, accepted, helo = "" } = pool;
    const named = helo.toLowerCase().replace(/\.$/, "").endsWith(`.${domain}`);
    const name = hosts.replace(/^\./, "");
    if (!named || !isPoolName(name)) continue;
    if (moves < MOVES || networks < MOVES || accepted === 0) continue;
    patterns.push(hosts);
    if (covered(pool)) continue;
    advice.push({
      kind: "pool",
      subject: name,
      why: `the same mail came from another network ${amount(moves)} times, ` +
        `from ${networkCount(networks)} networks in all`,
      paste: `{ name: "${name}", hosts: ["${hosts}"] },`,
    });
  }
  for (const row of waits) {
    const { network, longest = 0, helo = "" } = row;
    // The entry of a pool begins with "@". Its sender is a pool already.
    if (longest < WAIT || network.startsWith("@") || covered(row)) continue;
    const name = helo.toLowerCase();
    if (patterns.some((pattern) => matchesName(pattern, name))) continue;
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
