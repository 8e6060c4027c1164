/**
 * Finds senders that bring the same mail from another network each time. Their mail
 * waits for long if each network is a client of its own. Such a sender is a
 * candidate for a pool.
 *
 * @module
 */

import { matchesName } from "../whitelist/file.ts";
import { detached, largest } from "./columns.ts";

/** Mail that came again from another network each time. */
export interface PoolRow {
  /** The domain of the HELO name, or else of the sender; see {@linkcode domainOf}. */
  domain: string;
  /**
   * The narrowest host pattern that matches all HELO names of the moves; undefined
   * if these are no host names.
   */
  hosts?: string;
  /**
   * How often the same sender and recipient came from another network of this
   * domain.
   */
  moves: number;
  /** At most 1,000. */
  networks: number;
  /** How many of those networks were accepted in the end. */
  accepted: number;
  /**
   * The longest time, in seconds, over which one mail came {@linkcode MOVES} times
   * or more from another network within a day; 0 if none came as often.
   */
  tried: number;
  ip?: string;
  helo?: string;
  from?: string;
}

/** How often the same mail has to come from another network. */
export const MOVES = 3;
/** In seconds. What comes later than a day after the first try may be other mail. */
const DAY = 86400;

/**
 * How many of the latest mails are kept at least; at most twice as many are.
 */
const PAIRS = 100_000;
/** Domains that are kept apart. */
const POOLS = 20_000;
/** Networks that are counted for one pool. */
const NETWORKS = 1000;

interface Pool {
  moves: number;
  tried: number;
  hosts: string | undefined;
  readonly networks: Set<number>;
  readonly ip: string;
  readonly helo: string;
  readonly from: string;
}

/** HELO, sender and recipient of a mail, each undefined if it was not logged. */
export interface Mail {
  readonly ip?: string;
  readonly helo?: string;
  readonly from?: string;
  readonly to?: string;
}

/** Where a mail came from last. */
interface Origin {
  readonly network: number;
  /** The name in HELO; undefined if that is no host name. */
  readonly host: string | undefined;
  /** The time of the first try. */
  readonly first: number;
  /** Moves since then. */
  readonly moves: number;
}

/** The pools seen so far. */
export class Pools {
  readonly #limit: number;
  readonly #pools = new Map<string, Pool>();
  /**
   * The origins of mails, by domain, sender and recipient. The domain is part of the
   * key, because two senders may bring mail with the same sender and recipient.
   */
  #recent = new Map<string, Origin>();
  /** Older mails; one that is seen again moves to the recent ones. */
  #older = new Map<string, Origin>();
  /** How many pools with few moves were forgotten for want of room. */
  forgotten = 0;

  /** @param limit how many pools are kept apart */
  constructor(limit = POOLS) {
    this.#limit = limit;
  }

  /**
   * Notes the deferral of one mail.
   *
   * @param network a number that is the same for the same network
   * @param time seconds since 1970, if known
   */
  add(
    network: number,
    { ip, helo, from, to }: Mail,
    time = NaN,
  ): void {
    // Bounces for one mailbox are different mails with one null sender.
    if (!from || !to || from === "<>") return;
    const named = domainOf(helo ?? "");
    const domain = named ?? domainOf(from.slice(from.lastIndexOf("@") + 1));
    if (domain === undefined) return;
    const key = `${domain} ${from} ${to}`;
    const held = this.#recent.get(key);
    const before = held ?? this.#older.get(key);
    if (held?.network === network) return;
    const host = named === undefined ? undefined : detached(hostName(helo!));
    const isNew = before === undefined || time - before.first > DAY;
    const after = {
      network,
      host,
      first: isNew ? Math.floor(time) : before.first,
      moves: isNew ? 0 : before.moves + (before.network === network ? 0 : 1),
    };
    this.#recent.set(held === undefined ? detached(key) : key, after);
    if (before !== undefined && before.network !== network) {
      const pool = this.#move(domain, before, after, { ip, helo, from });
      const seconds = Math.floor(time) - after.first;
      if (after.moves >= MOVES && seconds > pool.tried) pool.tried = seconds;
    }
    if (this.#recent.size < PAIRS) return;
    this.#older = this.#recent;
    this.#recent = new Map();
  }

  #move(domain: string, before: Origin, after: Origin, mail: Mail): Pool {
    const { ip = "", helo = "", from = "" } = mail;
    let pool = this.#pools.get(domain);
    if (pool === undefined) {
      if (this.#pools.size >= this.#limit) this.#forget();
      pool = {
        moves: 0,
        tried: 0,
        hosts: undefined,
        networks: new Set(),
        ip: detached(ip),
        helo: detached(helo),
        from: detached(from),
      };
      this.#pools.set(detached(domain), pool);
    }
    pool.moves++;
    for (const { network, host } of [before, after]) {
      if (pool.networks.size < NETWORKS) pool.networks.add(network);
      if (host === undefined) continue;
      // Hosts of one sender that say the same in HELO have different names in DNS.
      const parent = host === domain ? host : host.slice(host.indexOf("."));
      pool.hosts = patternFor(pool.hosts ?? parent, host);
    }
    return pool;
  }

  /** Makes room: drops the half of the pools with fewer moves. */
  #forget(): void {
    const moves = [...this.#pools.values()].map((pool) => pool.moves);
    const median = moves.sort((a, b) => a - b)[moves.length >> 1];
    for (const [domain, pool] of this.#pools) {
      if (this.#pools.size <= this.#limit / 2) break;
      if (pool.moves > median) continue;
      this.#pools.delete(domain);
      this.forgotten++;
    }
  }

  /**
   * The pools with most moves.
   *
   * @param isAccepted tells of a network's number whether it was let in
   */
  top(count: number, isAccepted: (network: number) => boolean): PoolRow[] {
    const pools = [...this.#pools];
    return largest(pools.length, count, (i) => pools[i][1].moves).map((i) => {
      const [domain, pool] = pools[i];
      return {
        domain,
        hosts: pool.hosts,
        moves: pool.moves,
        networks: pool.networks.size,
        accepted: [...pool.networks].filter(isAccepted).length,
        tried: pool.tried,
        ip: pool.ip || undefined,
        helo: pool.helo || undefined,
        from: pool.from || undefined,
      };
    });
  }
}

/**
 * The narrowest pattern that matches what a pattern matches and a name besides; both
 * have the same {@linkcode domainOf}, which the result ends in.
 */
function patternFor(pattern: string, name: string): string {
  while (!matchesName(pattern, name)) {
    // `.a.example` matches the names below, `a.example` that name too.
    pattern = pattern.slice(pattern.startsWith(".") ? 1 : pattern.indexOf("."));
  }
  return pattern;
}

/**
 * The part of a host name that its owner registered: two labels, or three if the
 * last two look like `co.uk`. This is a guess: without the list of registries,
 * `gouv.fr` looks like one owner, and so does a cloud with many customers.
 */
export function domainOf(host: string): string | undefined {
  const labels = hostName(host).split(".");
  const top = labels.at(-1)!;
  if (labels.length < 2 || !/^[a-z][a-z0-9-]+$/.test(top)) return undefined;
  if (!labels.every((label) => /^[a-z0-9_-]+$/.test(label))) return undefined;
  const country = top.length === 2 && labels.at(-2)!.length <= 3;
  return labels.slice(country ? -3 : -2).join(".");
}

/** The name as it is compared; `>` may be left of a sender. */
function hostName(text: string): string {
  return text.replace(/[.>]+$/, "").toLowerCase();
}
