/**
 * What the tasks say of a path that an option names.
 *
 * @module
 */

import { TemporaryError, UsageError } from "../commands/command.ts";
import { reasonOf } from "../reason.ts";
import { printable } from "../spf/record.ts";

/**
 * Says that a path cannot be written.
 *
 * @param output the value of the option
 * @param option the option that names the path
 * @returns a {@linkcode UsageError} if the path was chosen wrongly
 */
export function outputError(
  output: string,
  error: unknown,
  option = "--output",
): UsageError | TemporaryError {
  const message = `${option}: ${printable(output)}: ${reasonOf(error)}`;
  return isWrongPath(error)
    ? new UsageError(message)
    : new TemporaryError(message);
}

/** Looks at a file, following links; undefined if there is none. */
export function statIfThere(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Tells whether a path, links followed, is that of a regular file. */
export function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Tells whether an error says that the path was chosen wrongly. */
function isWrongPath(error: unknown): boolean {
  return [
    UsageError,
    Deno.errors.NotFound,
    Deno.errors.NotADirectory,
    Deno.errors.AlreadyExists,
    Deno.errors.PermissionDenied,
  ].some((kind) => error instanceof kind);
}
