/**
 * Removes forgotten entries: all of them for `greylist prune`, or for one second
 * at a time after a deferred client has gone, so that no cron job is needed.
 *
 * @module
 */

import { unlink } from "../system/file.ts";
import { stateOf } from "../system/statx.ts";
import { Bookmark } from "./bookmark.ts";
import { Listing, statesAt } from "./listing.ts";
import type { Timeouts } from "./policy.ts";
import type { StoreError } from "./store.ts";

/** How long one run after a connection may take, in milliseconds. */
const RUN = 1000;

/** The base directory that is pruned, and the time limits. */
export interface Database {
  readonly baseDir: string;
  readonly timeouts: Timeouts;
  readonly prune: {
    /** Seconds between two complete runs. */
    readonly every: number;
  };
  /** What `isOwnerMasked` says, for a thread that must not call it. */
  readonly ownerMasked?: boolean;
}

/** How far a run has come, in the memory of the process that makes it. */
export interface Progress {
  /** The position in the directory; 0 is its beginning. */
  position: bigint;
  /** The error of the first entry that could not be looked at or removed. */
  failure?: unknown;
}

/** The result of pruning. */
export interface Pruned {
  /** How many entries were removed. */
  readonly removed: number;
  /** How many entries were looked at. */
  readonly seen: number;
  /** The error of the first entry that could not be looked at or removed. */
  readonly failure?: StoreError;
}

/**
 * The most seconds that a run assumes to have passed since the last complete run: half
 * of `retryWindow`, a week at most, and never less than `every`. So a clock that is a
 * day or years ahead makes no entry look forgotten that was written since that run,
 * unless the clock stays wrong for longer than `every`. If more time has really
 * passed, the next run removes the rest.
 */
function mostPassed({ timeouts, prune: { every } }: Database): number {
  return Math.max(every, Math.min(7 * 86400, timeouts.retryWindow / 2));
}

/**
 * Indexes of whitelist files, of which a file that has changed leaves its old one
 * behind, and the files of a `greylist check` that was killed.
 */
const LEFT = /^\.(?:whitelist|check)-/;

/**
 * How old they may become, in seconds; an index that is missing is made anew. A list
 * of 50,000 lines that is rewritten every five minutes leaves 288 MB in a day.
 */
const LEFT_AGE = 86400;

/** Removes one that is too old. Never throws: the next run tries again. */
function removeLeft(dir: string, name: string): void {
  if (!LEFT.test(name)) return;
  const path = `${dir}/${name}`;
  try {
    const state = stateOf(path, "keep");
    // One that is dated ahead is left by a clock that was wrong.
    const age = Math.abs(Date.now() / 1000 - (state?.mtime ?? NaN));
    if (age > LEFT_AGE) unlink(path);
  } catch {
    // Another process was faster, or it may not be removed.
  }
}

/**
 * Removes every forgotten entry, and indexes that are too old. Each entry is looked
 * at just before it is removed.
 *
 * @param options `dry`: counts and removes nothing; `seen`: called for each entry
 * @throws {StoreError} if the directory cannot be read
 */
export function prune(
  { baseDir, timeouts }: Pick<Database, "baseDir" | "timeouts">,
  options: { dry?: boolean; seen?: () => void } = {},
): Pruned {
  const listing = new Listing(baseDir);
  if (!options.dry) {
    listing.bookkeeping = (name) => removeLeft(baseDir, name);
  }
  const stateAt = statesAt(Date.now() / 1000, timeouts);
  let removed = 0;
  let seen = 0;
  let failure: StoreError | undefined;
  // One entry that cannot be removed must not end the run.
  const stays = (error?: StoreError) => {
    failure ??= error;
    seen++;
    options.seen?.();
    return false;
  };
  listing.visit((_, accepted, mtime) => {
    if (stateAt(accepted, mtime) !== "expired") return stays();
    try {
      if (!options.dry && !listing.remove()) return false;
    } catch (error) {
      return stays(error as StoreError);
    }
    removed++;
    seen++;
    options.seen?.();
    return false;
  }, stays);
  listing.close();
  return failure === undefined ? { removed, seen } : { removed, seen, failure };
}

/**
 * Removes forgotten entries from the position at which the last run stopped.
 * Does nothing if another process is pruning.
 *
 * @param most how long the run may take, in milliseconds
 * @param progress kept by a caller that goes on with the same run: then it needs no
 * free block of the file system for the bookmark
 * @returns `more` if there is more to do, `busy` if another process is pruning
 * @throws {StoreError} if the directory or the bookmark cannot be read or written, or
 * if an entry could not be removed: at the end of the run with `progress`, at the end
 * of this part of it without
 */
export function pruneSome(
  database: Database,
  most: number = RUN,
  progress?: Progress,
): "done" | "more" | "busy" {
  const { baseDir, timeouts, ownerMasked } = database;
  const bookmark = Bookmark.take(baseDir, ownerMasked);
  if (bookmark === undefined) {
    // The other process goes on with the run, and reports only what it meets itself.
    if (progress?.failure !== undefined) throw progress.failure;
    return "busy";
  }
  // After an error the next run is due only after a whole interval. Otherwise
  // each connection would meet the same error, as it does if the bookmark cannot be
  // opened.
  let position = 0n;
  let failure: unknown;
  try {
    const latest = bookmark.lastRun + mostPassed(database);
    const now = Math.min(Date.now() / 1000, latest);
    const start = progress?.position || bookmark.position;
    ({ position, failure } = removeFrom(start, baseDir, timeouts, now, most));
  } finally {
    bookmark.leave(position, progress !== undefined);
  }
  const isDone = position === 0n;
  if (progress !== undefined) {
    progress.position = position;
    // Reported once, after all entries have been tried.
    failure = progress.failure ??= failure;
    if (!isDone) return "more";
  }
  if (failure !== undefined) throw failure;
  return isDone ? "done" : "more";
}

/**
 * @param now the time that is compared with the entries, in seconds since 1970
 * @returns the position for the next run, 0 at the end of the directory; and the
 * error of the first entry that could not be looked at or removed
 */
function removeFrom(
  position: bigint,
  baseDir: string,
  timeouts: Timeouts,
  now: number,
  most: number,
): Required<Progress> {
  const end = performance.now() + most;
  const stateAt = statesAt(now, timeouts);
  const listing = new Listing(baseDir);
  listing.bookkeeping = (name) => removeLeft(baseDir, name);
  let failure: unknown;
  let stopped = false;
  const isOver = () => stopped = performance.now() >= end;
  try {
    seek(listing, position);
    listing.visit((_, accepted, mtime) => {
      try {
        if (stateAt(accepted, mtime) === "expired") listing.remove();
      } catch (error) {
        failure ??= error;
      }
      return isOver();
    }, (error) => {
      failure ??= error;
    }, isOver);
    return { position: stopped ? listing.position : 0n, failure };
  } finally {
    listing.close();
  }
}

function seek(listing: Listing, position: bigint): void {
  try {
    listing.seek(position);
  } catch {
    // The directory does not have the position, because it was restored or moved.
    listing.seek(0n);
  }
}
