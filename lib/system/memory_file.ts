/**
 * Files that are in memory alone: memfd_create(2). Writing one never waits.
 *
 * @module
 */

import { C } from "./constants.ts";
import { close, control } from "./descriptor.ts";
import { truncate } from "./file.ts";
import { check, cString, fromLibc } from "./libc.ts";

const libc = fromLibc({
  // int memfd_create(const char *name, unsigned int flags);
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
});

/**
 * Makes an empty file, closed on exec.
 *
 * @param name what /proc shows
 * @throws {LibcError}
 */
export function memoryFile(name: string): number {
  const flags = C.MFD_CLOEXEC | C.MFD_ALLOW_SEALING;
  return check("memfd_create", libc().memfd_create(cString(name), flags));
}

/**
 * Makes a file of null bytes whose size no process can change: a program that
 * writes more gets an error (fcntl(2), F_SEAL_GROW).
 *
 * @throws {LibcError}
 */
export function memoryFileOf(name: string, size: number): number {
  const fd = memoryFile(name);
  try {
    truncate(fd, size);
    const seals = C.F_SEAL_GROW | C.F_SEAL_SHRINK;
    control(fd, C.F_ADD_SEALS, seals);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}
