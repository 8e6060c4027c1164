/**
 * How many connections each client network has.
 *
 * @module
 */

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
