/**
 * Runs a subcommand: finds it by name, and turns its errors into one line and an
 * exit code.
 *
 * @module
 */

import type { ResolvedConfig } from "../config.ts";
import { resolveConfig } from "../config/resolve.ts";
import { ConfigError } from "../config/fields.ts";
import { inOneLine, reasonOf } from "../reason.ts";
import { resolveServe } from "../serve/config.ts";
import { StoreError } from "../store/store.ts";
import {
  type Command,
  EXIT,
  HelpRequest,
  print,
  tell,
  TemporaryError,
  UsageError,
} from "./command.ts";
import { findProgram } from "../system/access.ts";
import { command as check } from "./check.ts";
import { command as explain } from "./explain.ts";
import { help, version } from "./help.ts";
import { command as importCommand } from "./import.ts";
import { command as info } from "./info.ts";
import { command as learn } from "./learn.ts";
import type { COMMAND_NAMES } from "./names.ts";
import { command as prune } from "./prune.ts";
import { command as report } from "./report.ts";
import { command as serve } from "./serve.ts";

const COMMANDS: Readonly<Record<string, Command>> = {
  info,
  explain,
  check,
  prune,
  import: importCommand,
  learn,
  report,
  serve,
} satisfies Record<typeof COMMAND_NAMES[number], Command>;

/**
 * Runs a subcommand.
 *
 * @param name undefined if the command line is empty
 * @param load imports the configuration module and returns its default export
 * @returns the exit code
 */
export async function runCommand(
  name: string | undefined,
  args: string[],
  load: () => Promise<unknown>,
): Promise<number> {
  if (name === undefined) return complain("PROGRAM: expected a command to run");
  try {
    if (asksForHelp(args)) return show(usageOf(name));
    if (name === "version") {
      if (args.length > 0) throw new UsageError(`${args[0]}: expected nothing`);
      return show(version());
    }
    if (name === "help") return show(help(args, COMMANDS));
    let raw: unknown;
    try {
      raw = await load();
    } catch (error) {
      return complain(`greylist.config.ts: ${inOneLine(error)}`);
    }
    let config: ResolvedConfig | undefined;
    return await COMMANDS[name].run(args, {
      get config() {
        return config ??= resolveConfig(raw);
      },
      get serve() {
        return resolveServe(raw);
      },
    });
  } catch (error) {
    if (error instanceof HelpRequest) return show(usageOf(name));
    if (error instanceof TemporaryError) {
      return complain(`${name}: ${error.message}`, EXIT.temporary);
    }
    if (error instanceof UsageError) {
      return complain(`${name}: ${error.message}`);
    }
    if (error instanceof StoreError) {
      return complain(
        `${name}: ${error.message}`,
        error.isPassing ? EXIT.temporary : EXIT.wrong,
      );
    }
    if (error instanceof ConfigError) {
      return complain(`greylist.config.ts: ${error.message}`);
    }
    return complain(`${name}: ${reasonOf(error)}`, EXIT.temporary);
  }
}

/**
 * Refuses a first argument, typed on a terminal, that is neither a command nor a
 * program. The wrapper would answer a mistyped command with an SMTP dialogue.
 *
 * @returns the exit code, undefined if there is such a program
 */
export function refuseUnknown(name: string): number | undefined {
  if (!name.startsWith("-") && findProgram(name) !== undefined) {
    return undefined;
  }
  return complain(`${name}: no such command: see "greylist help"`);
}

/** Writes one line to stderr. */
function complain(line: string, code: number = EXIT.wrong): number {
  tell(`greylist ${line}`);
  return code;
}

/** The usage of a command; help and version have none but the program's own. */
function usageOf(name: string): string {
  return Object.hasOwn(COMMANDS, name)
    ? COMMANDS[name].help
    : help([], COMMANDS);
}

/** `greylist NAME help`, or `--help` among the options before any operand. */
function asksForHelp(args: string[]): boolean {
  if (args.length === 1 && args[0] === "help") return true;
  const end = args.findIndex((arg) => arg === "--" || !arg.startsWith("-"));
  return (end < 0 ? args : args.slice(0, end)).includes("--help");
}

function show(text: string): number {
  print(text);
  return EXIT.done;
}
