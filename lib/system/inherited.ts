/**
 * Listening sockets that a super-server has opened: sd_listen_fds(3).
 *
 * @module
 */

import { becomeNonblocking } from "./descriptor.ts";
import { variable } from "./environment.ts";
import { localOf, type SocketName } from "./socket.ts";

/** The variables of sd_listen_fds(3). */
export const LISTEN_VARIABLES = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/** SD_LISTEN_FDS_START. */
const FIRST = 3;

/** A listening socket, and what it listens on. */
export interface Inherited {
  readonly fd: number;
  readonly name: SocketName;
}

/**
 * Takes the sockets of `LISTEN_FDS` if `LISTEN_PID` is this process. They are
 * closed on exec and do not block from then on, and no program that this process
 * starts finds the variables.
 *
 * @throws {Error} if one of them is no TCP socket
 * @throws {LibcError} if one of them is not open
 */
export function inheritedListeners(): Inherited[] {
  const isOurs = variable("LISTEN_PID") === String(Deno.pid);
  const count = isOurs ? Number(variable("LISTEN_FDS") ?? 0) : 0;
  for (const name of LISTEN_VARIABLES) {
    Deno.env.delete(name);
  }
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new Error("LISTEN_FDS: expected a number of descriptors");
  }
  return Array.from({ length: count }, (_, i) => {
    const fd = FIRST + i;
    becomeNonblocking(fd);
    const name = localOf(fd);
    if (name !== undefined) return { fd, name };
    throw new Error(`LISTEN_FDS: descriptor ${fd}: expected a TCP socket`);
  });
}
