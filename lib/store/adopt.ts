/**
 * Entries that come from somewhere else than a connection: from another
 * program's state, or from the log of outgoing mail. They only ever add to what
 * the database knows.
 *
 * @module
 */

import { close } from "../system/descriptor.ts";
import { isOwnerMasked } from "../system/create.ts";
import { setMtime, truncate, unlink } from "../system/file.ts";
import { openOrCreate } from "../system/file_call.ts";
import { runNow } from "../system/file_task.ts";
import { withFileRights } from "../system/user.ts";
import { type Entry, isForgotten, type Timeouts } from "./policy.ts";
import { Store, storeError } from "./store.ts";

/** What became of the entry: made new, made better, or good enough before. */
export type Adopted = "made" | "improved" | "kept";

/** The base directory that entries are written to, and how. */
export interface Place {
  /** The base directory. */
  readonly dir: string;
  /** The owner of new entries; only root can set it. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** If true, nothing is written. */
  readonly dry?: boolean;
}

/**
 * The better of two entries of one network. A known one is better than a grey
 * one. Of two known ones, the later use and the larger count are taken; of two
 * grey ones, the earlier first contact, because its delay is over sooner. If not
 * both are known, an existing entry that has expired is no better than none.
 *
 * @param now seconds since 1970
 */
export function better(
  old: Entry,
  found: Entry,
  now: number,
  timeouts: Timeouts,
): Entry {
  const isKnown = old.accepted > 0;
  if (isKnown && found.accepted > 0) {
    return {
      accepted: Math.max(old.accepted, found.accepted),
      mtime: Math.max(old.mtime, found.mtime),
    };
  }
  if (isForgotten(old, now, timeouts)) return found;
  if (isKnown || found.accepted > 0) return isKnown ? old : found;
  return found.mtime < old.mtime ? found : old;
}

/**
 * Writes an entry, unless the existing entry is as good.
 *
 * @param name the entry's file name
 * @param choose what is written if there is an entry already
 * @throws {StoreError} if the entry cannot be read or written
 */
export function adopt(
  { dir, owner, dry = false }: Place,
  name: string,
  found: Entry,
  choose: (old: Entry) => Entry,
): Adopted {
  const path = `${dir}/${name}`;
  try {
    const old = new Store(dir, false).read(name);
    const entry = old === undefined ? found : choose(old);
    if (entry.accepted === old?.accepted && entry.mtime === old.mtime) {
      return "kept";
    }
    if (!dry) {
      const work = () => write(path, entry, old === undefined);
      if (owner === undefined) work();
      else withFileRights(owner, work);
    }
    return old === undefined ? "made" : "improved";
  } catch (error) {
    throw storeError(path, error);
  }
}

function write(
  path: string,
  { accepted, mtime }: Entry,
  isNew: boolean,
): void {
  const fd = runNow(openOrCreate(path, isOwnerMasked()));
  try {
    truncate(fd, accepted);
    // What a connection has written since the look is lost: a later time, or the
    // step from grey to known.
    setMtime(fd, mtime);
  } catch (error) {
    // The empty file would be a grey entry. If a connection has made it meanwhile,
    // its client waits anew.
    if (isNew) unlink(path);
    throw error;
  } finally {
    close(fd);
  }
}
