/**
 * Reads Deno's long messages.
 *
 * @module
 */

/** A type error, at a line and a column that count from 1. */
export interface TypeFault {
  /** The address of the module. */
  readonly module: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** The first type error in the output of `deno check`, if there is one. */
export function readTypeError(output: string): TypeFault | undefined {
  const match = /^TS\d+ \[ERROR\]: (.+)$(?:[^]*?)^ *at (\S+):(\d+):(\d+)$/m
    .exec(output);
  if (match === null) return undefined;
  const [, message, module, line, column] = match;
  return { module, line: Number(line), column: Number(column), message };
}

/**
 * The error that a deno subcommand ended with, and its innermost cause: one line.
 *
 * @param stderr without a backtrace: RUST_BACKTRACE is 0
 * @returns undefined if the subcommand named no error
 */
export function readReason(stderr: string): string | undefined {
  const error = /^error: (.+)$/m.exec(stderr)?.[1].trim();
  if (error === undefined) return undefined;
  // Several causes are numbered, a single one need not be.
  const numbered = [...stderr.matchAll(/^ +\d+: (.+)$/gm)].at(-1);
  const [, cause] = numbered ?? /^Caused by:\n +(.+)$/m.exec(stderr) ?? [];
  return cause === undefined ? error : `${error}: ${cause.trim()}`;
}
