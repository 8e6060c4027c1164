/**
 * Removes forgotten entries: all of them for an administrator, or a second's
 * worth after a deferred client has gone, so that no cron job is needed.
 *
 * @module
 */

import { Bookmark } from "./bookmark.ts";
import { Listing, statesAt } from "./listing.ts";
import type { Timeouts } from "./policy.ts";

/** How long one run after a connection may take, in milliseconds. */
const RUN = 1000;

/** What is pruned, and by which time limits. */
export interface Database {
  readonly baseDir: string;
  readonly timeouts: Timeouts;
}

/** What was done. */
export interface Pruned {
  readonly removed: number;
  readonly seen: number;
  /** Why the first of those that could not be removed stayed. */
  readonly failure?: unknown;
}

/**
 * Removes every forgotten entry. Each is looked at just before it goes.
 *
 * @param options `dry`: removes nothing; `seen`: called for each entry
 * @throws {StoreError}
 */
export function prune(
  { baseDir, timeouts }: Database,
  options: { dry?: boolean; seen?: () => void } = {},
): Pruned {
  const listing = new Listing(baseDir);
  const stateOf = statesAt(Date.now() / 1000, timeouts);
  let removed = 0;
  let seen = 0;
  let failure: unknown;
  // One that stays must not keep all behind it.
  const stays = (error?: unknown) => {
    failure ??= error;
    seen++;
    options.seen?.();
    return false;
  };
  listing.visit((_, accepted, mtime) => {
    if (stateOf(accepted, mtime) !== "expired") return stays();
    try {
      if (!options.dry && !listing.remove()) return false;
    } catch (error) {
      return stays(error);
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
 * Goes on removing where the last run stopped. Does nothing where another
 * process is at it.
 *
 * @param most how long it may take, in milliseconds
 * @throws {StoreError}
 */
export function pruneSome(
  { baseDir, timeouts }: Database,
  most: number = RUN,
): void {
  const bookmark = Bookmark.take(baseDir);
  if (bookmark === undefined) return;
  // Where something fails, the next try is after a whole interval: not each
  // connection is to meet the same trouble.
  let position = 0n;
  try {
    position = removeFrom(bookmark.position, baseDir, timeouts, most);
  } finally {
    bookmark.leave(position);
  }
}

/** @returns where to go on, 0 where the end was reached */
function removeFrom(
  position: bigint,
  baseDir: string,
  timeouts: Timeouts,
  most: number,
): bigint {
  const end = performance.now() + most;
  const stateOf = statesAt(Date.now() / 1000, timeouts);
  const listing = new Listing(baseDir);
  let failure: unknown;
  let stopped = false;
  try {
    seek(listing, position);
    listing.visit((_, accepted, mtime) => {
      try {
        if (stateOf(accepted, mtime) === "expired") listing.remove();
      } catch (error) {
        failure ??= error;
      }
      return stopped = performance.now() >= end;
    }, (error) => {
      failure ??= error;
    });
    if (stopped) return listing.position;
    // Said once a round, when all has been tried.
    if (failure !== undefined) throw failure;
    return 0n;
  } finally {
    listing.close();
  }
}

function seek(listing: Listing, position: bigint): void {
  try {
    listing.seek(position);
  } catch {
    // A place that this directory does not have: it was restored or moved.
    listing.seek(0n);
  }
}
