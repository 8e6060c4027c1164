/**
 * How long mail had to wait: exact quantiles and a histogram.
 *
 * @module
 */

/** Seconds from the first deferral to acceptance; exact to the second. */
export interface Delay {
  /** How many waits ended in acceptance. */
  count: number;
  median: number | null;
  p90: number | null;
  worst: number | null;
  /** How many waits took less than `below` seconds (null: no limit). */
  histogram: { below: number | null; count: number }[];
}

/** The limits of the histogram, in seconds. */
const LIMITS = [
  60,
  120,
  300,
  600,
  900,
  1800,
  3600,
  7200,
  14400,
  28800,
  57600,
  86400,
  Infinity,
];

/** Collects waits. */
export class Delays {
  readonly #counts = new Map<number, number>();

  /** Counts a wait of so many seconds. */
  add(delay: number): void {
    const seconds = Math.floor(delay);
    this.#counts.set(seconds, (this.#counts.get(seconds) ?? 0) + 1);
  }

  /** What the report says of all waits. */
  summary(): Delay {
    const ascending = [...this.#counts].sort(([a], [b]) => a - b);
    const count = ascending.reduce((sum, [, count]) => sum + count, 0);
    const histogram = LIMITS.map((below) => ({
      below: below === Infinity ? null : below,
      count: 0,
    }));
    for (const [seconds, count] of ascending) {
      histogram[LIMITS.findIndex((below) => seconds < below)].count += count;
    }
    /** The smallest delay that this share of all waits did not exceed. */
    const quantile = (share: number): number | null => {
      let rank = Math.ceil(share * count);
      for (const [seconds, count] of ascending) {
        rank -= count;
        if (rank <= 0) return seconds;
      }
      return null;
    };
    return {
      count,
      median: quantile(0.5),
      p90: quantile(0.9),
      worst: quantile(1),
      histogram,
    };
  }
}
