/**
 * What became of each deferred network: columns of numbers instead of objects,
 * so that hundreds of thousands fit in little memory.
 *
 * @module
 */

/** One network among those that stand out. */
export interface NetworkRow {
  network: string;
  /** How often it was deferred in the whole log. */
  deferrals: number;
  /** How often it was deferred in its longest wait. */
  tries: number;
  /** Seconds from the first of these tries until it was let in, where known. */
  delay?: number;
  outcome: "accepted" | "stopped" | "open";
  /** An example, escaped as in the log; undefined where it was not logged. */
  helo?: string;
  from?: string;
}

/**
 * A sender gives up after four to five days (RFC 5321 section 4.5.4.1). A
 * network that is silent for longer than that and then comes again brings other
 * mail, which waits from then on.
 */
const QUEUE_LIFETIME = 5 * 86400;

const WAITING = 1, ACCEPTED = 2;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Grows by doubling; unknown times are 0. */
class Column<T extends Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>> {
  values: T;

  constructor(private readonly make: (length: number) => T) {
    this.values = make(1024);
  }

  reserve(length: number): void {
    if (length <= this.values.length) return;
    const larger = this.make(this.values.length * 2);
    larger.set(this.values);
    this.values = larger;
  }
}

const numbers = () => new Column((length) => new Uint32Array(length));

const PAGE = 1 << 20;

/** Many short texts, as bytes outside of the heap. */
class Texts {
  readonly #pages: Uint8Array[] = [];
  #end = PAGE;

  /** Keeps a text; gives its number, which is above 0. */
  add(text: string): number {
    // A text ends with a line feed, which none holds.
    const bytes = encoder.encode(printable(text) + "\n");
    if (this.#end + bytes.length > PAGE) {
      this.#pages.push(new Uint8Array(PAGE));
      this.#end = this.#pages.length === 1 ? 1 : 0;
    }
    const page = this.#pages.length - 1;
    this.#pages[page].set(bytes, this.#end);
    this.#end += bytes.length;
    return page * PAGE + this.#end - bytes.length;
  }

  /** The text with this number; empty for 0. */
  at(number: number): string {
    if (number === 0) return "";
    const page = this.#pages[Math.floor(number / PAGE)];
    const start = number % PAGE;
    return decoder.decode(page.subarray(start, page.indexOf(10, start)));
  }
}

/** The deferred networks, up to a limit. */
export class Networks {
  readonly #index = new Map<string, number>();
  /** HELO and sender of an early deferral, with a space between. */
  readonly #texts = new Texts();
  readonly #example = numbers();
  /** When the present wait began. */
  readonly #first = numbers();
  /** When the retry window began. */
  readonly #since = numbers();
  readonly #last = numbers();
  readonly #deferrals = numbers();
  /** Deferrals in the present wait. */
  readonly #tries = numbers();
  /** Deferrals in the longest wait so far, and how many seconds it took. */
  readonly #most = numbers();
  readonly #delay = numbers();
  readonly #state = new Column((length) => new Uint8Array(length));

  /** @param limit how many networks are kept apart */
  constructor(readonly limit: number) {}

