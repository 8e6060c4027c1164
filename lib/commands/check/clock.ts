/**
 * `greylist check`: compares the clock of the file system with that of this host, and
 * finds out which times it can keep. On NFS the server sets an entry's time, and the
 * host that asks computes its age.
 *
 * @module
 */

import { reasonOf } from "../../reason.ts";
import { setMtime } from "../../system/file.ts";
import { stateOf } from "../../system/statx.ts";
import { type Finding, fix, ok, warn } from "./finding.ts";
import { TrialFile } from "./trial_file.ts";

/** 2106-02-07, in seconds: the end of all counts of 32 bits. */
const FAR = 2 ** 32 - 1;

/**
 * Creates a file in the directory, looks at its time, and removes it.
 *
 * @param delay timeouts.delay in seconds
 */
export function clock(dir: string, delay: number): Finding[] {
  const before = Date.now() / 1000;
  try {
    using file = new TrialFile(dir);
    // Pruning may remove it: then there is nothing to find out.
    const made = stateOf(file.path, "keep")?.mtime ?? before;
    const ahead = secondsAhead(made, before, Date.now() / 1000);
    setMtime(file.fd, FAR);
    const latest = stateOf(file.path, "keep")?.mtime ?? FAR;
    return [clockFinding(ahead, delay), ...latestFindings(latest)];
  } catch (error) {
    return [fix(
      `baseDir: a file in it cannot be created, looked at, dated or removed: ` +
        reasonOf(error),
    )];
  }
}

/** @param latest the time that a file of {@linkcode FAR} has, in seconds */
function latestFindings(latest: number): Finding[] {
  if (latest >= FAR) return [];
  const date = new Date(latest * 1000).toISOString().slice(0, 10);
  return [warn(
    `baseDir: its file system keeps no time after ${date}: from then on no ` +
      "unknown client is let in, so move it to another one by then (ext4 needs " +
      "inodes of 256 bytes, XFS needs bigtime)",
  )];
}

/**
 * How far a clock is ahead of this host's, in seconds; negative if behind.
 *
 * @param time the other clock's time at a moment between `before` and `after`
 */
export function secondsAhead(
  time: number,
  before: number,
  after: number,
): number {
  if (time > after) return time - after;
  return time < before ? time - before : 0;
}

/** The finding about a difference of two clocks. Both numbers are seconds. */
export function clockFinding(ahead: number, delay: number): Finding {
  const apart = `${Math.abs(ahead).toFixed(1)} s`;
  const most = delay / 4;
  // The kernel's clock for files moves in steps of up to 10 ms.
  if (Math.abs(ahead) <= Math.max(most, 0.05)) {
    return ok(`clocks of baseDir and of this host: ${apart} apart`);
  }
  const where = ahead > 0 ? "ahead of" : "behind";
  return fix(
    `clock of baseDir: ${apart} ${where} this host's, more than a quarter of ` +
      `timeouts.delay (${most} s): keep both by NTP`,
  );
}
