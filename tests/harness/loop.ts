/**
 * Files that are mounted as disks.
 *
 * @module
 */

import { findInstalled } from "../../lib/build/find_installed.ts";

/** Why no file can be mounted here, undefined if it can. */
export function loopObstacle(): string | undefined {
  if (Deno.uid() !== 0 || findInstalled("losetup") === undefined) {
    return undefined;
  }
  const args = ["--find"];
  const { success } = new Deno.Command("losetup", { args }).outputSync();
  return success ? undefined : "no loop device";
}
