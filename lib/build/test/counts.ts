/**
 * The last line of `deno test`, such as `ok | 25 passed (3 steps) | 0 failed | 2
 * ignored (12s)`: read from the output of each test file, and written for all of
 * them together.
 *
 * @module
 */

/** How many tests there were of each kind. */
export interface Counts {
  readonly passed: number;
  readonly steps: number;
  readonly failed: number;
  readonly ignored: number;
  readonly filtered: number;
}

/** No test at all. */
export const NO_COUNTS: Counts = {
  passed: 0,
  steps: 0,
  failed: 0,
  ignored: 0,
  filtered: 0,
};

// deno-lint-ignore no-control-regex
const COLOUR = /\x1b\[[0-9;]*m/g;

const LAST = /^(?:ok|FAILED) \| \d+ passed\b.* \| \d+ failed\b.*$/;

/** The counts in the output of one `deno test`; undefined if it was cut off. */
export function readCounts(output: string): Counts | undefined {
  const line = output.replace(COLOUR, "").split("\n")
    .findLast((line) => LAST.test(line));
  if (line === undefined) return undefined;
  const number = (expression: RegExp) =>
    Number(expression.exec(line)?.[1] ?? 0);
  const steps = [...line.matchAll(/\((\d+) steps?\)/g)]
    .reduce((sum, [, steps]) => sum + Number(steps), 0);
  return {
    passed: number(/(\d+) passed/),
    steps,
    failed: number(/(\d+) failed/),
    ignored: number(/(\d+) ignored/),
    filtered: number(/(\d+) filtered out/),
  };
}

/** The output without that line, because a run has only one such line. */
export function withoutCounts(output: string): string {
  return output.split("\n")
    .filter((line) => !LAST.test(line.replace(COLOUR, "")))
    .join("\n");
}

/** How many lines of one file's output are repeated at the end of a run. */
const REPEATED = 80;

/**
 * What `deno test` says of the tests that failed, without the rest of the output;
 * the last lines if it was cut off.
 */
export function errorsIn(output: string): string {
  const lines = output.split("\n");
  const find = (title: string) =>
    lines.findLastIndex((line) => line.replace(COLOUR, "").trim() === title);
  const [begin, end] = [find("ERRORS"), find("FAILURES")];
  const errors = begin < 0
    ? lines.slice(-REPEATED)
    : lines.slice(begin + 1, end < begin ? undefined : end).slice(0, REPEATED);
  return errors.join("\n").trim();
}

/** Adds up the counts of two outputs. */
export function addCounts(a: Counts, b: Counts): Counts {
  return {
    passed: a.passed + b.passed,
    steps: a.steps + b.steps,
    failed: a.failed + b.failed,
    ignored: a.ignored + b.ignored,
    filtered: a.filtered + b.filtered,
  };
}

/** The line for all test files. */
export function describeCounts(
  { passed, steps, failed, ignored, filtered }: Counts,
  success: boolean,
  seconds: number,
): string {
  const minutes = Math.floor(seconds / 60);
  const time = minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
  return [
    success ? "ok" : "FAILED",
    `${passed} passed${steps > 0 ? ` (${steps} steps)` : ""}`,
    `${failed} failed`,
    ...ignored > 0 ? [`${ignored} ignored`] : [],
    ...filtered > 0 ? [`${filtered} filtered out`] : [],
  ].join(" | ") + ` (${time})`;
}
