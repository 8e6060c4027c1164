/**
 * `greylist check`: whether files in the base directory can be locked, as pruning
 * by the wrapper and by serve needs it.
 *
 * @module
 */

import { reasonOf } from "../../reason.ts";
import { lock } from "../../system/file.ts";
import { type Finding, warn } from "./finding.ts";
import { TrialFile } from "./trial_file.ts";

/** Creates a file in the directory, locks it and removes it. */
export function locks(dir: string): Finding[] {
  let reason: string | undefined;
  try {
    using file = new TrialFile(dir);
    reason = reasonToFail(() => lock(file.fd));
  } catch {
    // The look at the clock says why.
  }
  if (reason === undefined) return [];
  return [warn(
    `baseDir: no file in it can be locked (${reason}), and without a lock ` +
      "neither the wrapper nor serve prunes: mount it with locks, or set " +
      'prune.every to 0 and run "greylist prune" from cron',
  )];
}

function reasonToFail(work: () => void): string | undefined {
  try {
    work();
  } catch (error) {
    return reasonOf(error);
  }
}
