/**
 * Counts entries by host, for the logs of several hosts that share one database.
 *
 * @module
 */

import { detached } from "./columns.ts";

/** The entries of one host. */
export interface HostRow {
  host: string;
  deferred: number;
  wouldDefer: number;
  passed: number;
  /** Of the passed: networks that were let in after a wait. */
  retried: number;
  /** Of the retried: networks that another host had deferred first. */
  elsewhere: number;
  warnings: number;
  errors: number;
}

type Countable = Exclude<keyof HostRow, "host">;

/** A host's number has 8 bits; any further hosts are counted as one. */
const MOST = 100;

const UNNAMED = "(not named)";

/** Counts entries by host. */
export class Hosts {
  readonly #rows: HostRow[] = [];
  readonly #numbers = new Map<string, number>();
  #name: string | undefined;
  /** The number of the host whose entry is being counted. */
  current = 0;

  /** Begins an entry of a host; undefined if the log does not name the host. */
  enter(host = UNNAMED): void {
    if (host === this.#name) return;
    this.#name = host;
    const number = this.#numbers.get(host);
    if (number !== undefined) {
      this.current = number;
      return;
    }
    if (this.#rows.length === MOST) {
      this.current = MOST - 1;
      this.#rows[this.current].host = "others";
      return;
    }
    const name = detached(host);
    const row = { host: name, deferred: 0, wouldDefer: 0, passed: 0 };
    this.current = this.#rows.length;
    this.#rows.push({
      ...row,
      retried: 0,
      elsewhere: 0,
      warnings: 0,
      errors: 0,
    });
    this.#numbers.set(name, this.current);
  }

  /** Counts an entry of the current host. */
  count(what: Countable): void {
    this.#rows[this.current][what]++;
  }

  /**
   * Counts a network that was let in after a wait.
   *
   * @param first the number of the host of the first deferral, if known
   */
  retried(first: number | undefined): void {
    this.count("retried");
    if (first !== undefined && first !== this.current) this.count("elsewhere");
  }

  /** One row a host, in the order of their names; none unless there are two. */
  rows(): HostRow[] {
    if (this.#rows.length < 2) return [];
    return this.#rows.toSorted((a, b) => a.host < b.host ? -1 : 1);
  }
}
