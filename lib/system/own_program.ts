/**
 * The program that this process runs, and replacing it by a newer one in the same
 * process: execve(2).
 *
 * @module
 */

import { findProgram } from "./access.ts";
import { ownArguments } from "./arguments.ts";
import { keepOpen } from "./descriptor.ts";
import { statxLater } from "./file_call.ts";
import { cString, errno, fromLibc, LibcError, pointerTable } from "./libc.ts";
import {
  descriptorLimit,
  type Limit,
  setDescriptorLimit,
} from "./resource_limit.ts";
import { blockSignals, restoreSignals } from "./signals.ts";
import { DEVICE, INODE, MTIME, SIZE } from "./statx.ts";

const libc = fromLibc({
  // int execv(const char *pathname, char *const argv[]);
  execv: { parameters: ["buffer", "buffer"], result: "i32" },
  // char *realpath(const char *path, char *resolved_path);
  realpath: { parameters: ["buffer", "buffer"], result: "pointer" },
});

/** PATH_MAX, from linux/limits.h. */
const LONGEST_PATH = 4096;

/** @returns undefined if there is no such file */
function realPath(path: string): string | undefined {
  const resolved = new Uint8Array(LONGEST_PATH);
  const { realpath } = libc();
  if (realpath(cString(path), resolved) === null) return undefined;
  return new TextDecoder().decode(resolved.subarray(0, resolved.indexOf(0)));
}

/**
 * The path by which this program was started: the next version is expected there.
 * A symbolic link is not followed, so that it may point to another file by then.
 *
 * It has to be asked for at the start. Once the file has been replaced, the kernel
 * gives the path as one that was deleted.
 *
 * @throws {LibcError} if /proc cannot be read
 */
export function ownPath(): string {
  const own = realPath("/proc/self/exe");
  if (own === undefined) throw new LibcError("/proc/self/exe", errno());
  const { block } = ownArguments();
  const first = new TextDecoder().decode(block.subarray(0, block.indexOf(0)));
  const path = findProgram(first);
  return path !== undefined && realPath(path) === own ? path : own;
}

/** The path of this binary, or why it is not known. */
export function binaryPath(): string | Error {
  try {
    return ownPath();
  } catch (error) {
    // Without /proc all else works.
    return error as Error;
  }
}

/** The words of a struct statx that tell one file from another. */
const IDENTITY = [DEVICE, INODE, SIZE, MTIME].flatMap((at) => [at, at + 1]);

/**
 * Tells one file at a path from the next. Another thread looks at it, because the
 * disk may hang.
 *
 * @returns undefined if there is none, or it cannot be looked at
 */
export async function fileAt(path: string): Promise<string | undefined> {
  const words = await statxLater(path, 0);
  if (words === undefined) return undefined;
  // The third word of a time has its nanoseconds.
  return [...IDENTITY, MTIME + 2].map((at) => words[at]).join(" ");
}

/** What the next image of this program finds. */
export interface Next {
  readonly path: string;
  /** Descriptors that stay open. */
  readonly descriptors: readonly number[];
  /** Added to the environment. */
  readonly variables: Readonly<Record<string, string>>;
  /** The limit of descriptors. */
  readonly limit: Limit;
  /** Signals that wait until the next image has handlers for them. */
  readonly blocked: readonly number[];
}

/**
 * Replaces this program by the one at a path, with the same arguments, in the same
 * process. All else that was changed for this program is restored first.
 *
 * execve(2) ends the other threads. It waits for one that hangs in a call on a
 * file, so there must be none.
 *
 * @returns only if that has failed; all is as it was then
 */
export function replaceProgram(
  { path, descriptors, variables, limit, blocked }: Next,
): LibcError {
  const undo: (() => void)[] = [];
  try {
    const { block, addresses } = ownArguments();
    const file = cString(path);
    for (const [name, value] of Object.entries(variables)) {
      Deno.env.set(name, value);
      undo.push(() => Deno.env.delete(name));
    }
    undo.push(keepOpen(descriptors));
    const before = descriptorLimit();
    setDescriptorLimit(limit);
    undo.push(() => setDescriptorLimit(before));
    undo.push(restoreSignals());
    const { execv } = libc();
    undo.push(blockSignals(blocked));
    execv(file, pointerTable(addresses));
    const error = new LibcError("exec", errno());
    // The strings are referred to until here, so that V8 does not free them.
    block.fill(0);
    return error;
  } catch (error) {
    if (error instanceof LibcError) return error;
    throw error;
  } finally {
    for (const step of undo.reverse()) step();
  }
}
