/**
 * What all subcommands share: the interface, the parser of options, the errors,
 * and the output.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import type { ResolvedConfig } from "../config.ts";
import { EXIT } from "../exit.ts";
import { reasonOf } from "../reason.ts";
import type { ServeConfig } from "../serve/config.ts";
import { tell } from "./tell.ts";

export { EXIT, tell };

/** The configuration that a command works on, resolved when it is asked for. */
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
   * @throws {UsageError} if the command line is wrong
   * @throws {TemporaryError} on an error that may be gone at the next try
   */
  run(args: string[], site: Site): number | Promise<number>;
}

/** The command line or the set-up is wrong: one line on stderr, exit 100. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** `--help` stands among the options. */
export class HelpRequest extends UsageError {}

/** An error that may be gone at the next try: one line on stderr, exit 111. */
export class TemporaryError extends Error {
  override name = "TemporaryError";
}

/** Options by name, and the operands. */
export interface Parsed {
  readonly options: Record<string, string | boolean | undefined>;
  readonly operands: string[];
}

/** The options that a command has. */
export interface KnownOptions {
  /** Names of the options that take a value. */
  readonly string?: string[];
  /** Names of the options that take no value. */
  readonly boolean?: string[];
  /** The first operand ends the options: what follows is for another program. */
  readonly stopEarly?: boolean;
}

/**
 * Parses a command line. An option is `--name`, `--name=value` or `--name value`;
 * a value that begins with a hyphen needs the equals sign.
 *
 * @throws {HelpRequest} at `--help`, unless that is among the known options
 * @throws {UsageError} if an option is unknown, lacks its value, or has a value
 * although it takes none
 */
export function parseOptions(args: string[], known: KnownOptions): Parsed {
  const { string = [], boolean = [], stopEarly = false } = known;
  const seen = new Set<string>();
  const words = [...args];
  let end = args.length;
  for (let i = 0; i < args.length && args[i] !== "--"; i++) {
    const arg = args[i];
    if (arg === "-" || !arg.startsWith("-")) {
      if (!stopEarly) continue;
      end = i;
      break;
    }
    const equals = arg.indexOf("=");
    const flag = equals < 0 ? arg : arg.slice(0, equals);
    const name = flag.slice(2);
    if (!flag.startsWith("--") || ![...string, ...boolean].includes(name)) {
      const Refusal = flag === "--help" ? HelpRequest : UsageError;
      throw new Refusal(`${flag}: unknown option`);
    }
    if (string.includes(name)) {
      const value = equals < 0 ? args[++i] ?? "" : arg.slice(equals + 1);
      if (value === "" || equals < 0 && value.startsWith("-")) {
        throw new UsageError(`${flag}: expected ${flag}=VALUE`);
      }
    }
    if (boolean.includes(name)) {
      if (equals >= 0) throw new UsageError(`${flag}: takes no value`);
      // Otherwise parseArgs takes "true" or "false" behind it for its value.
      words[i] = `${flag}=true`;
    }
    if (seen.has(name)) throw new UsageError(`${flag}: given twice`);
    seen.add(name);
  }
  const parsed = parseArgs(words.slice(0, end), {
    string: [...string, "_"],
    boolean,
  });
  const options: Parsed["options"] = {};
  for (const name of seen) options[name] = parsed[name];
  return { options, operands: [...parsed._.map(String), ...args.slice(end)] };
}

/**
 * How many characters the buffer holds. A larger buffer outlives a round of V8's
 * garbage collection, which then copies it: a million lines took a tenth longer.
 */
const PIECE = 8192;

/**
 * Buffered standard output. If the reader is gone (`| head`), the rest is dropped
 * without a message, and the command goes on: only its end gives the exit code.
 */
export class Output {
  #text = "";
  #isClosed = false;

  /** Whether the reader is gone. A command with a long list can end it there. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Writes one line. */
  line(text: string): void {
    if (this.#isClosed) return;
    this.#text += text + "\n";
    if (this.#text.length >= PIECE) this.flush();
  }

  /** Empties the buffer. Call it at the end. */
  flush(): void {
    let bytes = new TextEncoder().encode(this.#text);
    this.#text = "";
    try {
      while (bytes.length > 0) {
        bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) {
        throw new TemporaryError(`standard output: ${reasonOf(error)}`);
      }
      this.#isClosed = true;
    }
  }
}

/**
 * Writes one text to standard output.
 *
 * @param text its line end may be left out
 * @throws {TemporaryError} if it cannot be written, unless the reader is gone
 */
export function print(text: string): void {
  const output = new Output();
  output.line(text.replace(/\n$/, ""));
  output.flush();
}
