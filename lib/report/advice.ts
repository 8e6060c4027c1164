/**
 * What the administrator can do about mail that waits for long: lines to paste.
 *
 * @module
 */

import { matchesName } from "../whitelist/file.ts";
import { isPoolName } from "../whitelist/pools.ts";
import { amount, duration, networkCount } from "./format.ts";
import type { NetworkRow } from "./networks.ts";
import { MOVES, type PoolRow } from "./pools.ts";

/** Tells whether the present configuration already covers a client. */
export type Covered = (client: { ip?: string; helo?: string }) => boolean;

/** One candidate. */
export interface Advice {
  /** `look`: perhaps a pool, perhaps spam; a person has to look. */
  kind: "pool" | "whitelist" | "look";
  /** The domain that the HELO names have in common, or the network. */
  subject: string;
  why: string;
  /** The line, as it goes into `pools` or a whitelist file; empty for `look`. */
  paste: string;
}

/** How long a network has to wait, or a mail to come again, in seconds. */
export const WAIT = 3600;
/** Senders to look at: under an attack there may be many that are spam. */
const LOOKS = 3;

/** The longest whitelist line, in characters: a longer one would be wrapped. */
const LINE = 76;

/**
 * Finds candidates. A pool: a sender that tried the same mail from three networks
 * and was let in at the end, which spammers rarely are. A whitelist line: a network
 * that waited for an hour. To be looked at: a sender that tried the same mail from
 * more and more networks for an hour, and was let in from none. Its author gets a
 * bounce if the sender is real. The log cannot tell, since a client may say any name
 * in HELO, so there is no line to paste.
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
  const looks: Advice[] = [];
  for (const pool of pools) {
    const { domain, hosts = "", moves, networks, accepted, tried } = pool;
    const { ip = "unknown", helo = "" } = pool;
    const named = helo.toLowerCase().replace(/\.$/, "").endsWith(`.${domain}`);
    const name = hosts.replace(/^\./, "");
    if (!named || !isPoolName(name)) continue;
    if (moves < MOVES || networks < MOVES) continue;
    const why =
      `the same mail came from another network ${amount(moves)} times, ` +
      `from ${networkCount(networks)} networks in all`;
    if (accepted === 0) {
      if (tried < WAIT || looks.length === LOOKS || covered(pool)) continue;
      looks.push({
        kind: "look",
        subject: name,
        why: `${why}, one mail over ${duration(tried)}; ` +
          `one of the addresses is ${ip}`,
        paste: "",
      });
      continue;
    }
    patterns.push(hosts);
    if (covered(pool)) continue;
    advice.push({
      kind: "pool",
      subject: name,
      why,
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
  // In front, since the report shows only some: this mail may be lost.
  return [...looks, ...advice];
}
