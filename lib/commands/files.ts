/**
 * Files that the administrator names on a command line. Deno's permissions let the
 * compiled binary touch the configured paths only. A user with a shell may name
 * any file, so the C library opens the file, with the rights of that user.
 *
 * @module
 */

import { E } from "../system/constants.ts";
import { close, openUnnoticed } from "../system/descriptor.ts";
import { read } from "../system/file.ts";
import { runNow } from "../system/file_task.ts";
import { isPassing, LibcError } from "../system/libc.ts";
import { replaceFile as replace } from "../system/replace_file.ts";
import { existingState, openOn, type State, stateOf } from "../system/statx.ts";
import { userId } from "../system/user.ts";
import { reasonOf } from "../reason.ts";
import { encode } from "../system/utf8.ts";
import { TemporaryError, UsageError } from "./command.ts";

/** An open file or device. */
export interface Handle {
  /**
   * Reads into the buffer; gives the number of bytes, 0 at the end.
   *
   * @throws {UsageError | TemporaryError} that names the file
   */
  read(buffer: Uint8Array<ArrayBuffer>): number;
  close(): void;
}

/**
 * Opens a file for reading, or standard input if the path is `-`.
 *
 * @returns what is known about the file, undefined for standard input; and its
 * identity, which is the same for each name of one file
 * @throws {UsageError} if it is missing, is a directory or may not be read
 * @throws {TemporaryError} if the disk or the file system fails
 */
export function openInput(
  path: string,
): { info: State | undefined; identity: string; handle: Handle } {
  if (path === "-") {
    return { info: undefined, identity: openOn(0).identity, handle: stdin };
  }
  return withPath(path, () => {
    const info = existingState(path);
    if (info.kind === "a directory") {
      throw new UsageError(`${path}: is a directory: expected a file`);
    }
    const { fd } = openUnnoticed(path);
    const handle: Handle = {
      read: (buffer) => withPath(path, () => read(fd, buffer)),
      close: () => close(fd),
    };
    return { info, identity: openOn(fd).identity, handle };
  });
}

const stdin: Handle = {
  read: (buffer) =>
    withPath("standard input", () => Deno.stdin.readSync(buffer) ?? 0),
  close() {},
};

/** How much is read at once, in bytes. */
const PIECE = 65536;

/**
 * Reads a file to its end and closes it.
 *
 * @returns its content; each piece is overwritten when the next one is asked for
 * @throws {UsageError | TemporaryError} that names the file
 */
export function* pieces(handle: Handle): Iterable<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(PIECE);
  try {
    for (let length; (length = handle.read(buffer)) > 0;) {
      yield buffer.subarray(0, length);
    }
  } finally {
    handle.close();
  }
}

/**
 * Writes a file whole or not at all: the old file stays until the new one, which gets
 * its mode and owner, is complete.
 *
 * @throws {UsageError} if there is no such directory, if the path is that of
 * something other than a regular file, or if the owner cannot be kept
 * @throws {TemporaryError} if the disk is full or fails
 */
export function replaceFile(path: string, text: string): void {
  const slash = path.lastIndexOf("/") + 1;
  const temporary = `${path.slice(0, slash)}.greylist-${Deno.pid}.tmp`;
  withPath(path, () => {
    const old = refuseOthers(path);
    // Nobody may read a secret page before its mode is set.
    const mode = old === undefined ? 0o666 : 0o600;
    try {
      runNow(replace(path, temporary, mode, () => encode(text), old));
    } catch (error) {
      const isForeign = error instanceof LibcError &&
        error.call === "fchown" && error.code === E.EPERM;
      throw isForeign ? foreign(path, old!) : error;
    }
  });
}

function foreign(path: string, { uid, gid }: State): UsageError {
  return new UsageError(
    `${path}: belongs to uid ${uid} and gid ${gid}, which only root can ` +
      "keep: not replaced",
  );
}

/**
 * Checks that {@linkcode replaceFile} can and may replace a file, before the work
 * that makes its content.
 *
 * @param start what an old file that is not empty has to begin with: in
 * `--html *.log` the path is that of a log
 * @param what what begins so, for the message
 * @throws {UsageError | TemporaryError} as {@linkcode replaceFile}, or if the old
 * file cannot be read or begins with something else
 */
export function checkOutput(path: string, start: string, what: string): void {
  const old = withPath(path, () => refuseOthers(path));
  if (old === undefined || old.size === 0) return;
  const { handle } = openInput(path);
  const buffer = new Uint8Array(start.length);
  try {
    handle.read(buffer);
  } finally {
    handle.close();
  }
  if (new TextDecoder().decode(buffer) === start) return;
  throw new UsageError(
    `${path}: is no ${what}: expected another file: not replaced`,
  );
}

/**
 * @returns the old file, if there is one
 * @throws {UsageError} if the path is not that of a regular file, or if the file
 * belongs to another user
 */
function refuseOthers(path: string): State | undefined {
  const slash = path.lastIndexOf("/");
  const directory = existingState(path.slice(0, slash + 1) || ".");
  if (directory.kind !== "a directory") {
    throw new UsageError(`${path}: expected a file in a directory`);
  }
  const info = stateOf(path, "keep");
  if (info === undefined) return undefined;
  if (info.kind === "a directory") {
    throw new UsageError(`${path}: is a directory: expected a file`);
  }
  if (!info.isFile) {
    throw new UsageError(`${path}: is no regular file: not replaced`);
  }
  const user = userId();
  if (user !== 0 && user !== info.uid) throw foreign(path, info);
  return info;
}

/** Adds the path to the message of an error. */
function withPath<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw fileError(path, error);
  }
}

/** An error whose message is the name of the file and the reason, on one line. */
export function fileError(path: string, error: unknown): Error {
  if (!(error instanceof LibcError)) {
    return new UsageError(`${path}: ${reasonOf(error)}`);
  }
  const Kind = isPassing(error) ? TemporaryError : UsageError;
  return new Kind(`${path}: ${error.reason}`);
}
