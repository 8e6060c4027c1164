/**
 * Finds senders that bring the same mail from another network each time. Their mail
 * waits for long if each network is a client of its own. Such a sender is a
 * candidate for a pool.
 *
 * @module
 */

import { detached, largest } from "./columns.ts";

/** Mail that came again from another network each time. */
export interface PoolRow {
  /** The domain of the HELO name, or else of the sender. */
  domain: string;
  /** How often the same sender and recipient came from another network. */
  moves: number;
  /** At most 1,000. */
  networks: number;
  /** How many of those networks were accepted in the end. */
  accepted: number;
  ip?: string;
  helo?: string;
  from?: string;
}

/**
 * How many of the latest pairs of sender and recipient are kept at least; at most
 * twice as many are.
 */
const PAIRS = 100_000;
/** Domains that are kept apart. */
const POOLS = 20_000;
/** Networks that are counted for one pool. */
const NETWORKS = 1000;

interface Pool {
  moves: number;
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

/** The pools seen so far. */
export class Pools {
  readonly #limit: number;
  readonly #pools = new Map<string, Pool>();
  /** The network that a pair came from last. */
  #recent = new Map<string, number>();
  /** Older pairs; a pair that is seen again moves to the recent ones. */
  #older = new Map<string, number>();
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
   */
  add(
    network: number,
    { ip, helo, from, to }: Mail,
  ): void {
    // Bounces for one mailbox are different mails with one null sender.
    if (!from || !to || from === "<>") return;
    const pair = `${from} ${to}`;
    const held = this.#recent.get(pair);
    const before = held ?? this.#older.get(pair);
    if (held === network) return;
    this.#recent.set(held === undefined ? detached(pair) : pair, network);
    if (before !== undefined && before !== network) {
      this.#move(before, network, ip ?? "", helo ?? "", from);
    }
    if (this.#recent.size < PAIRS) return;
    this.#older = this.#recent;
    this.#recent = new Map();
  }

  #move(
    before: number,
    after: number,
    ip: string,
    helo: string,
    from: string,
  ): void {
    const domain = domainOf(helo) ??
      domainOf(from.slice(from.lastIndexOf("@") + 1));
    if (domain === undefined) return;
    let pool = this.#pools.get(domain);
    if (pool === undefined) {
      if (this.#pools.size >= this.#limit) this.#forget();
      pool = {
        moves: 0,
        networks: new Set(),
        ip: detached(ip),
        helo: detached(helo),
        from: detached(from),
      };
      this.#pools.set(detached(domain), pool);
    }
    pool.moves++;
    if (pool.networks.size < NETWORKS) pool.networks.add(before).add(after);
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
        moves: pool.moves,
        networks: pool.networks.size,
        accepted: [...pool.networks].filter(isAccepted).length,
        ip: pool.ip || undefined,
        helo: pool.helo || undefined,
        from: pool.from || undefined,
      };
    });
  }
}

/**
 * The part of a host name that its owner registered: two labels, or three if the
 * last two look like `co.uk`. It only groups senders, so a guess is good enough and
 * no list of registries is needed.
 */
export function domainOf(host: string): string | undefined {
  const labels = host.replace(/[.>]+$/, "").toLowerCase().split(".");
  const top = labels.at(-1)!;
  if (labels.length < 2 || !/^[a-z][a-z0-9-]+$/.test(top)) return undefined;
  if (!labels.every((label) => /^[a-z0-9_-]+$/.test(label))) return undefined;
  const country = top.length === 2 && labels.at(-2)!.length <= 3;
  return labels.slice(country ? -3 : -2).join(".");
}
