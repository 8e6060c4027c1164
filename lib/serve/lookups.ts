/**
 * The look-ups of host names that are under way.
 *
 * @module
 */

import { formatNetwork } from "../address.ts";
import type { Connection } from "./dispatch.ts";
import { LOOKUP_DESCRIPTORS, lookUpHostName } from "./host_name.ts";
import { NetworkCounts } from "./network_counts.ts";

/**
 * The part of the descriptors that look-ups may use together. More clients are
 * checked without their names: names that are never answered must not keep other
 * clients out.
 */
const SHARE = 0.25;

/**
 * The part of the look-ups that one network may have: 12 at once with 1208
 * descriptors. A sender with many connections needs no more, because a name server
 * that answers takes a fraction of a second. Name servers that never answer use all
 * look-ups only if clients of eight networks have them.
 */
const NETWORK_SHARE = 0.125;

/** All look-ups. */
export class Lookups {
  /** How many descriptors they may use. */
  readonly #most: number;
  /** The clients, by descriptor. */
  readonly #clients = new Map<number, Connection>();
  readonly #networks = new NetworkCounts();

  /** @param maxDescriptors how many descriptors connections may use */
  constructor(maxDescriptors: number) {
    this.#most = SHARE * maxDescriptors;
  }

  /** The number of descriptors in use. */
  get descriptors(): number {
    return LOOKUP_DESCRIPTORS * this.#clients.size;
  }

  /** Whether one more client may be looked up. */
  mayAdd({ network }: Connection): boolean {
    const own = LOOKUP_DESCRIPTORS *
      this.#networks.of(formatNetwork(network));
    return this.descriptors < this.#most && own < NETWORK_SHARE * this.#most;
  }

  /**
   * Looks up the name of a client. Never rejects.
   *
   * @param done is called with the name, undefined if there is none; not called
   * after {@linkcode takeAll}
   */
  async add(
    connection: Connection,
    done: (host: string | undefined) => void,
  ): Promise<void> {
    const { fd, peer, network } = connection;
    this.#clients.set(fd, connection);
    const ended = this.#networks.count(formatNetwork(network));
    const host = await lookUpHostName(peer.address);
    ended();
    if (this.#clients.get(fd) !== connection) return;
    this.#clients.delete(fd);
    done(host);
  }

  /** Takes out all clients, whose names are not waited for any more. */
  takeAll(): Connection[] {
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    return clients;
  }
}
