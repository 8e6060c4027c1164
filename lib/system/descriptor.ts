/**
 * What is done with descriptors: files are opened, made longer and closed, and
 * it is waited for what can be read or written.
 *
 * @module
 */

import {
  check,
  cString,
  EEXIST,
  ENOENT,
  errno,
  fromLibc,
  isErrno,
  seldomFromLibc,
} from "./libc.ts";

// Linux, the same on x86_64 and aarch64 except where it says otherwise.
const O_WRONLY = 0o1;
const O_RDWR = 0o2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_NOCTTY = 0o400;
const O_NONBLOCK = 0o4000;
const O_NOFOLLOW = Deno.build.arch === "aarch64" ? 0o100000 : 0o400000;
const O_CLOEXEC = 0o2000000;
const F_DUPFD_CLOEXEC = 1030;
const EINTR = 4;
const EACCES = 13;

/** What a client may wait for in {@linkcode poll}. */
export const POLLIN = 1;

/** See {@linkcode POLLIN}. */
export const POLLOUT = 4;

const libc = fromLibc({
  // int open(const char *pathname, int flags, mode_t mode);
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  // int close(int fd);
  close: { parameters: ["i32"], result: "i32" },
  // int ftruncate(int fd, off_t length);
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  // int poll(struct pollfd *fds, nfds_t nfds, int timeout);
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  // int fchmod(int fd, mode_t mode);
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
});

const seldom = seldomFromLibc({
  // int futimens(int fd, const struct timespec times[2]);
  futimens: { parameters: ["i32", "pointer"], result: "i32" },
  // int dup2(int oldfd, int newfd);
  dup2: { parameters: ["i32", "i32"], result: "i32" },
  // int fcntl(int fd, int cmd, int arg);
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
});

/**
 * Opens a file for reading and writing, never through a symbolic link and never
 * waiting for the other end of a FIFO.
 *
 * @param how `new`: it must not exist yet, and is made with mode 0600 whatever
 * the umask
 * @returns the descriptor, closed on exec
 * @throws {LibcError}
 */
export function openForWriting(path: string, how: "existing" | "new"): number {
  const flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC |
    (how === "new" ? O_CREAT | O_EXCL : 0);
  let fd = libc.open(cString(path), flags, 0o600);
  // Once in a process's life V8 looks in vain for a file of its own, and if that
  // comes between a call and its errno, EEXIST is lost.
  if (fd === -1 && how === "new" && errno() === ENOENT) {
    fd = libc.open(cString(path), flags, 0o600);
  }
  check("open", fd);
  if (how === "new") check("fchmod", libc.fchmod(fd, 0o600));
  return fd;
}

/**
 * Opens a file as {@linkcode openForWriting} does, and makes it where it is
 * missing. A file that only somebody else may write, such as one that root made
 * by trying the program by hand, makes way.
 *
 * @throws {LibcError | Error}
 */
export function openOrMake(path: string): number {
  try {
    return openForWriting(path, "existing");
  } catch (error) {
    if (isErrno(error, EACCES)) Deno.removeSync(path);
    else if (!isErrno(error, ENOENT)) throw error;
  }
  try {
    return openForWriting(path, "new");
  } catch (error) {
    // Somebody else has made it in between.
    if (!isErrno(error, EEXIST)) throw error;
    return openForWriting(path, "existing");
  }
}

/**
 * Sets a file's size, which also sets its mtime where the size changes.
 *
 * @throws {LibcError}
 */
export function truncate(fd: number, size: number): void {
  check("ftruncate", libc.ftruncate(fd, BigInt(size)));
}

/**
 * Sets a file's mtime to now.
 *
 * @throws {LibcError}
 */
export function touch(fd: number): void {
  check("futimens", seldom.futimens(fd, null));
}

/** Closes a descriptor. */
export function close(fd: number): void {
  libc.close(fd);
}

/**
 * Waits until a descriptor can be read or written, or is broken.
 *
 * @param events {@linkcode POLLIN} or {@linkcode POLLOUT}
 * @param timeout milliseconds
 * @returns false where the time ran out first
 * @throws {LibcError}
 */
export function poll(fd: number, events: number, timeout: number): boolean {
  // struct pollfd: a descriptor, and events in half a word.
  const pollfd = Int32Array.of(fd, events);
  const wait = Math.max(0, Math.min(Math.ceil(timeout), 0x7fffffff));
  while (true) {
    const ready = libc.poll(pollfd, 1n, wait);
    // A process that was stopped and goes on finds its wait interrupted.
    if (ready !== -1 || errno() !== EINTR) return check("poll", ready) > 0;
  }
}

/**
 * Puts /dev/null in a descriptor's place.
 *
 * @returns what puts the old one back
 * @throws {LibcError}
 */
export function silence(fd: number): () => void {
  const { fcntl, dup2 } = seldom;
  const saved = check("fcntl", fcntl(fd, F_DUPFD_CLOEXEC, 3));
  const flags = O_WRONLY | O_CLOEXEC;
  const nothing = check("open", libc.open(cString("/dev/null"), flags, 0));
  check("dup2", dup2(nothing, fd));
  close(nothing);
  return () => {
    check("dup2", dup2(saved, fd));
    close(saved);
  };
}
