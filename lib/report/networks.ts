/**
 * What became of each deferred network.
 *
 * @module
 */

import { bytes, detached, largest, numbers, Texts } from "./columns.ts";

/** What became of a network that was deferred. */
export type Outcome = "accepted" | "stopped" | "open";

/** One network among those that stand out. */
export interface NetworkRow {
  network: string;
  /** How often the network was deferred in the whole log. */
  deferrals: number;
  /** How often it was deferred in the wait with the most deferrals. */
  tries: number;
  /** Seconds from the first of these tries to the one that was let in, if known. */
  delay?: number;
  /** Seconds of the longest wait that a retry ended, if any. */
  longest?: number;
  outcome: Outcome;
  /** An example, escaped as in the log; undefined if it was not logged. */
  ip?: string;
  helo?: string;
  from?: string;
}

/**
 * A sender gives up after four to five days (RFC 5321 section 4.5.4.1). If a
 * network comes again after a longer silence, it brings other mail, and another
 * wait begins.
 */
const QUEUE_LIFETIME = 5 * 86400;

/**
 * A deferral is logged when its dialogue is over. If another client of the network
 * has retried meanwhile, the line comes after that of the retry. An entry that was
 * just let in defers nobody, so a deferral in this time, in seconds, is such a line.
 */
const LATE = 3600;

/** One deferral, or what would have been one in mode "observe". */
export interface Deferral {
  readonly network: string;
  /** Seconds since 1970, or undefined if unknown. */
  readonly time: number | undefined;
  readonly reason: string;
  /** True in mode "observe": the client was let in. */
  readonly observed: boolean;
  /** A number from 0 to 255 for the host that deferred. */
  readonly host: number;
  readonly ip?: string;
  readonly helo?: string;
  readonly from?: string;
}

/** The end of a wait. */
export interface Wait {
  /** Seconds since the first deferral. */
  readonly delay: number;
  /** The host of the first deferral. */
  readonly host: number;
}

// Bits of a network's state. ENFORCED: deferred at least once, not only
// observed. OBSERVED: the present wait has an observed deferral.
const WAITING = 1, ACCEPTED = 2, ENFORCED = 4, OBSERVED = 8;

/** The networks that were deferred or that have retried, up to a limit. */
export class Networks {
  readonly #index = new Map<string, number>();
  /** Address, HELO and sender of an early deferral, with blanks between. */
  readonly #texts = new Texts();
  readonly #example = numbers();
  /** When the present wait began; unknown times are 0. */
  readonly #first = numbers();
  /** The host at which the present wait began. */
  readonly #host = bytes();
  /** When the retry window began. */
  readonly #since = numbers();
  readonly #last = numbers();
  readonly #deferrals = numbers();
  /** Deferrals in the present wait. */
  readonly #tries = numbers();
  /** The most deferrals of any wait so far, and the seconds that wait took. */
  readonly #most = numbers();
  readonly #delay = numbers();
  /** The longest wait that a retry ended, in seconds. */
  readonly #longest = numbers();
  /** When the network was let in after a retry; 0 if it was not. */
  readonly #retried = numbers();
  readonly #state = bytes();

  /** @param limit how many networks are kept apart */
  constructor(readonly limit: number) {}

