/**
 * Where pruning stopped, and who is at it: the file `.prune` in the base
 * directory. It is empty when the last run was complete, and its mtime is then
 * the time of that; otherwise it holds the place to go on from.
 *
 * @module
 */

import { close } from "../system/descriptor.ts";
import {
  isOwnerMasked,
  lock,
  readStart,
  rewrite,
  setMtime,
  truncate,
} from "../system/file.ts";
import { openOrCreate, runNow } from "../system/file_call.ts";
import { stateOf } from "../system/statx.ts";
import { encode } from "../system/utf8.ts";
import { StoreError } from "./store.ts";

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
    const state = stateOf(pathIn(dir), "keep");
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
      fd = runNow(openOrCreate(path, isOwnerMasked()));
      if (!lock(fd)) {
        close(fd);
        return undefined;
      }
      const text = new TextDecoder().decode(readStart(fd, 32));
      const position = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
      return new Bookmark(path, fd, position);
    } catch (error) {
      if (fd !== undefined) close(fd);
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
      if (position === 0n) {
        truncate(this.#fd, 0);
        setMtime(this.#fd, Date.now() / 1000);
      } else {
        rewrite(this.#fd, encode(`${position}`));
      }
    } catch (error) {
      throw failure(this.#path, error);
    } finally {
      close(this.#fd);
    }
  }
}
