/**
 * Connections by hour and by day, and what became of them. The outcome of a
 * deferral is known only at the end of the log, so deferrals are kept by network
 * and hour until then.
 *
 * @module
 */

import { numbers } from "./columns.ts";
import { timestamp } from "./format.ts";
import type { Outcome } from "./networks.ts";

/** Connections by what became of them. */
export interface Count {
  /** Deferred, and the network was never let in. */
  stopped: number;
  /** Deferred, and the network was let in later; or let in after a wait. */
  delayed: number;
  /** Deferred, and the log does not say what became of the network. */
  open: number;
  /** Let in without a wait. */
  atOnce: number;
}

/** Time zones differ by quarters of an hour. */
const QUARTER = 900;
/** Days that are kept apart: 27 years. More days mean that the log is damaged. */
const DAYS = 10_000;
/** The most pairs of network and hour that are kept, 12 bytes each. */
const ROWS = 4_000_000;

/** Counts connections by hour and day. */
export class Load {
  readonly #hours = Array.from({ length: 24 }, noConnections);
  readonly #days = new Map<string, Count>();
  readonly #slots: { hour: Count; day: Count }[] = [];
  readonly #slotOf = new Map<string, number>();
  #quarter = -1;
  /** The present hour. */
  #slot = 0;
  #rows = 0;
  readonly #network = numbers();
  readonly #hour = numbers();
  readonly #count = numbers();
  /** By network: the number of its last row, plus 1. */
  readonly #lastRow = numbers();

  /** Counts a deferral; `network` is undefined if it is not kept apart. */
  defer(time: number, network: number | undefined): void {
    this.#enter(time);
    const last = network === undefined ? 0 : this.#lastRow.values[network] ?? 0;
    if (last > 0 && this.#hour.values[last - 1] === this.#slot) {
      this.#count.values[last - 1]++;
    } else if (network === undefined || this.#rows === ROWS) {
      this.#add("open");
    } else {
      const row = this.#rows++;
      for (const column of [this.#network, this.#hour, this.#count]) {
        column.reserve(row + 1);
      }
      this.#lastRow.reserve(network + 1);
      this.#network.values[row] = network;
      this.#hour.values[row] = this.#slot;
      this.#count.values[row] = 1;
      this.#lastRow.values[network] = row + 1;
    }
  }

  /** Counts a client that was let in. */
  pass(time: number, waited: boolean): void {
    this.#enter(time);
    this.#add(waited ? "delayed" : "atOnce");
  }

  #add(outcome: keyof Count): void {
    const { hour, day } = this.#slots[this.#slot];
    hour[outcome]++;
    day[outcome]++;
  }

  /** Finds the hour of the day and the day of a time. */
  #enter(time: number): void {
    const quarter = Math.floor(time / QUARTER);
    if (quarter === this.#quarter) return;
    this.#quarter = quarter;
    const hour = new Date(quarter * QUARTER * 1000).getHours();
    const day = timestamp(quarter * QUARTER).split(" ")[0];
    const name = `${day} ${hour}`;
    const slot = this.#slotOf.get(name);
    if (slot !== undefined || this.#slots.length === 24 * DAYS) {
      this.#slot = slot ?? 0;
      return;
    }
    let count = this.#days.get(day);
    if (count === undefined) {
      count = noConnections();
      if (this.#days.size < DAYS) this.#days.set(day, count);
    }
    this.#slot = this.#slots.push({ hour: this.#hours[hour], day: count }) - 1;
    this.#slotOf.set(name, this.#slot);
  }

  /**
   * Connections by hour of the day and by day.
   *
   * @param outcomeOf what became of a network, by its number
   */
  summary(outcomeOf: (network: number) => Outcome) {
    const hours = this.#hours.map((count) => ({ ...count }));
    const days = new Map<Count, Count>();
    for (const count of this.#days.values()) days.set(count, { ...count });
    for (let row = 0; row < this.#rows; row++) {
      const outcome = outcomeOf(this.#network.values[row]);
      const name = outcome === "accepted" ? "delayed" : outcome;
      const { hour, day } = this.#slots[this.#hour.values[row]];
      const count = this.#count.values[row];
      hours[this.#hours.indexOf(hour)][name] += count;
      const total = days.get(day);
      if (total !== undefined) total[name] += count;
    }
    return {
      byHour: hours.map((count, hour) => ({ hour, ...count })),
      byDay: [...this.#days].sort(([a], [b]) => a < b ? -1 : 1)
        .map(([day, count]) => ({ day, ...days.get(count)! })),
    };
  }
}

/** All connections of an hour or a day. */
export function sum({ stopped, delayed, open, atOnce }: Count): number {
  return stopped + delayed + open + atOnce;
}

/** The count of an hour or a day without connections. */
export function noConnections(): Count {
  return { stopped: 0, delayed: 0, open: 0, atOnce: 0 };
}
