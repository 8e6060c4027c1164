/**
 * The creation of files that only their owner may read and write.
 *
 * @module
 */

import { C, E } from "./constants.ts";
import {
  briefCString,
  check,
  errno,
  fromLibc,
  fromLibcAtStart,
} from "./libc.ts";

/** The declaration of mknodat(2). */
export const MKNODAT = {
  // long syscall(long number, ...); glibc has no mknodat before 2.33.
  // int mknodat(int dirfd, const char *pathname, mode_t mode, dev_t dev);
  mknodat: {
    name: "syscall",
    parameters: ["isize", "i32", "buffer", "u32", "u64"],
    result: "isize",
  },
} as const;

const atStart = fromLibcAtStart({
  // mode_t umask(mode_t mask);
  umask: { parameters: ["u32"], result: "u32" },
  ...MKNODAT,
});

const libc = fromLibc({
  // int fchmod(int fd, mode_t mode);
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
});

/** The mode of each file. */
export const OWNER_MODE = 0o600;

/**
 * The arguments of mknodat(2) that {@linkcode createFile} uses.
 *
 * @param path a C string
 */
export function creationOf(path: Uint8Array<ArrayBuffer>) {
  return [
    BigInt(C.SYS_MKNODAT),
    C.AT_FDCWD,
    path,
    C.S_IFREG | OWNER_MODE,
    0n,
  ] as const;
}

/**
 * Creates an empty file with mode 0600, less the umask; it must not exist yet. It is
 * not opened, so on a shared file system the servers are not told that it is closed.
 *
 * @throws {LibcError} ENOSYS, EOPNOTSUPP or EPERM if files can be created only by
 * opening them here: a FUSE file system may lack this call
 */
export function createFile(path: string): void {
  const parameters = creationOf(briefCString(path));
  let result = atStart.mknodat(...parameters);
  // See `open` in descriptor.ts.
  if (result === -1n && errno() === E.ENOENT) {
    result = atStart.mknodat(...parameters);
  }
  check("create", Number(result));
}

/**
 * Whether the umask takes permissions from a file's owner. If it does, which is
 * rare, a new file needs {@linkcode setMode}.
 *
 * The umask is set for a moment, which other threads must not see.
 */
export function isOwnerMasked(): boolean {
  const mask = atStart.umask(0o077);
  atStart.umask(mask);
  return (mask & 0o600) !== 0;
}

/**
 * Sets a file's mode.
 *
 * @throws {LibcError}
 */
export function setMode(fd: number, mode: number): void {
  check("fchmod", libc().fchmod(fd, mode));
}
