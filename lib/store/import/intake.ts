/**
 * Takes in what was found, one network after the other, and counts what becomes
 * of each.
 *
 * @module
 */

import type { Network } from "../../address.ts";
import { adopt, better, type Place } from "../adopt.ts";
import { type Entry, isForgotten, type Timeouts } from "../policy.ts";
import { entryName } from "../store.ts";
import { clientOf, entryOf, type Found, type PoolEntry } from "./found.ts";

/** What an intake has to know of the configuration. */
export interface Rules {
  /** The prefix lengths that make one client. */
  readonly match: { readonly ipv4: number; readonly ipv6: number };
  readonly timeouts: Timeouts;
}

/** Entries on their way into a base directory. */
export class Intake {
  readonly #place: Place;
  readonly #rules: Rules;
  readonly #now: number;
  /** All that were found. */
  read = 0;
  /** Written, as known. */
  known = 0;
  /** Written, as grey. */
  grey = 0;
  /** Of those written: addresses for which the network around them stands. */
  widened = 0;
  /** Not written, since the entry that is there is as good. */
  kept = 0;
  /** Left out, since the verdict would not count them any more. */
  expired = 0;
  /** Left out, since they are wider than one client. */
  wider = 0;
  /** The first of those. */
  firstWider: Network | undefined;
  /** Could not be written. */
  failed = 0;
  /** Why the first of those could not. */
  failure: unknown;

  /** @param now seconds since 1970 */
  constructor(place: Place, rules: Rules, now: number) {
    this.#place = place;
    this.#rules = rules;
    this.#now = now;
  }

  /** Writes down what was found, unless it is worth nothing here. */
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
      // One that cannot be written must not keep all behind it.
      this.failed++;
      this.failure ??= error;
      return;
    }
    if (entry.accepted > 0) this.known++;
    else this.grey++;
    if (!isPool && client?.prefix !== network.prefix) this.widened++;
  }
}
