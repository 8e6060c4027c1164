/**
 * Finds out whether text that is written to a descriptor reaches the client.
 *
 * @module
 */

import { openOn } from "../system/statx.ts";

/**
 * Whether a descriptor is the same socket or pipe as standard input or output, as
 * inetd and systemd arrange it for stderr.
 *
 * @returns true also if the descriptor cannot be looked at
 */
export function reachesClient(fd: number): boolean {
  try {
    const { kind, identity } = openOn(fd);
    if (
      openOn(0).identity !== identity && openOn(1).identity !== identity
    ) return false;
    return kind === "a socket" || kind === "a FIFO";
  } catch {
    return true;
  }
}
