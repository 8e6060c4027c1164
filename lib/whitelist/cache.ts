/**
 * Searches whitelist files at each connection. The index of a large file is kept
 * in the base directory, so that a connection reads some kilobytes of the index
 * and not the file. If the file changes, the next connection makes the index anew,
 * once its client has been judged.
 *
 * @module
 */

import { E } from "../system/constants.ts";
import { readRegularFile, readWithState } from "../system/file.ts";
import { lookAt, remove } from "../system/file_call.ts";
import { type FileTask, make, runLater } from "../system/file_task.ts";
import { isErrno } from "../system/libc.ts";
import { replaceFile } from "../system/replace_file.ts";
import { hasLinearMatcher } from "./expression.ts";
import { type Client, type Found, searchFile } from "./file.ts";
import { Index, type Reader } from "./index.ts";
import { buildIndex, lineIn } from "./index_builder.ts";

/** A file of fewer bytes is read faster than its index. */
const SMALL = 2048;

/**
 * For how long a file has to stay unchanged before its index is kept, in
 * milliseconds. Two changes within one second cannot be told apart: the times
 * that Deno gives have that resolution.
 */
const SETTLED = 3_000;

/**
 * For how long an unfinished index keeps other processes from making one, in
 * milliseconds. If a process dies while it makes an index, another process tries
 * again after that time.
 */
const GIVEN_UP = 600_000;

/**
 * An index that is to be made. The decision about a client does not depend on it,
 * because writing may hang while reading does not (fsfreeze(8)).
 */
export interface MissingIndex {
  readonly path: string;
  build(): Uint8Array<ArrayBuffer>;
}

/** The files of one base directory, as they are searched for one client. */
export interface IndexDirectory {
  readonly path: string;
  /** Told of an index that is to be made. */
  missing(index: MissingIndex): void;
}

/**
 * Whether the index of a whitelist file would be read or made. If not, the base
 * directory has nothing to do with the file.
 */
export function isIndexed(path: string): boolean {
  try {
    return isLarge(Deno.statSync(path));
  } catch {
    // The search says why.
    return false;
  }
}

function isLarge({ size, isFile }: Deno.FileInfo): boolean {
  return size >= SMALL && isFile;
}

/**
 * Looks through a whitelist file for a client.
 *
 * @param dir the base directory, where the index is kept; undefined if it does not
 * answer: then all of the file is read
 * @param now milliseconds since 1970
 * @throws {Error} if the file cannot be read or is no regular file
 */
export function searchWhitelist(
  path: string,
  dir: IndexDirectory | undefined,
  client: Client,
  now = Date.now(),
): Found {
  const info = Deno.statSync(path);
  if (dir !== undefined && isLarge(info)) {
    const seal = sealOf(path, info);
    const index = indexPath(dir.path, seal);
    const found = searchKept(index, seal, client);
    if (found !== undefined) return found;
    if (isSettled(info, now)) {
      const build = () => {
        const { text, info } = readWithState(path);
        if (sealOf(path, info) !== seal) throw new Error("another file by now");
        return buildIndex(text, seal);
      };
      dir.missing({ path: index, build });
    }
  }
  return searchFile(readRegularFile(path), client);
}

/**
 * Looks through several files for a client, in one index of all files. An index
 * for each file would cost a connection 0.1 ms a file: 2 ms with 20 files.
 *
 * @param dir the base directory, where the index is kept; undefined if it does not
 * answer
 * @param warn told of files that cannot be read, and of bad lines
 * @param now milliseconds since 1970
 * @returns the first file that has the client
 */
