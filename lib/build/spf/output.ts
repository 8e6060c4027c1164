/**
 * The files that the SPF tasks write.
 *
 * @module
 */

import { basename, dirname, resolve } from "@std/path";
import { UsageError } from "../../commands/command.ts";
import { outputError, statIfThere } from "../output.ts";
import { isList } from "./list.ts";

/**
 * Writes a file whole or not at all, also if the machine crashes. Mode and owner
 * stay those of the old file.
 *
 * With Deno's functions: the task has no permission for the C library
 * (lib/build/task.ts).
 *
 * @throws {UsageError} if the path cannot be that of a file
 * @throws {TemporaryError} if the disk does not take it
 */
export function writeOutput(output: string, text: string): void {
  let temporary: string | undefined;
  try {
    const old = statIfThere(output);
    if (old !== undefined && !old.isFile) {
      throw new UsageError("not a regular file");
    }
    // If the path is a symbolic link, the file that it names is replaced.
    const path = old === undefined ? output : Deno.realPathSync(output);
    const dir = dirname(path);
    temporary = Deno.makeTempFileSync({ dir, prefix: `.${basename(path)}.` });
    using file = Deno.openSync(temporary, { write: true });
    let rest = new TextEncoder().encode(text);
    while (rest.length > 0) rest = rest.subarray(file.writeSync(rest));
    if (old !== undefined) Deno.chownSync(temporary, old.uid, old.gid);
    Deno.chmodSync(temporary, (old?.mode ?? 0o644) & 0o777);
    file.syncSync();
    Deno.renameSync(temporary, path);
    temporary = undefined;
    using directory = Deno.openSync(dir);
    directory.syncSync();
  } catch (error) {
    if (temporary !== undefined) Deno.removeSync(temporary);
    throw outputError(output, error);
  }
}

/**
 * Reads the file that is to be replaced.
 *
 * @returns undefined if there is none
 * @throws {UsageError} if the path cannot be that of a file, or if the file is no
 * list of these tasks: an administrator may keep it by hand
 * @throws {TemporaryError} if the file cannot be read
 */
export function readOutput(output: string): string | undefined {
  try {
    const old = statIfThere(output);
    if (old === undefined) return undefined;
    if (!old.isFile) throw new UsageError("not a regular file");
    const text = Deno.readTextFileSync(output);
    if (isList(text)) return text;
    throw new UsageError(
      "not made by deno task spf or pools: expected another file",
    );
  } catch (error) {
    throw outputError(output, error);
  }
}

/**
 * Finds the directory of several files.
 *
 * @returns its absolute path
 * @throws {UsageError} if the path is not that of a directory
 */
export function directoryOf(output: string): string {
  try {
    if (!Deno.statSync(output).isDirectory) {
      throw new UsageError("not a directory");
    }
    return resolve(output);
  } catch (error) {
    throw outputError(output, error);
  }
}
