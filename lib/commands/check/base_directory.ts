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
import { period } from "../format.ts";
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

/**
 * The content of the directory: names that greylist would never touch, and entries
 * that stay for long because the clock was ahead when they were written.
 *
 * @param retryWindow timeouts.retryWindow in seconds
 */
export function content(dir: string, retryWindow: number): Finding[] {
  const latest = Date.now() / 1000 + retryWindow;
  try {
    const listing = new Listing(dir);
    let entries = 0;
    let ahead = 0;
    listing.visit((_, __, mtime) => {
      entries++;
      if (mtime > latest) ahead++;
      return false;
    });
    listing.close();
    return [
      names(dir, entries, listing.foreign),
      ...ahead > 0 ? [datedAhead(dir, ahead, retryWindow)] : [],
    ];
  } catch (error) {
    return [fix(reasonOf(error))];
  }
}

function names(
  dir: string,
  entries: number,
  { example, count }: Listing["foreign"],
): Finding {
  const found = counted(entries, "entry", "entries");
  if (example === undefined) return ok(`${found} in it, nothing else`);
  const what = count === 1 ? "is no entry" : "are no entries";
  return fix(
    `${counted(count, "name")} in ${dir} that ${what}, ` +
      `such as ${quote(example)}: move them away`,
  );
}

function datedAhead(dir: string, ahead: number, retryWindow: number): Finding {
  const are = ahead === 1 ? "is" : "are";
  return warn(
    `${counted(ahead, "entry", "entries")} in ${dir} ${are} dated more than ` +
      `${
        period(retryWindow)
      } ahead of the clock, and not removed before that ` +
      'date: if the clock is right, see "Forgetting" in greylist help verdict',
  );
}
