/**
 * Listening sockets that a super-server has opened: sd_listen_fds(3).
 *
 * @module
 */

import { becomeNonblocking } from "./descriptor.ts";
import { variable } from "./environment.ts";
import { isListening, localOf, type SocketName } from "./socket.ts";

/** The variables of sd_listen_fds(3). */
export const LISTEN_VARIABLES = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/** SD_LISTEN_FDS_START. */
const FIRST = 3;

/** A listening socket, and what it listens on. */
export interface Listening {
  readonly fd: number;
  readonly name: SocketName;
}

/**
 * Takes the sockets of `LISTEN_FDS` if `LISTEN_PID` is this process. They are
 * closed on exec and do not block from then on, and no program that this process
 * starts finds the variables.
 *
 * @throws {Error} if `LISTEN_FDS` is no number, or a descriptor is no TCP socket
 * that listens
 */
export function inheritedListeners(): Listening[] {
  const isOurs = variable("LISTEN_PID") === String(Deno.pid);
  const count = isOurs ? variable("LISTEN_FDS") ?? "0" : "0";
  for (const name of LISTEN_VARIABLES) {
    Deno.env.delete(name);
  }
  if (!/^\d{1,9}$/.test(count)) {
    throw new Error("LISTEN_FDS: expected a number of descriptors");
  }
  return Array.from({ length: Number(count) }, (_, i) => {
    try {
      return takeListening(FIRST + i);
    } catch (error) {
      throw new Error(`LISTEN_FDS: ${(error as Error).message}`);
    }
  });
}

/**
 * Takes a listening socket that another program has opened. It is closed on exec
 * and does not block from then on.
 *
 * @throws {Error} if the descriptor is no TCP socket that listens
 */
export function takeListening(fd: number): Listening {
  const name = isListening(fd) ? localOf(fd) : undefined;
  if (name === undefined) {
    throw new Error(`descriptor ${fd}: expected a listening TCP socket`);
  }
  becomeNonblocking(fd);
  return { fd, name };
}
