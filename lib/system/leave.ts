/**
 * The end of a connection for this process, while other processes go on with it.
 *
 * @module
 */

import { C } from "./constants.ts";
import { close, copyOnto, flagsOf, open } from "./descriptor.ts";
import { openOn } from "./statx.ts";

/** The first number that is not looked at. */
const END = 1024;

/**
 * Leaves a connection to the programs that have it too. This process may then hang
 * for as long as it has to: the client and the super-server still see the end of
 * the connection as soon as those programs have ended.
 *
 * Every descriptor on the connection becomes /dev/null: standard input and output,
 * the copies that the runtime made of them, and standard error if it is the same.
 * What else a super-server handed over is closed, such as the descriptors of
 * UCSPI-TLS. It is told from this process's own descriptors, which are closed on
 * exec.
 *
 * @throws {LibcError}
 */
export function leaveConnection(): void {
  const connection = [0, 1].map((fd) => openOn(fd).identity);
  const nothing = open("/dev/null", C.O_RDWR);
  for (let fd = 0; fd < END; fd++) {
    const flags = flagsOf(fd);
    if (flags === -1 || fd === nothing) continue;
    // No call that waits for a file that hangs, or for another thread that does: a
    // write(2) keeps lseek(2) waiting.
    if (connection.includes(openOn(fd).identity)) {
      copyOnto(nothing, fd);
    } else if (fd > 2 && (flags & C.FD_CLOEXEC) === 0) {
      close(fd);
    }
  }
  close(nothing);
}
