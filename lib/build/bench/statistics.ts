/**
 * Figures computed from repeated measurements. Pure.
 *
 * @module
 */

/** What one run of a program took. */
export interface Sample {
  /** Processor time, user and system, of the program alone, in milliseconds. */
  readonly cpu: number;
  /** From start to end, in milliseconds. */
  readonly wall: number;
}

/** The middle value, or the mean of the two in the middle. NaN if there is none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]
    : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** How a program compares with another one that took turns with it. */
export interface Comparison extends Sample {
  readonly cpuRatio: number;
  readonly wallRatio: number;
  /** What it takes more, in milliseconds of processor time. */
  readonly more: number;
}

/**
 * Compares round by round. If the machine is slow in some rounds, it is slow for
 * both programs, so the median of the ratios does not change. The ratio of the two
 * medians would.
 *
 * @param own what the program took, in the order of the rounds
 * @param other what the other one took in the same rounds
 */
export function compare(
  own: readonly Sample[],
  other: readonly Sample[],
): Comparison {
  const pairs = own.map((sample, i) => [sample, other[i]] as const);
  return {
    cpu: median(own.map(({ cpu }) => cpu)),
    cpuRatio: median(pairs.map(([a, b]) => a.cpu / b.cpu)),
    wall: median(own.map(({ wall }) => wall)),
    wallRatio: median(pairs.map(([a, b]) => a.wall / b.wall)),
    more: median(pairs.map(([a, b]) => a.cpu - b.cpu)),
  };
}

/**
 * How many processes fit into an amount of memory, if each takes some for itself
 * and all share some more.
 *
 * @param own bytes that each takes for itself
 * @param shared bytes that all take together
 */
export function howMany(memory: number, own: number, shared: number): number {
  return Math.max(0, Math.floor((memory - shared) / own));
}

/**
 * The smallest number that will do, if every number above one that does will do
 * as well.
 *
 * @param low a number that will not do, or that is not to be tried
 * @param high a number that will do, or that is not to be tried
 * @param step how exact the answer is to be
 */
export async function smallest(
  low: number,
  high: number,
  step: number,
  does: (value: number) => Promise<boolean>,
): Promise<number> {
  while (high - low > step) {
    const middle = Math.round((low + high) / 2 / step) * step;
    if (await does(middle)) high = middle;
    else low = middle;
  }
  return high;
}
