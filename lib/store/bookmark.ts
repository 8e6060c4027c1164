/**
 * The file `.prune` in the base directory: the position at which pruning stopped,
 * and a lock that one process at a time holds. After a complete run the file is
 * empty. Its mtime is the time of the last complete run.
 *
 * @module
 */

import { close } from "../system/descriptor.ts";
import { E } from "../system/constants.ts";
import { isOwnerMasked } from "../system/create.ts";
import {
  lock,
  readStart,
  rewrite,
  setMtime,
  truncate,
} from "../system/file.ts";
import { lookAt, openOrCreate } from "../system/file_call.ts";
import { runNow } from "../system/file_task.ts";
import { isErrno } from "../system/libc.ts";
import { type State, stateOf } from "../system/statx.ts";
import { encode } from "../system/utf8.ts";
import { storeError } from "./store.ts";

/** The length of the largest position, 2^63 - 1. */
const DIGITS = 19;

function pathIn(dir: string): string {
  return `${dir}/.prune`;
}

/**
 * Whether it is time to prune. Every deferred connection asks, so this is a single
 * statx(2).
 *
 * @param every seconds between two complete runs, 0 for never
 */
export function isPruningDue(dir: string, every: number): boolean {
  if (every === 0) return false;
  try {
    return isDue(stateOf(pathIn(dir), "keep"), every);
  } catch {
    return false;
  }
}

/**
 * {@linkcode isPruningDue} without waiting in this thread. It is also time if the file
 * cannot be looked at: the pruning says why.
 */
export async function isPruningDueLater(
  dir: string,
  every: number,
): Promise<boolean> {
  if (every === 0) return false;
  // Deno.lstat would want all permissions below /dev, such as in /dev/shm.
  return isDue(await lookAt(pathIn(dir), true).later(), every);
}

/** @param state that of the bookmark, undefined if there is none */
function isDue(state: State | undefined, every: number): boolean {
  if (state === undefined) return true;
  const { size, mtime } = state;
  const age = Date.now() / 1000 - mtime;
  // If the clock was set back, the age is negative, perhaps for years.
  return size > 0 || age >= every || age < 0;
}

/**
 * Makes the next run due only after a whole interval, from the beginning of the
 * directory, so that not each connection fails likewise. Never throws.
 */
function putOff(fd: number): void {
  try {
    truncate(fd, 0);
    setMtime(fd, Date.now() / 1000);
  } catch {
    // The next connection tries again.
  }
}

/** The bookmark, locked by this process until {@linkcode Bookmark.leave}. */
export class Bookmark {
  readonly #path: string;
  readonly #fd: number;
  /** The position in the directory at which pruning goes on. */
  readonly position: bigint;
  /** When the last run was complete, in seconds since 1970; now if none was. */
  readonly lastRun: number;

  private constructor(
    path: string,
    fd: number,
    position: bigint,
    lastRun: number,
  ) {
    this.#path = path;
    this.#fd = fd;
    this.position = position;
    this.lastRun = lastRun;
  }

  /**
   * Opens the bookmark and locks it. If it cannot be read or locked, the next run is
   * due after an interval. If it cannot be opened, nothing keeps the time: each
   * connection tries again.
   *
   * @param ownerMasked what {@linkcode isOwnerMasked} says, for a thread that must
   * not call it
   * @returns undefined if another process has the lock
   * @throws {StoreError} if the file cannot be opened, read or locked
   */
  static take(
    dir: string,
    ownerMasked: boolean = isOwnerMasked(),
  ): Bookmark | undefined {
    const path = pathIn(dir);
    let fd: number | undefined;
    try {
      fd = runNow(openOrCreate(path, ownerMasked));
      if (!lock(fd)) {
        close(fd);
        return undefined;
      }
      const text = new TextDecoder().decode(readStart(fd, 32));
      const position = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
      const lastRun = stateOf(path, "keep")?.mtime ?? Date.now() / 1000;
      return new Bookmark(path, fd, position, lastRun);
    } catch (error) {
      if (fd !== undefined) {
        putOff(fd);
        close(fd);
      }
      throw storeError(path, error);
    }
  }

  /**
   * Writes the position for the next run and gives up the lock.
   *
   * @param position 0 if this run was complete
   * @param isKept whether the caller has the position in memory too: then it is no
   * failure if the file system has no block for it
   * @throws {StoreError} if the file cannot be written
   */
  leave(position: bigint, isKept = false): void {
    try {
      if (position === 0n) {
        truncate(this.#fd, 0);
        setMtime(this.#fd, Date.now() / 1000);
      } else {
        // Always of the same length: on a full file system the old text can be
        // written over.
        rewrite(this.#fd, encode(`${position}`.padStart(DIGITS, "0")));
        setMtime(this.#fd, this.lastRun);
      }
    } catch (error) {
      if (isKept && isErrno(error, E.ENOSPC, E.EDQUOT)) return;
      if (position !== 0n) putOff(this.#fd);
      throw storeError(this.#path, error);
    } finally {
      close(this.#fd);
    }
  }
}
