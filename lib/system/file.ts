/**
 * Regular files: opening, reading, changing and replacing them.
 *
 * @module
 */

import { C, E } from "./constants.ts";
import { OWNER_MODE, setMode } from "./create.ts";
import { close, open } from "./descriptor.ts";
import { check, cString, fromLibc, fromLibcAtStart, isErrno } from "./libc.ts";
import type { State } from "./statx.ts";

const atStart = fromLibcAtStart({
  // int ftruncate(int fd, off_t length);
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
});

const libc = fromLibc({
  // int futimens(int fd, const struct timespec times[2]);
  futimens: { parameters: ["i32", "buffer"], result: "i32" },
  // int flock(int fd, int operation);
  flock: { parameters: ["i32", "i32"], result: "i32" },
  // ssize_t read(int fd, void *buf, size_t count);
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // ssize_t write(int fd, const void *buf, size_t count);
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // ssize_t pread(int fd, void *buf, size_t count, off_t offset);
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  // ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset);
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  // int fchown(int fd, uid_t owner, gid_t group);
  fchown: { parameters: ["i32", "u32", "u32"], result: "i32" },
  // int fdatasync(int fd);
  fdatasync: { parameters: ["i32"], result: "i32" },
  // int rename(const char *oldpath, const char *newpath);
  rename: { parameters: ["buffer", "buffer"], result: "i32" },
  // int unlink(const char *pathname);
  unlink: { parameters: ["buffer"], result: "i32" },
});

/**
 * Waits until the content of a file is on the disk.
 *
 * @throws {LibcError}
 */
export function dataSync(fd: number): void {
  check("fdatasync", libc().fdatasync(fd));
}

/**
 * Gives a file another name, in place of the file that has it.
 *
 * @throws {LibcError}
 */
export function rename(from: string, to: string): void {
  check("rename", libc().rename(cString(from), cString(to)));
}

/** The flags of open(2) that {@linkcode openForWriting} uses. */
export function flagsForWriting(how: "existing" | "new"): number {
  const flags = C.O_RDWR | C.O_NOFOLLOW | C.O_NONBLOCK | C.O_NOCTTY;
  return how === "new" ? flags | C.O_CREAT | C.O_EXCL : flags;
}

/**
 * Opens a file for reading and writing, never through a symbolic link and never
 * waiting for the other end of a FIFO.
 *
 * @param how `new`: it must not exist yet, and is created
 * @param mode the permissions of a new file, less the umask
 * @returns the descriptor, closed on exec
 * @throws {LibcError}
 */
export function openForWriting(
  path: string,
  how: "existing" | "new",
  mode: number = OWNER_MODE,
): number {
  return open(path, flagsForWriting(how), mode);
}

/**
 * Removes a file.
 *
 * @throws {LibcError}
 */
export function unlink(path: string): void {
  check("unlink", libc().unlink(cString(path)));
}

/**
 * Sets a file's size, which also sets its mtime if the size changes.
 *
 * @throws {LibcError}
 */
export function truncate(fd: number, size: number): void {
  check("ftruncate", atStart.ftruncate(fd, BigInt(size)));
}

/**
 * The argument of futimens(3) that sets a file's mtime, and leaves its atime as it is.
 *
 * @param mtime seconds since 1970, exact to the millisecond
 */
export function mtimeAlone(mtime: number): Uint8Array<ArrayBuffer> {
  const milliseconds = Math.round(mtime * 1000);
  const seconds = Math.floor(milliseconds / 1000);
  // Two of struct timespec, atime and mtime: seconds, then nanoseconds.
  const times = BigInt64Array.of(
    0n,
    BigInt(C.UTIME_OMIT),
    BigInt(seconds),
    BigInt(milliseconds - seconds * 1000) * 1_000_000n,
  );
  return new Uint8Array(times.buffer);
}

/**
 * Sets a file's mtime; see {@linkcode mtimeAlone}.
 *
 * @throws {LibcError}
 */
export function setMtime(fd: number, mtime: number): void {
  check("futimens", libc().futimens(fd, mtimeAlone(mtime)));
}

