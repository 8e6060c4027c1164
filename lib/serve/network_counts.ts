/**
 * How many connections each client network has.
 *
 * @module
 */

import { clientNetwork, formatNetwork, parseAddress } from "../address.ts";
import type { ResolvedConfig } from "../config.ts";
import type { Served } from "./children.ts";

/**
 * The network for which a program counts. The image before this one has started the
 * program, perhaps with other prefix lengths.
 *
 * @param match the prefix lengths of this image
 */
export function countedFor(
  { client, network }: Served,
  match: ResolvedConfig["match"],
): string {
  const address = parseAddress(client.ip ?? "");
  return address === undefined
    ? network
    : formatNetwork(clientNetwork(address, match));
}

/** Counts connections by client network. */
export class NetworkCounts {
  readonly #counts = new Map<string, number>();

  /** The number of connections of a network. */
  of(network: string): number {
    return this.#counts.get(network) ?? 0;
  }

  /**
   * Counts a connection.
   *
   * @returns a function to be called once, when the connection has ended
   */
  count(network: string): () => void {
    this.#counts.set(network, this.of(network) + 1);
    return () => {
      const left = this.of(network) - 1;
      if (left > 0) this.#counts.set(network, left);
      else this.#counts.delete(network);
    };
  }
}
