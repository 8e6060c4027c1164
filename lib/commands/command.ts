/**
 * What every subcommand shares: its shape, its options, its way of failing, its
 * output.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import type { ResolvedConfig } from "../config.ts";
import { EXIT } from "../exit.ts";
import type { ServeConfig } from "../serve/config.ts";

export { EXIT };

/** What a command works on. */
export interface Site {
  readonly config: ResolvedConfig;
  readonly serve: ServeConfig;
}

/** One subcommand, as each module beside this one exports it. */
export interface Command {
  /** A manual page in plain text, at most 80 columns wide. */
  readonly help: string;
  /**
   * Does the work.
   *
   * @returns the exit code
   * @throws {UsageError} where the command line is wrong
   * @throws {TemporaryError} where the machine is in the way
   */
  run(args: string[], site: Site): number | Promise<number>;
}

/** The command line or the set-up is wrong: one line on stderr, exit 100. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Something that may work later: one line on stderr, exit 111. */
export class TemporaryError extends Error {
  override name = "TemporaryError";
}

/** Options by name, and what else stood on the command line. */
export interface Parsed {
  readonly options: Record<string, string | boolean | undefined>;
  readonly operands: string[];
}

/**
 * Parses a command line. Every option is `--name` or `--name=value`.
 *
 * @param known the names of the options that take a value, and of those that
 * take none
 * @throws {UsageError} on an unknown option, a missing value or one too many
 */
export function parseOptions(
  args: string[],
  known: { string?: string[]; boolean?: string[] },
): Parsed {
  const { string = [], boolean = [] } = known;
  const seen = new Set<string>();
  const end = args.indexOf("--");
  for (const arg of end < 0 ? args : args.slice(0, end)) {
    if (arg === "-" || !arg.startsWith("-")) continue;
    const equals = arg.indexOf("=");
    const flag = equals < 0 ? arg : arg.slice(0, equals);
    const name = flag.slice(2);
    if (!flag.startsWith("--") || ![...string, ...boolean].includes(name)) {
      throw new UsageError(`${flag}: unknown option`);
    }
    if (string.includes(name) && (equals < 0 || equals === arg.length - 1)) {
      throw new UsageError(`${flag}: expected ${flag}=VALUE`);
    }
    if (boolean.includes(name) && equals >= 0) {
      throw new UsageError(`${flag}: takes no value`);
    }
    if (seen.has(name)) throw new UsageError(`${flag}: given twice`);
    seen.add(name);
  }
  const parsed = parseArgs(args, { string: [...string, "_"], boolean });
  const options: Parsed["options"] = {};
  for (const name of seen) options[name] = parsed[name];
  return { options, operands: parsed._.map(String) };
}

/**
 * How many characters are held back. More would outlive a round of V8's garbage
 * collection, which then copies them: a million lines took a tenth longer.
 */
const PIECE = 8192;

/**
 * Standard output through a buffer. A reader that went away (`| head`) ends the
 * program quietly, as the closed pipe would have without the Rust runtime, which
 * ignores SIGPIPE.
 */
export class Output {
  #text = "";

  /** Writes one line. */
  line(text: string): void {
    this.#text += text + "\n";
    if (this.#text.length >= PIECE) this.flush();
  }

  /** Writes out what is still held. Call it at the end. */
  flush(): void {
    let bytes = new TextEncoder().encode(this.#text);
    this.#text = "";
    try {
      while (bytes.length > 0) {
        bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
      }
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) Deno.exit(EXIT.done);
      throw new TemporaryError(`standard output: ${(error as Error).message}`);
    }
  }
}
