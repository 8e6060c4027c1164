/**
 * Descriptors of any kind: closing them, waiting for one, replacing one.
 *
 * @module
 */

import { C, E } from "./constants.ts";
import { check, cString, errno, fromLibcAtStart, isErrno } from "./libc.ts";

const libc = fromLibcAtStart({
  // int open(const char *pathname, int flags, mode_t mode);
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  // int close(int fd);
  close: { parameters: ["i32"], result: "i32" },
  // int poll(struct pollfd *fds, nfds_t nfds, int timeout);
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  // int dup2(int oldfd, int newfd);
  dup2: { parameters: ["i32", "i32"], result: "i32" },
  // int fcntl(int fd, int cmd, int arg);
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
});

/** An event of {@linkcode poll}: there is something to read. */
export const POLLIN = C.POLLIN;

/** An event of {@linkcode poll}: a write does not have to wait. */
export const POLLOUT = C.POLLOUT;

/**
 * Opens a path. The descriptor is closed on exec.
 *
 * @param flags the flags of open(2) besides O_CLOEXEC
 * @param mode the permissions of a file that this call creates, less the umask
 * @throws {LibcError}
 */
export function open(path: string, flags: number, mode = 0): number {
  const name = cString(path);
  let fd = libc.open(name, flags | C.O_CLOEXEC, mode);
  // Once in a process's life V8 tries to open a file of its own that is missing.
  // If it does so between a call and the read of errno, errno is ENOENT in place
  // of EEXIST.
  if (fd === -1 && (flags & C.O_EXCL) !== 0 && errno() === E.ENOENT) {
    fd = libc.open(name, flags | C.O_CLOEXEC, mode);
  }
  return check("open", fd);
}

/**
 * Opens a file or directory so that reading does not change its atime: O_NOATIME.
 * Only the owner and root may use that flag (open(2)); for another user the atime
 * changes as usual.
 *
 * @param flags those of {@linkcode open}, besides O_RDONLY
 * @throws {LibcError}
 */
export function openUnnoticed(
  path: string,
  flags: number = C.O_NOCTTY,
): { fd: number; keepsAtime: boolean } {
  try {
    return { fd: open(path, flags | C.O_NOATIME), keepsAtime: true };
  } catch (error) {
    if (!isErrno(error, E.EPERM)) throw error;
    return { fd: open(path, flags), keepsAtime: false };
  }
}

/** Closes a descriptor. */
export function close(fd: number): void {
  libc.close(fd);
}

/**
 * fcntl(2).
 *
 * @param command C.F_GETFD and so on
 * @throws {LibcError}
 */
export function control(fd: number, command: number, value: number): number {
  return check("fcntl", libc.fcntl(fd, command, value));
}

/**
 * Sets the flags of a descriptor that another program has opened: from then on it is
 * closed on exec and its calls do not block, as for this program's own descriptors.
 *
 * @throws {LibcError}
 */
export function becomeNonblocking(fd: number): void {
  control(fd, C.F_SETFD, C.FD_CLOEXEC);
  const flags = control(fd, C.F_GETFL, 0);
  control(fd, C.F_SETFL, flags | C.O_NONBLOCK);
}

/**
 * Leaves descriptors open in the program that this process becomes.
 *
 * @returns a function that undoes this
 * @throws {LibcError}
 */
export function keepOpen(fds: readonly number[]): () => void {
  for (const fd of fds) control(fd, C.F_SETFD, 0);
  return () => {
    for (const fd of fds) libc.fcntl(fd, C.F_SETFD, C.FD_CLOEXEC);
  };
}

/**
 * Waits until a descriptor can be read or written, or is broken.
 *
 * @param events {@linkcode POLLIN} or {@linkcode POLLOUT}
 * @param timeout milliseconds
 * @returns false if the time ran out first
 * @throws {LibcError}
 */
export function poll(fd: number, events: number, timeout: number): boolean {
  // struct pollfd: a descriptor, and events in half a word.
  const pollfd = Int32Array.of(fd, events);
  const wait = Math.max(0, Math.min(Math.ceil(timeout), 0x7fffffff));
  while (true) {
    const ready = libc.poll(pollfd, 1n, wait);
    // SIGSTOP and SIGCONT interrupt poll(2) too.
    if (ready !== -1 || errno() !== E.EINTR) return check("poll", ready) > 0;
  }
}

/** The flags of a descriptor, such as FD_CLOEXEC; -1 if it is closed. */
export function flagsOf(fd: number): number {
  return libc.fcntl(fd, C.F_GETFD, 0);
}

/**
 * Makes a descriptor a copy of another one; what it was before is closed.
 *
 * @throws {LibcError}
 */
export function copyOnto(fd: number, target: number): void {
  check("dup2", libc.dup2(fd, target));
}

/**
 * Replaces a descriptor by /dev/null.
 *
 * @returns a function that restores the old one
 * @throws {LibcError}
 */
export function silence(fd: number): () => void {
  const saved = control(fd, C.F_DUPFD_CLOEXEC, 3);
  const nothing = open("/dev/null", C.O_WRONLY);
  copyOnto(nothing, fd);
  close(nothing);
  return () => {
    copyOnto(saved, fd);
    close(saved);
  };
}

/**
 * A descriptor that is kept for the moment in which descriptors run out, in this
 * process or in the whole system.
 */
export class SpareDescriptor {
  #fd: number | undefined;

  constructor() {
    this.#keep();
  }

  /**
   * Makes a call. If the call fails for want of a descriptor, the spare one is
   * closed and the call is made again.
   */
  lend<T>(call: () => T): T {
    if (this.#fd === undefined) this.#keep();
    try {
      return call();
    } catch (error) {
      const { cause = error } = error as Error;
      const lacks = isErrno(cause, E.EMFILE) || isErrno(cause, E.ENFILE);
      if (!lacks || this.#fd === undefined) throw error;
    }
    close(this.#fd);
    try {
      return call();
    } finally {
      this.#keep();
    }
  }

  /** Closes the spare descriptor. No other call may follow. */
  close(): void {
    if (this.#fd !== undefined) close(this.#fd);
  }

  #keep(): void {
    try {
      this.#fd = open("/dev/null", C.O_WRONLY);
    } catch {
      // Another process took the descriptor. The next call tries again.
      this.#fd = undefined;
    }
  }
}

/**
 * Whether `count` more descriptors can be opened now. It opens the root directory,
 * which O_PATH takes no right for: a chroot(2) may have no /dev/null.
 */
export function canOpen(count: number): boolean {
  const opened: number[] = [];
  try {
    while (opened.length < count) {
      opened.push(open("/", C.O_PATH));
    }
    return true;
  } catch {
    return false;
  } finally {
    for (const fd of opened) close(fd);
  }
}