/**
 * Locks a file for this descriptor alone: flock(2). To close the descriptor gives
 * up the lock.
 *
 * @returns false if another process has the lock
 * @throws {LibcError}
 */
export function lock(fd: number): boolean {
  try {
    check("flock", libc().flock(fd, C.LOCK_EX | C.LOCK_NB));
    return true;
  } catch (error) {
    // EWOULDBLOCK is the same.
    if (isErrno(error, E.EAGAIN)) return false;
    throw error;
  }
}

/**
 * Reads from the descriptor's file offset.
 *
 * @returns the number of bytes, 0 at the end
 * @throws {LibcError}
 */
export function read(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  const size = BigInt(buffer.length);
  return Number(check("read", libc().read(fd, buffer, size)));
}

/**
 * Reads from the descriptor's file offset to the end. The size is not needed: a
 * file in /proc has none.
 *
 * @throws {LibcError}
 */
export function readToEnd(fd: number): Uint8Array<ArrayBuffer> {
  let bytes = new Uint8Array(65536);
  let end = 0;
  for (let length; (length = read(fd, bytes.subarray(end))) > 0;) {
    end += length;
    if (end < bytes.length) continue;
    const larger = new Uint8Array(2 * end);
    larger.set(bytes);
    bytes = larger;
  }
  return bytes.subarray(0, end);
}

/**
 * Reads a file in /proc; Deno would want all permissions for that.
 *
 * @throws {LibcError}
 */
export function readProc(path: string): Uint8Array<ArrayBuffer> {
  const fd = open(path, C.O_RDONLY);
  try {
    return readToEnd(fd);
  } finally {
    close(fd);
  }
}

/**
 * Writes all bytes at the descriptor's file offset.
 *
 * @throws {LibcError}
 */
export function write(fd: number, bytes: Uint8Array<ArrayBuffer>): void {
  while (bytes.length > 0) {
    const size = BigInt(bytes.length);
    const written = Number(check("write", libc().write(fd, bytes, size)));
    bytes = bytes.subarray(written);
  }
}

/**
 * Reads the beginning of a file, whatever the descriptor's file offset.
 *
 * @returns at most `size` bytes
 * @throws {LibcError}
 */
export function readStart(fd: number, size: number): Uint8Array<ArrayBuffer> {
  const buffer = new Uint8Array(size);
  const length = libc().pread(fd, buffer, BigInt(size), 0n);
  return buffer.subarray(0, Number(check("pread", length)));
}

/**
 * Replaces the content of an open file by a few bytes. If the file system has no
 * free block, it fails only if the file is shorter than these bytes.
 *
 * @throws {LibcError} and leaves the content as it is
 */
export function rewrite(fd: number, bytes: Uint8Array<ArrayBuffer>): void {
  check("pwrite", libc().pwrite(fd, bytes, BigInt(bytes.length), 0n));
  truncate(fd, bytes.length);
}

/**
 * Reads a regular file. A FIFO or a device in its place would hold up every client.
 *
 * @throws {Error} if it cannot be read or is no regular file
 */
export function readRegularFile(path: string): string {
  if (!Deno.statSync(path).isFile) throw new Error("expected a regular file");
  return Deno.readTextFileSync(path);
}

/**
 * Reads a regular file as {@linkcode readRegularFile} does, and then looks at the
 * same open file: another one may have taken its path.
 *
 * @throws {Error} if it cannot be read or is no regular file
 */
export function readWithState(
  path: string,
): { text: string; info: Deno.FileInfo } {
  if (!Deno.statSync(path).isFile) throw new Error("expected a regular file");
  using file = Deno.openSync(path);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const buffer = new Uint8Array(65536);
  let text = "";
  for (let length; (length = file.readSync(buffer)) !== null;) {
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
  return { text: text + decoder.decode(), info: file.statSync() };
}

/**
 * Gives a file the owner and the permissions of another one.
 *
 * @throws {LibcError} EPERM if this process may not
 */
export function imitate(fd: number, { uid, gid, mode }: State): void {
  check("fchown", libc().fchown(fd, uid, gid));
  setMode(fd, mode & 0o777);
}
