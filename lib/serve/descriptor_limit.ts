/**
 * The limit on descriptors of `serve`.
 *
 * @module
 */

import { type Limit, setDescriptorLimit } from "../system/resource_limit.ts";
import { RESERVE } from "./descriptors.ts";

/**
 * How many descriptors clients use when a limit is raised. One reserve is for `serve`
 * itself, and one for what other threads open meanwhile. Of a low limit a quarter is
 * for clients; if it is lower than one reserve, it is raised at once.
 */
function thresholdOf(soft: number): number {
  return soft < RESERVE ? 0 : Math.max(soft - 2 * RESERVE, soft / 4);
}

/**
 * The limit on descriptors. It is raised only when clients need that, because PROGRAM
 * inherits it. It cannot be lowered for the moment of each start: all threads share
 * it, and a start takes as long as PROGRAM's disk does. To lower it in PROGRAM, with
 * prlimit(2), could undo what softlimit has set there meanwhile.
 */
export class DescriptorLimit {
  /** How many descriptors clients may use. */
  readonly forClients: number;
  readonly #most: Limit;
  /** How many of them are used when the limit is raised; Infinity if it is. */
  #threshold: number;

  /**
   * @param found the limit with which `serve` was started
   * @param most that limit, raised as far as wanted and as allowed
   * @param used how many descriptors clients use already
   */
  constructor(found: Limit, most: Limit, used: number) {
    this.forClients = Math.max(1, Number(most.soft) - RESERVE);
    this.#most = most;
    this.#threshold = found.soft < most.soft
      ? thresholdOf(Number(found.soft))
      : Infinity;
    this.allows(used);
  }

  /**
   * Whether clients may use one more descriptor. Raises the limit if need be.
   *
   * @param used how many descriptors they use
   */
  allows(used: number): boolean {
    if (used >= this.#threshold) {
      this.#threshold = Infinity;
      try {
        setDescriptorLimit(this.#most);
      } catch {
        // The hard limit has been lowered meanwhile. accept(2) fails if descriptors
        // run out, and new connections wait then.
      }
    }
    return used < this.forClients;
  }
}
