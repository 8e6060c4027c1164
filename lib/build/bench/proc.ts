/**
 * What /proc says about the memory of a process.
 *
 * @module
 */

import { TemporaryError } from "../../commands/command.ts";
import { sleep } from "../../system/sleep.ts";

/** Milliseconds between two looks. */
const INTERVAL = 10;

/**
 * One amount from a file such as /proc/PID/status.
 *
 * @returns bytes
 * @throws {TemporaryError} if it is not there
 */
export function bytesIn(text: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text);
  if (match === null) throw new TemporaryError(`/proc has no ${name}`);
  return Number(match[1]) * 1024;
}

/**
 * Watches a process until it has ended. The maximum that wait4(2) reports is of no
 * use: it counts the moment before exec, when the memory was that of the parent.
 *
 * @returns the most that was resident, in bytes; 0 if it ended too soon
 */
export async function watchPeak(
  pid: number,
  ended: Promise<unknown>,
): Promise<number> {
  let over = false;
  let most = 0;
  const end = ended.finally(() => over = true);
  while (!over) {
    try {
      const status = Deno.readTextFileSync(`/proc/${pid}/status`);
      if (/^VmHWM:/m.test(status)) most = bytesIn(status, "VmHWM");
    } catch {
      // It has just ended.
    }
    await sleep(INTERVAL);
  }
  await end;
  return most;
}
