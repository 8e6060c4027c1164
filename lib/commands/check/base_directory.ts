/**
 * `greylist check`: the base directory and what is in it.
 *
 * @module
 */

import { quote } from "../../log/line.ts";
import { reasonOf } from "../../reason.ts";
import { counted } from "../../report/format.ts";
import { Listing } from "../../store/listing.ts";
import { mayAccess } from "../../system/access.ts";
import { userId } from "../../system/user.ts";
import { type Finding, fix, ok, warn } from "./finding.ts";

/** Whether this user can make entries in the directory, and no other user can. */
export function baseDirectory(dir: string): Finding {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(dir);
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    const problem = missing ? "does not exist" : reasonOf(error);
    return fix(
      `baseDir ${dir}: ${problem}: make it, mode 0700, owned by the user that ` +
        "greylist runs as",
    );
  }
  if (!info.isDirectory) return fix(`baseDir ${dir}: expected a directory`);
  const mode = (info.mode ?? 0) & 0o7777;
  const octal = mode.toString(8).padStart(4, "0");
  const what = `baseDir ${dir}: mode ${octal}, owned by uid ${info.uid}`;
  if (mode & 0o002) {
    return fix(`${what}: anybody can write there: chmod 0700`);
  }
  if (!mayAccess(dir, "execute", "write")) {
    return fix(
      `${what}: not writable for uid ${userId()}: chown it to the user that ` +
        "greylist runs as",
    );
  }
  // The group may have no other member, but that is not for a file's mode to tell.
  if (mode & 0o020) {
    const remedy = info.uid === userId()
      ? "chmod 0700"
      : "chown it to the user that greylist runs as, chmod 0700";
    return warn(
      `${what}: its group, gid ${info.gid}, can write there: ${remedy}`,
    );
  }
  return ok(what);
}

/** Names in the directory that greylist would never touch. */
export function foreignNames(dir: string): Finding {
  try {
    const listing = new Listing(dir);
    let entries = 0;
    listing.visit(() => {
      entries++;
      return false;
    });
    listing.close();
    const { example, count: foreign } = listing.foreign;
    const found = counted(entries, "entry", "entries");
    if (example === undefined) return ok(`${found} in it, nothing else`);
    const what = foreign === 1 ? "is no entry" : "are no entries";
    return fix(
      `${counted(foreign, "name")} in ${dir} that ${what}, ` +
        `such as ${quote(example)}: move them away`,
    );
  } catch (error) {
    return fix(reasonOf(error));
  }
}
