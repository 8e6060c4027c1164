/**
 * The end of a child process.
 *
 * @module
 */

import { C, E } from "./constants.ts";
import { close } from "./descriptor.ts";
import { check, errno, fromLibc, LibcError } from "./libc.ts";

const libc = fromLibc({
  // int kill(pid_t pid, int sig);
  kill: { parameters: ["i32", "i32"], result: "i32" },
  // pid_t waitpid(pid_t pid, int *wstatus, int options);
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  // long syscall(long number, ...); glibc has no pidfd_open before 2.36.
  // int pidfd_open(pid_t pid, unsigned int flags);
  pidfd_open: {
    name: "syscall",
    parameters: ["isize", "i32", "u32"],
    result: "isize",
  },
});

/**
 * Opens a descriptor that becomes readable when a child has ended: pidfd_open(2),
 * Linux 5.3. SIGCHLD reports the same, but costs more, comes late, and interrupts
 * the system call that is under way.
 *
 * @throws {LibcError}
 */
export function watchChild(pid: number): number {
  const { pidfd_open } = libc();
  const number = BigInt(C.SYS_PIDFD_OPEN);
  return Number(check("pidfd_open", pidfd_open(number, pid, 0)));
}

/** Whether {@linkcode watchChild} works here. */
export function canWatchChildren(): boolean {
  try {
    close(watchChild(Deno.pid));
    return true;
  } catch {
    return false;
  }
}

/** How a child ended. */
export interface ExitStatus {
  readonly pid: number;
  /** Its exit code; undefined if a signal ended it. */
  readonly code?: number;
  /** The number of the signal that ended it. */
  readonly signal?: number;
}

/**
 * Takes the exit status of a child that has ended.
 *
 * @param pid its process id; -1 is any child
 * @returns undefined if the child still runs, or its status was taken before
 */
export function takeExitStatus(pid: number): ExitStatus | undefined {
  return exitStatus(pid, C.WNOHANG);
}

/**
 * Waits for the end of a child.
 *
 * @throws {LibcError} if there is no such child
 */
export function waitForExit(pid: number): ExitStatus {
  while (true) {
    const status = exitStatus(pid, 0);
    if (status !== undefined) return status;
    const code = errno();
    // A signal has interrupted the wait.
    if (code !== E.EINTR) throw new LibcError("waitpid", code);
  }
}

/**
 * Ends a child that has not been waited for yet. So its number cannot belong to
 * another process.
 */
export function killChild(pid: number): void {
  libc().kill(pid, C.SIGKILL);
}

function exitStatus(pid: number, options: number): ExitStatus | undefined {
  const status = new Uint8Array(4);
  const found = libc().waitpid(pid, status, options);
  if (found <= 0) return undefined;
  // wait(2): the signal in the low 7 bits, the exit code above 8.
  const signal = status[0] & 0x7f;
  return signal === 0
    ? { pid: found, code: status[1] }
    : { pid: found, signal };
}
