/**
 * Tests that a machine cannot run: what each of them lacks, and the one line at
 * the end of a run that says how to run them.
 *
 * @module
 */

/** The variable with the path of the file that collects the skipped tests. */
export const SKIPPED_VARIABLE = "GREYLIST_TEST_SKIPPED";

/** A skipped test. */
export interface Skipped {
  readonly name: string;
  /** Debian packages that one `apt-get install` can add. */
  readonly packages: readonly string[];
  /** Packages that conflict with those, and have to be unpacked instead. */
  readonly unpacked: readonly string[];
  /** Whether the test needs root and does not have it. */
  readonly root: boolean;
  /** Whether root may not mount here. */
  readonly mounts: boolean;
  /** Whether something else is in the way, which the test's own line names. */
  readonly other: boolean;
}

/** One line of the file. */
export function encodeSkipped(test: Skipped): string {
  return `${JSON.stringify(test)}\n`;
}

/** Reads the whole file. */
export function decodeSkipped(text: string): Skipped[] {
  return text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

/**
 * Chooses tests by name as `deno test --filter` does.
 *
 * @param filter a part of the name, or `/REGEXP/`; undefined chooses all tests
 */
export function matchesFilter(
  name: string,
  filter: string | undefined,
): boolean {
  if (filter === undefined) return true;
  const expression = /^\/(.*)\/$/.exec(filter);
  return expression === null
    ? name.includes(filter)
    : new RegExp(expression[1]).test(name);
}

/**
 * The line that says how many tests were skipped, and what would let them run.
 *
 * @returns undefined if there are none
 */
export function describeSkipped(
  tests: readonly Skipped[],
): string | undefined {
  if (tests.length === 0) return undefined;
  const names = (of: (test: Skipped) => readonly string[]) =>
    [...new Set(tests.flatMap(of))].sort().join(" ");
  const count = (is: (test: Skipped) => boolean) => tests.filter(is).length;
  const packages = names((test) => test.packages);
  const unpacked = names((test) => test.unpacked);
  const ways = [
    packages && `apt-get install ${packages}`,
    unpacked && `unpacked as in .ci/run: ${unpacked}`,
    ...Object.entries({
      "as root": count(({ root }) => root),
      "with mounts": count(({ mounts }) => mounts),
      "for another reason, see above": count(({ other }) => other),
    }).map(([what, number]) => number > 0 ? `${what}: ${number}` : ""),
  ].filter((way) => way !== "");
  const noun = tests.length === 1 ? "test" : "tests";
  const them = tests.length === 1 ? "it" : "them";
  return `skipped ${tests.length} ${noun}; to run ${them}: ${ways.join("; ")}`;
}