  /**
   * Notes one deferral.
   *
   * @returns the network's number, or undefined if there is no room for it
   */
  defer(deferral: Deferral): number | undefined {
    const { network, time, reason, observed, host } = deferral;
    const { ip = "", helo = "", from = "" } = deferral;
    const i = this.#index.get(network) ?? this.#add(network);
    if (i === undefined) return undefined;
    // In mode "observe" the log has no HELO and no sender.
    const telling = helo + from !== "" || observed;
    if (this.#example.values[i] === 0 && telling) {
      this.#example.values[i] = this.#texts.add(`${ip} ${helo} ${from}`);
    }
    const now = Math.floor(time ?? 0);
    const last = this.#last.values[i];
    const silent = last > 0 && now - last > QUEUE_LIFETIME;
    const retried = this.#retried.values[i];
    const late = retried > 0 && now > 0 && now - retried <= LATE;
    if (!late && ((this.#state.values[i] & WAITING) === 0 || silent)) {
      this.#state.values[i] |= WAITING;
      this.#state.values[i] &= ~OBSERVED;
      this.#first.values[i] = now;
      this.#since.values[i] = now;
      this.#host.values[i] = host;
      this.#tries.values[i] = 0;
    }
    this.#state.values[i] |= observed ? OBSERVED : ENFORCED;
    // Every reason but "early" starts the entry's retry window again.
    if (reason !== "early") this.#since.values[i] = now;
    this.#last.values[i] = now;
    this.#deferrals.values[i]++;
    const tries = ++this.#tries.values[i];
    if (tries > this.#most.values[i]) {
      this.#most.values[i] = tries;
      if (!late) this.#delay.values[i] = 0;
    }
    return i;
  }

  #add(network: string): number | undefined {
    const i = this.#index.size;
    if (i >= this.limit) return undefined;
    this.#index.set(detached(network), i);
    const columns = [
      this.#example,
      this.#first,
      this.#host,
      this.#since,
      this.#last,
      this.#deferrals,
      this.#tries,
      this.#most,
      this.#delay,
      this.#longest,
      this.#retried,
      this.#state,
    ];
    for (const column of columns) column.reserve(i + 1);
    return i;
  }

  /**
   * Notes that the entry of a network let it in.
   *
   * @param retried whether a retry was the end of its wait; else outgoing mail has
   * made it known, and nothing says how long its mail would have waited
   * @param time seconds since 1970, or undefined if unknown
   * @returns the wait that ended; "observed" if nothing had to wait, because
   * that wait was in mode "observe"; undefined if no wait is known
   */
  pass(
    network: string,
    retried: boolean,
    time: number | undefined,
  ): Wait | "observed" | undefined {
    const i = this.#index.get(network) ??
      (retried ? this.#add(network) : undefined);
    if (i === undefined) return undefined;
    if (retried) this.#retried.values[i] = Math.floor(time ?? 0);
    const state = this.#state.values[i];
    this.#state.values[i] = ACCEPTED | state & ENFORCED;
    if (!retried || (state & WAITING) === 0) return undefined;
    if ((state & OBSERVED) !== 0) return "observed";
    const first = this.#first.values[i];
    if (first === 0 || time === undefined) return undefined;
    const delay = Math.max(0, Math.floor(time) - first);
    if (this.#tries.values[i] === this.#most.values[i]) {
      this.#delay.values[i] = delay;
    }
    if (delay > this.#longest.values[i]) this.#longest.values[i] = delay;
    return { delay, host: this.#host.values[i] };
  }

  /**
   * Notes that a network was let in because the check had failed. Its wait goes on,
   * since its entry stays as it was.
   */
  passUnchecked(network: string): void {
    const i = this.#index.get(network);
    if (i !== undefined) this.#state.values[i] |= ACCEPTED;
  }

  /** Whether a network, by its number, was ever let in after a deferral. */
  isAccepted(i: number): boolean {
    return (this.#state.values[i] & ACCEPTED) !== 0;
  }

  /**
   * What became of a network, by its number.
   *
   * @param closed a network whose retry window began up to this time, in seconds
   * since 1970, will not be let in any more
   */
  outcome(i: number, closed: number): Outcome {
    if (this.isAccepted(i)) return "accepted";
    const since = this.#since.values[i];
    return since > 0 && since <= closed ? "stopped" : "open";
  }

  /**
   * What became of all networks, and the networks that stand out.
   *
   * @param closed as for {@linkcode outcome}
   * @param count how many stand out
   */
  summary(closed: number, count: number) {
    const size = this.#index.size;
    const totals = {
      deferred: 0,
      accepted: 0,
      stopped: 0,
      once: 0,
      open: 0,
      observed: 0,
    };
    const deferrals = this.#deferrals.values;
    const most = this.#most.values;
    for (let i = 0; i < size; i++) {
      // Its deferral is not in the log.
      if (deferrals[i] === 0) continue;
      totals.deferred++;
      const outcome = this.outcome(i, closed);
      totals[outcome]++;
      if (outcome === "stopped" && deferrals[i] === 1) totals.once++;
      if ((this.#state.values[i] & ENFORCED) === 0) totals.observed++;
    }
    const mostDeferred = largest(size, count, (i) => deferrals[i]);
    // Two deferrals before acceptance are nothing unusual.
    const mostTries = largest(
      size,
      count,
      (i) => this.isAccepted(i) && most[i] > 2 ? most[i] : 0,
    );
    const states = this.#state.values;
    const wouldDelay = largest(
      size,
      count,
      (i) =>
        this.isAccepted(i) && (states[i] & ENFORCED) === 0 ? deferrals[i] : 0,
    );
    const longest = this.#longest.values;
    const longestWaits = largest(size, count, (i) => longest[i]);
    const names = new Map<number, string>();
    const wanted = new Set([
      ...mostDeferred,
      ...mostTries,
      ...wouldDelay,
      ...longestWaits,
    ]);
    for (const [network, i] of this.#index) {
      if (wanted.has(i)) names.set(i, network);
    }
    const row = (i: number): NetworkRow => {
      const example = this.#texts.at(this.#example.values[i]);
      const [ip, helo, from] = example.split(" ");
      return {
        network: names.get(i)!,
        deferrals: deferrals[i],
        tries: most[i],
        delay: this.#delay.values[i] || undefined,
        longest: longest[i] || undefined,
        outcome: this.outcome(i, closed),
        ip: ip || undefined,
        helo: helo || undefined,
        from: from || undefined,
      };
    };
    return {
      totals,
      mostDeferred: mostDeferred.map(row),
      mostTries: mostTries.map(row),
      wouldDelay: wouldDelay.map(row),
      longestWaits: longestWaits.map(row),
    };
  }
}
