/**
 * The end of a connection for this process, while other processes go on with it.
 *
 * @module
 */

import { C } from "./constants.ts";
import { close, copyOnto, flagsOf, open } from "./descriptor.ts";
import { fromLibc } from "./libc.ts";
import { openOn } from "./statx.ts";

const libc = fromLibc({
  // off_t lseek(int fd, off_t offset, int whence);
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
});

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
    if (isStream(fd) && connection.includes(openOn(fd).identity)) {
      copyOnto(nothing, fd);
    } else if (fd > 2 && (flags & C.FD_CLOEXEC) === 0) {
      close(fd);
    }
  }
  close(nothing);
}

/**
 * Whether a descriptor is a socket, a pipe or the like. This asks no file system:
 * a file of this process may be on the one that hangs.
 */
function isStream(fd: number): boolean {
  return libc().lseek(fd, 0n, C.SEEK_CUR) === -1n;
}
