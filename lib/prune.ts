/**
 * Removes forgotten entries: all of them for an administrator, or a second's
 * worth after a deferred client has gone, so that no cron job is needed.
 *
 * @module
 */

import type { ResolvedConfig } from "./config.ts";
import { Bookmark } from "./bookmark.ts";
import { Listing } from "./listing.ts";
import { isForgotten } from "./policy.ts";

/** How long one run after a connection may take, in milliseconds. */
const RUN = 1000;

/** What was done. */
export interface Pruned {
  readonly removed: number;
  readonly seen: number;
}

/**
 * Removes every forgotten entry.
 *
 * @param options `dry`: removes nothing; `seen`: called for each entry
 * @throws {StoreError}
 */
export function prune(
  config: Pick<ResolvedConfig, "baseDir" | "timeouts">,
  options: { dry?: boolean; seen?: () => void } = {},
): Pruned {
  const listing = new Listing(config.baseDir);
  let removed = 0;
  let seen = 0;
  for (const { name, ...entry } of listing.entries()) {
    seen++;
    options.seen?.();
    const now = Date.now() / 1000;
    if (!isForgotten(entry, now, config.timeouts)) continue;
    if (options.dry || listing.removeForgotten(name, now, config.timeouts)) {
      removed++;
    }
  }
  listing.close();
  return { removed, seen };
}

/**
 * Goes on removing where the last run stopped, for a second at most. Does
 * nothing where another process is at it.
 *
 * @throws {StoreError | LibcError}
 */
export function pruneSome(
  config: Pick<ResolvedConfig, "baseDir" | "timeouts">,
): void {
  const bookmark = Bookmark.take(config.baseDir);
  if (bookmark === undefined) return;
  const end = performance.now() + RUN;
  const listing = new Listing(config.baseDir);
  const { position } = bookmark;
  for (
    const { name, next, ...entry } of listing.entries(undefined, position)
  ) {
    const now = Date.now() / 1000;
    if (isForgotten(entry, now, config.timeouts)) {
      listing.removeForgotten(name, now, config.timeouts);
    }
    if (performance.now() >= end) return bookmark.leave(next);
  }
  bookmark.leave(0n);
}
