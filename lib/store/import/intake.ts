/**
 * Takes in the networks that were found, one after the other, and counts what
 * becomes of each.
 *
 * @module
 */

import type { Network, PrefixLengths } from "../../address.ts";
import { adopt, better, type Place } from "../adopt.ts";
import { type Entry, isForgotten, type Timeouts } from "../policy.ts";
import { entryName } from "../entry_name.ts";
import { clientOf, entryOf, type Found, type PoolEntry } from "./found.ts";

/** What an intake has to know of the configuration. */
export interface Rules {
  /** The prefix lengths that make one client. */
  readonly match: PrefixLengths;
  readonly timeouts: Timeouts;
}

/** Entries on their way into a base directory. */
export class Intake {
  readonly #place: Place;
  readonly #rules: Rules;
  readonly #now: number;
  /** The number of networks found. */
  read = 0;
  /** Written, as known. */
  known = 0;
  /** Written, as grey. */
  grey = 0;
  /** Those of the written ones that were an address and became its network. */
  widened = 0;
  /** Not written, because the existing entry is as good. */
  kept = 0;
  /** Left out, because they have expired. */
  expired = 0;
  /** Left out, because they are wider than one client. */
  wider = 0;
  /** The first network that is wider than one client. */
  firstWider: Network | undefined;
  /** Could not be written. */
  failed = 0;
  /** Why the first of the `failed` could not be written. */
  failure: unknown;

  /** @param now seconds since 1970 */
  constructor(place: Place, rules: Rules, now: number) {
    this.#place = place;
    this.#rules = rules;
    this.#now = now;
  }

  /** Writes what was found as an entry, unless it has expired or is too wide. */
  take(found: Found<Network | PoolEntry>): void {
    this.read++;
    const { match, timeouts } = this.#rules;
    const now = this.#now;
    const { network } = found;
    const isPool = typeof network === "string";
    const client = isPool ? undefined : clientOf(network, match);
    if (!isPool && client === undefined) {
      this.wider++;
      this.firstWider ??= network;
      return;
    }
    const entry = entryOf(found, now);
    if (isForgotten(entry, now, timeouts)) {
      this.expired++;
      return;
    }
    const choose = (old: Entry) => better(old, entry, now, timeouts);
    try {
      const name = isPool ? network : entryName(client!);
      if (adopt(this.#place, name, entry, choose) === "kept") {
        this.kept++;
        return;
      }
    } catch (error) {
      // One entry that cannot be written must not stop the rest.
      this.failed++;
      this.failure ??= error;
      return;
    }
    if (entry.accepted > 0) this.known++;
    else this.grey++;
    if (!isPool && client?.prefix !== network.prefix) this.widened++;
  }
}