  /**
   * Notes one deferral.
   *
   * @param time seconds since 1970, or undefined where it is not known
   * @returns the network's number, or undefined where there is no room for it
   */
  defer(
    network: string,
    time: number | undefined,
    reason: string,
    helo = "",
    from = "",
  ): number | undefined {
    const i = this.#index.get(network) ?? this.#add(network);
    if (i === undefined) return undefined;
    if (this.#example.values[i] === 0 && helo + from !== "") {
      this.#example.values[i] = this.#texts.add(`${helo} ${from}`);
    }
    const now = Math.floor(time ?? 0);
    const last = this.#last.values[i];
    const silent = last > 0 && now - last > QUEUE_LIFETIME;
    if ((this.#state.values[i] & WAITING) === 0 || silent) {
      this.#state.values[i] |= WAITING;
      this.#first.values[i] = now;
      this.#since.values[i] = now;
      this.#tries.values[i] = 0;
    }
    // Each of these starts the entry's clock; `early` does not.
    if (reason !== "early") this.#since.values[i] = now;
    this.#last.values[i] = now;
    this.#deferrals.values[i]++;
    const tries = ++this.#tries.values[i];
    if (tries > this.#most.values[i]) {
      this.#most.values[i] = tries;
      this.#delay.values[i] = 0;
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
      this.#since,
      this.#last,
      this.#deferrals,
      this.#tries,
      this.#most,
      this.#delay,
      this.#state,
    ];
    for (const column of columns) column.reserve(i + 1);
    return i;
  }

  /**
   * Notes that a network was let in.
   *
   * @param time seconds since 1970, or undefined where it is not known
   * @returns how many seconds it waited since its first deferral, where known
   */
  pass(network: string, time: number | undefined): number | undefined {
    const i = this.#index.get(network);
    if (i === undefined) return undefined;
    const state = this.#state.values[i];
    this.#state.values[i] = ACCEPTED;
    const first = this.#first.values[i];
    if ((state & WAITING) === 0 || first === 0 || time === undefined) {
      return undefined;
    }
    const delay = Math.max(0, Math.floor(time) - first);
    if (this.#tries.values[i] === this.#most.values[i]) {
      this.#delay.values[i] = delay;
    }
    return delay;
  }

  /** Whether a network, by its number, was ever let in after a deferral. */
  isAccepted(i: number): boolean {
    return (this.#state.values[i] & ACCEPTED) !== 0;
  }

  #outcome(i: number, closed: number): NetworkRow["outcome"] {
    if (this.isAccepted(i)) return "accepted";
    const since = this.#since.values[i];
    return since > 0 && since <= closed ? "stopped" : "open";
  }

  /**
   * What became of all networks, and the ones that stand out.
   *
   * @param closed a network whose retry window began up to this time, in seconds
   * since 1970, will not be let in any more
   * @param count how many stand out
   */
  summary(closed: number, count: number) {
    const totals = {
      deferred: this.#index.size,
      accepted: 0,
      stopped: 0,
      once: 0,
      open: 0,
    };
    const deferrals = this.#deferrals.values;
    const most = this.#most.values;
    for (let i = 0; i < totals.deferred; i++) {
      const outcome = this.#outcome(i, closed);
      totals[outcome]++;
      if (outcome === "stopped" && deferrals[i] === 1) totals.once++;
    }
    const mostDeferred = largest(totals.deferred, count, (i) => deferrals[i]);
    // One that was deferred twice and then let in did what it should.
    const mostTries = largest(
      totals.deferred,
      count,
      (i) => this.isAccepted(i) && most[i] > 2 ? most[i] : 0,
    );
    const names = new Map<number, string>();
    const wanted = new Set([...mostDeferred, ...mostTries]);
    for (const [network, i] of this.#index) {
      if (wanted.has(i)) names.set(i, network);
    }
    const row = (i: number): NetworkRow => {
      const example = this.#texts.at(this.#example.values[i]);
      const [helo, from] = example.split(" ");
      return {
        network: names.get(i)!,
        deferrals: deferrals[i],
        tries: most[i],
        delay: this.#delay.values[i] || undefined,
        outcome: this.#outcome(i, closed),
        helo: helo || undefined,
        from: from || undefined,
      };
    };
    return {
      ...totals,
      mostDeferred: mostDeferred.map(row),
      mostTries: mostTries.map(row),
    };
  }
}

/** The numbers below `length` with the largest values above 0, largest first. */
export function largest(
  length: number,
  count: number,
  value: (i: number) => number,
): number[] {
  const best: number[] = [];
  for (let i = 0; i < length; i++) {
    const mine = value(i);
    if (mine <= 0) continue;
    if (best.length === count && mine <= value(best[count - 1])) continue;
    let at = best.length;
    while (at > 0 && value(best[at - 1]) < mine) at--;
    best.splice(at, 0, i);
    if (best.length > count) best.pop();
  }
  return best;
}

/** A log that somebody else wrote to may hold what no terminal should see. */
function printable(text: string): string {
  // The first test is the faster one, and nearly always enough.
  return /[^ -~]/.test(text) ? text.replace(/\p{C}/gu, "?") : text;
}

/**
 * A printable copy of a piece of log. It is a copy because a substring keeps the
 * whole string alive in V8, a megabyte for a host name.
 */
export function detached(text: string): string {
  return decoder.decode(encoder.encode(printable(text)));
}