export function searchFiles(
  paths: readonly string[],
  dir: IndexDirectory | undefined,
  client: Client,
  warn: {
    unreadable(path: string, error: unknown): void;
    bad(path: string, lines: Found["bad"]): void;
  },
  now = Date.now(),
): string | undefined {
  const infos = paths.map((path) => {
    try {
      const info = Deno.statSync(path);
      if (!info.isFile) throw new Error("expected a regular file");
      return info;
    } catch (error) {
      warn.unreadable(path, error);
      return undefined;
    }
  });
  const seal = paths.map((path, i) => {
    const info = infos[i];
    return info === undefined ? "-" : sealOf(path, info);
  }).join("\n");
  const index = dir && indexPath(dir.path, seal);
  let found = index === undefined ? undefined : searchKept(index, seal, client);
  if (found === undefined) {
    // An index without a file that cannot be read now would outlive the reason, and
    // so would one with another file, if the path is a symbolic link that has changed.
    let isComplete = true;
    const texts = paths.map((path, i) => {
      const before = infos[i];
      if (before === undefined) return "";
      try {
        const { text, info } = readWithState(path);
        if (sealOf(path, info) !== sealOf(path, before)) isComplete = false;
        return text;
      } catch (error) {
        warn.unreadable(path, error);
        isComplete = false;
        return "";
      }
    });
    const bytes = buildIndex(texts, seal);
    const settled = infos.every((info) =>
      info === undefined || isSettled(info, now)
    );
    if (index !== undefined && settled && isComplete) {
      dir!.missing({ path: index, build: () => bytes });
    }
    found = Index.inMemory(bytes, seal).search(client);
  }
  const { line, bad } = found;
  for (const [i, path] of paths.entries()) {
    const own = bad.map(({ number, ...rest }) => ({
      ...rest,
      ...lineIn(number),
    })).filter(({ file }) => file === i);
    if (own.length === 0) continue;
    warn.bad(
      path,
      own.map(({ file: _, line, ...rest }) => ({ ...rest, number: line })),
    );
  }
  return line === undefined ? undefined : paths[lineIn(line).file];
}

/** Whether a file has been left unchanged for long enough. */
function isSettled({ ctime }: Deno.FileInfo, now: number): boolean {
  return now - (ctime?.getTime() ?? NaN) >= SETTLED;
}

/** Goes up with each change of the index's format or of a line's meaning. */
const FORMAT = 4;

/** Any change of a file changes its seal: no system call can set ctime. */
function sealOf(path: string, info: Deno.FileInfo): string {
  const { dev, ino, size, mtime, ctime } = info;
  const state = [dev, ino, size, mtime?.getTime(), ctime?.getTime(), path];
  // Without V8's linear matcher, all expressions are bad lines.
  return [FORMAT, hasLinearMatcher() ? "l" : "-", ...state].join(" ");
}

/**
 * Where the index is kept. Its name is a hash of the files and their state: two
 * hosts that share the base directory, each with its own copy of a file, keep two
 * indexes. Pruning removes an index that is a week old. If the names of two indexes
 * are equal, their seals differ.
 */
function indexPath(dir: string, seal: string): string {
  let hash = 0;
  for (let i = 0; i < seal.length; i++) {
    hash = Math.imul(hash, 31) + seal.charCodeAt(i) | 0;
  }
  const name = (hash >>> 0).toString(16).padStart(8, "0");
  return `${dir}/.whitelist-${name}`;
}

function searchKept(
  index: string,
  seal: string,
  client: Client,
): Found | undefined {
  try {
    // Opening a FIFO would wait for a writer.
    if (!Deno.lstatSync(index).isFile) return undefined;
    using file = Deno.openSync(index);
    return Index.open(readerOf(file), seal)?.search(client);
  } catch {
    // There is no index, or none that can be read.
    return undefined;
  }
}

function readerOf(file: Deno.FsFile): Reader {
  return (offset, length) => {
    const bytes = new Uint8Array(length);
    file.seekSync(offset, Deno.SeekMode.Start);
    return bytes.subarray(0, file.readSync(bytes) ?? 0);
  };
}

/**
 * Makes indexes, for later connections. The calls are made in another thread. Never
 * rejects: if an index cannot be made, the next connection tries again.
 *
 * @param now milliseconds since 1970
 */
export async function makeIndexes(
  indexes: Iterable<MissingIndex>,
  now = Date.now(),
): Promise<void> {
  for (const { path, build } of indexes) {
    const fresh = `${path}.new`;
    try {
      // Only the process that creates the temporary file builds the index.
      await runLater(replaceFile(path, fresh, 0o600, build));
    } catch (error) {
      if (!isErrno(error, E.EEXIST)) continue;
      await runLater(removeGivenUp(fresh, now)).catch(() => {});
    }
  }
}

function* removeGivenUp(path: string, now: number): FileTask<void> {
  const state = yield* make(lookAt(path));
  // Another process has finished the index meanwhile.
  if (state === undefined) return;
  const age = now - state.mtime * 1000;
  if (age >= GIVEN_UP || age < 0) yield* make(remove(path));
}
