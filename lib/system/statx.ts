/**
 * What the kernel knows about a file: statx(2). Deno's own functions for that
 * take a start of this program longer, most of all where there is no such file.
 *
 * @module
 */

import { cString, ENOENT, errno, fromLibc, LibcError } from "./libc.ts";

const AT_FDCWD = -100;

/** The last symbolic link of a path is looked at itself. */
export const AT_SYMLINK_NOFOLLOW = 0x100;

/** All but the time of birth. */
export const STATX_BASIC_STATS = 0x7ff;

/** The time of birth, where the file system keeps it. */
export const STATX_BTIME = 0x800;

/** How long a struct statx is, in words of 32 bits. */
export const STATX_WORDS = 64;

// Where things are in a struct statx, in words; it is the same on every Linux.

/** Which of the fields mean something. */
export const MASK = 0;

/** What a file is, and its permissions. */
export const MODE = 7;

/** In two words; see {@linkcode wide}. */
export const SIZE = 10;

/** In three words; see {@linkcode time}. */
export const BTIME = 20;

/** See {@linkcode BTIME}. */
export const MTIME = 28;

/** The part of {@linkcode MODE} that says what a file is. */
export const S_IFMT = 0o170000;

/** A regular file. */
export const S_IFREG = 0o100000;

const KINDS: Readonly<Record<number, string>> = {
  [S_IFREG]: "a regular file",
  0o040000: "a directory",
  0o120000: "a symbolic link",
  0o010000: "a FIFO",
  0o140000: "a socket",
};

const libc = fromLibc({
  // int statx(int dirfd, const char *pathname, int flags, unsigned int mask,
  //           struct statx *statxbuf);
  statx: {
    parameters: ["i32", "buffer", "i32", "u32", "buffer"],
    result: "i32",
  },
});

// One for all: a struct statx is too large to lie among V8's small objects.
const words = new Uint32Array(STATX_WORDS);
const bytes = new Uint8Array(words.buffer);

/** What is known about a file. */
export interface State {
  readonly isFile: boolean;
  /** Such as `a directory`. */
  readonly kind: string;
  /** The permissions. */
  readonly mode: number;
  /** In bytes. */
  readonly size: number;
  /** In seconds since 1970, with whole milliseconds. */
  readonly mtime: number;
}

/**
 * Looks at a file.
 *
 * @param flags {@linkcode AT_SYMLINK_NOFOLLOW}, or 0
 * @returns undefined where there is none
 * @throws {LibcError}
 */
export function stateOf(path: string, flags: number): State | undefined {
  const name = cString(path);
  if (libc.statx(AT_FDCWD, name, flags, STATX_BASIC_STATS, bytes) === -1) {
    const code = errno();
    if (code === ENOENT) return undefined;
    throw new LibcError("statx", code);
  }
  // As Date.now() has it, so that what was just written is not in the future.
  words[MTIME + 2] -= words[MTIME + 2] % 1e6;
  // Two of the mode's four bytes: the others are spare.
  const mode = words[MODE] & 0xffff;
  return {
    isFile: (mode & S_IFMT) === S_IFREG,
    kind: KINDS[mode & S_IFMT] ?? "a device",
    mode: mode & 0o7777,
    size: wide(words, SIZE),
    mtime: time(words, MTIME),
  };
}

/** An unsigned number in two words. */
export function wide(words: Uint32Array, at: number): number {
  return words[at] + words[at + 1] * 0x1_0000_0000;
}

/** A struct statx_timestamp: signed seconds in two words, nanoseconds in one. */
export function time(words: Uint32Array, at: number): number {
  const seconds = words[at] + (words[at + 1] | 0) * 0x1_0000_0000;
  return seconds + words[at + 2] / 1e9;
}
