/**
 * Where pruning stopped, and who is at it: the file `.prune` in the base
 * directory. It is empty when the last run was complete, and its mtime is then
 * the time of that; otherwise it holds the place to go on from.
 *
 * @module
 */

import { close, openOrMake, touch, truncate } from "../system/descriptor.ts";
import { lazily } from "../system/lazily.ts";
import { check, isErrno, LIBC } from "../system/libc.ts";
import { AT_SYMLINK_NOFOLLOW, stateOf } from "../system/statx.ts";
import { StoreError } from "./store.ts";
import { encode } from "../system/utf8.ts";

const LOCK_EX_NB = 2 | 4;
const EWOULDBLOCK = 11;

const libc = lazily(() =>
  Deno.dlopen(LIBC, {
    // int flock(int fd, int operation);
    flock: { parameters: ["i32", "i32"], result: "i32" },
    // ssize_t pread(int fd, void *buf, size_t count, off_t offset);
    pread: { parameters: ["i32", "buffer", "u64", "i64"], result: "i64" },
    // ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset);
    pwrite: { parameters: ["i32", "buffer", "u64", "i64"], result: "i64" },
  }).symbols
);

function pathIn(dir: string): string {
  return `${dir}/.prune`;
}

function failure(path: string, error: unknown): StoreError {
  return new StoreError(path, (error as Error).message, { cause: error });
}

/**
 * Whether it is time to prune. One look at a file, so that a connection pays
 * hardly anything for the question.
 *
 * @param every seconds between two complete runs, 0 for never
 */
export function isPruningDue(dir: string, every: number): boolean {
  if (every === 0) return false;
  try {
    const state = stateOf(pathIn(dir), AT_SYMLINK_NOFOLLOW);
    if (state === undefined) return true;
    const age = Date.now() / 1000 - state.mtime;
    // A clock that went back must not put it off for ever.
    return state.size > 0 || age >= every || age < 0;
  } catch {
    return false;
  }
}

/** The bookmark, held by this process alone until it leaves it or ends. */
export class Bookmark {
  readonly #path: string;
  readonly #fd: number;
  /** Where to go on. */
  readonly position: bigint;

  private constructor(path: string, fd: number, position: bigint) {
    this.#path = path;
    this.#fd = fd;
    this.position = position;
  }

  /**
   * Takes the bookmark.
   *
   * @returns undefined where another process has it
   * @throws {StoreError}
   */
  static take(dir: string): Bookmark | undefined {
    const path = pathIn(dir);
    let fd: number | undefined;
    try {
      fd = openOrMake(path);
      const { flock, pread } = libc();
      check("flock", flock(fd, LOCK_EX_NB));
      const bytes = new Uint8Array(32);
      const length = Number(check("pread", pread(fd, bytes, 32n, 0n)));
      const text = new TextDecoder().decode(bytes.subarray(0, length));
      const position = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
      return new Bookmark(path, fd, position);
    } catch (error) {
      if (fd !== undefined) close(fd);
      if (isErrno(error, EWOULDBLOCK)) return undefined;
      throw failure(path, error);
    }
  }

  /**
   * Leaves it where the next run goes on, 0 where this one was complete, and
   * gives it up.
   *
   * @throws {StoreError}
   */
  leave(position: bigint): void {
    try {
      truncate(this.#fd, 0);
      if (position === 0n) {
        touch(this.#fd);
      } else {
        const bytes = encode(`${position}`);
        const length = BigInt(bytes.length);
        check("pwrite", libc().pwrite(this.#fd, bytes, length, 0n));
      }
    } catch (error) {
      throw failure(this.#path, error);
    } finally {
      close(this.#fd);
    }
  }
}
