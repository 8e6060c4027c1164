/**
 * `greylist check`: compares the clock of the file system with that of this host.
 * On NFS the server sets an entry's time, and the host that asks computes its age.
 *
 * @module
 */

import { reasonOf } from "../../reason.ts";
import { close } from "../../system/descriptor.ts";
import { openForWriting } from "../../system/file.ts";
import { stateOf } from "../../system/statx.ts";
import { type Finding, fix, ok } from "./finding.ts";

/** A name that a listing of the entries passes over. */
const NAME = ".check";

/**
 * Creates a file in the directory, looks at its time, and removes it.
 *
 * @param delay timeouts.delay in seconds
 */
export function clock(dir: string, delay: number): Finding {
  const path = `${dir}/${NAME}-${Deno.pid}`;
  let time: number;
  const before = Date.now() / 1000;
  try {
    close(openForWriting(path, "new"));
    time = stateOf(path, "keep")?.mtime ?? before;
    Deno.removeSync(path);
  } catch (error) {
    return fix(
      `${path}: cannot be created, looked at or removed: ${reasonOf(error)}`,
    );
  }
  return clockFinding(secondsAhead(time, before, Date.now() / 1000), delay);
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
