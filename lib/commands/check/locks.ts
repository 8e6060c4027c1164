/**
 * `greylist check`: whether files in the base directory can be locked, as pruning
 * by the wrapper and by serve needs it.
 *
 * @module
 */

import { reasonOf } from "../../reason.ts";
import { close } from "../../system/descriptor.ts";
import { lock, openForWriting, unlink } from "../../system/file.ts";
import { type Finding, warn } from "./finding.ts";

/** A name that a listing of the entries passes over. */
const NAME = ".check-lock";

/** Creates a file in the directory, locks it and removes it. */
export function locks(dir: string): Finding[] {
  const path = `${dir}/${NAME}-${Deno.pid}`;
  let fd: number;
  try {
    fd = openForWriting(path, "new");
  } catch {
    // The look at the clock says why.
    return [];
  }
  try {
    lock(fd);
    return [];
  } catch (error) {
    return [warn(
      `baseDir: no file in it can be locked (${
        reasonOf(error)
      }), and without ` +
        "a lock neither the wrapper nor serve prunes: mount it with locks, or " +
        'set prune.every to 0 and run "greylist prune" from cron',
    )];
  } finally {
    close(fd);
    remove(path);
  }
}

function remove(path: string): void {
  try {
    unlink(path);
  } catch {
    // The look at the clock says why.
  }
}
