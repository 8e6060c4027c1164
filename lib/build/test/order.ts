/**
 * Which test files `deno task test` runs, and in which order.
 *
 * A file that measures how long clients wait, or that fills the machine, says so in
 * a comment, `Runs alone: REASON`, and runs when all others are over. A file that
 * fills the machine, but stays right however slow that is, says `Runs paired:
 * REASON`: of those, two run at a time. A file that takes long says `Runs first:
 * REASON`.
 *
 * @module
 */

import { walk } from "@std/fs/walk";
import { fromFileUrl, resolve } from "@std/path";
import { HelpRequest, UsageError } from "../../commands/command.ts";
import { ROOT } from "../std.ts";

/** The command line of a test run. */
export interface Order {
  /** Absolute paths of test files. */
  readonly files: readonly string[];
  /** Options of `deno test`. */
  readonly options: readonly string[];
  /** What the tests find in `Deno.args`. */
  readonly args: readonly string[];
  readonly filter: string | undefined;
}

const TEST_FILE = /_test\.ts$/;

/** The test files below a directory. */
async function filesBelow(directory: string): Promise<string[]> {
  const options = { includeDirs: false, match: [TEST_FILE] };
  const files: string[] = [];
  for await (const { path } of walk(directory, options)) files.push(path);
  return files.sort();
}

/**
 * Reads the command line: `[OPTION...] [FILE or DIRECTORY...] [-- ARG...]`. Without
 * a file or a directory it means all test files.
 *
 * @throws {HelpRequest} at `--help` or `-h`
 * @throws {UsageError} if there is no such file or directory, or if there are no test
 * files below the directory
 */
export async function parseOrder(argv: readonly string[]): Promise<Order> {
  const end = argv.indexOf("--");
  const [own, args] = end < 0
    ? [argv, []]
    : [argv.slice(0, end), argv.slice(end + 1)];
  const options: string[] = [];
  const files: string[] = [];
  let filter: string | undefined;
  for (let i = 0; i < own.length; i++) {
    let arg = own[i];
    if (arg === "--filter") arg = `--filter=${own[++i] ?? ""}`;
    if (arg.startsWith("--filter=")) filter = arg.slice("--filter=".length);
    if (arg === "--help" || arg === "-h") {
      throw new HelpRequest(`${arg}: see the usage`);
    }
    if (arg.startsWith("-")) {
      options.push(arg);
      continue;
    }
    const path = resolve(arg);
    let info: Deno.FileInfo;
    try {
      info = await Deno.stat(path);
    } catch {
      throw new UsageError(`${arg}: expected a test file or a directory`);
    }
    if (!info.isDirectory) {
      files.push(path);
      continue;
    }
    const below = await filesBelow(path);
    if (below.length === 0) {
      throw new UsageError(
        `${arg}: no tests: expected a directory with _test.ts files`,
      );
    }
    files.push(...below);
  }
  if (files.length === 0) {
    files.push(...await filesBelow(fromFileUrl(new URL("tests", ROOT))));
  }
  return { files: [...new Set(files)], options, args, filter };
}

/** When a file's turn comes: a smaller number is earlier. */
export enum Turn {
  First,
  /** The file starts compiled programs. The last files should be short ones. */
  Early,
  Late,
  /** When all those are over, beside one other file. */
  Paired,
  /** When all others are over. */
  Alone,
}

/** An import, not a text in the file, of what starts compiled programs. */
const STARTS_PROGRAMS =
  /^(?:import .*|\}) from ".*harness\/(\w+_suite|binary|serving|both_ways)\.ts"/m;

/**
 * Finds out when a file's turn comes.
 *
 * @param text what is in the file
 */
export function turnOf(text: string): Turn {
  const word = /^(?:\/\/| \*) Runs (first|paired|alone): ./m.exec(text)?.[1];
  if (word === "first") return Turn.First;
  if (word === "paired") return Turn.Paired;
  if (word === "alone") return Turn.Alone;
  return STARTS_PROGRAMS.test(text) ? Turn.Early : Turn.Late;
}
