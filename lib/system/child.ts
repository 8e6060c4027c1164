/**
 * The end of a child process.
 *
 * @module
 */

import { C } from "./constants.ts";
import { close } from "./descriptor.ts";
import { check, fromLibc } from "./libc.ts";

const libc = fromLibc({
  // int kill(pid_t pid, int sig);
  kill: { parameters: ["i32", "i32"], result: "i32" },
  // pid_t waitpid(pid_t pid, int *wstatus, int options);
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  waitpid_later: {
    name: "waitpid",
    parameters: ["i32", "buffer", "i32"],
    result: "i32",
    nonblocking: true,
  },
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
  const status = new Uint8Array(4);
  const found = libc().waitpid(pid, status, C.WNOHANG);
  return found > 0 ? readStatus(found, status) : undefined;
}

/**
 * Waits for the end of a child, in another thread.
 *
 * @throws {LibcError} if there is no such child
 */
export async function waitForExit(pid: number): Promise<ExitStatus> {
  while (true) {
    const status = new Uint8Array(4);
    const found = await libc().waitpid_later(pid, status, 0);
    if (found > 0) return readStatus(found, status);
    // A signal has interrupted the wait, unless this call fails too: the errno of
    // another thread cannot be read.
    const now = libc().waitpid(pid, status, C.WNOHANG);
    if (now > 0) return readStatus(now, status);
    check("waitpid", now);
  }
}

/**
 * Ends a child that has not been waited for yet. So its number cannot belong to
 * another process.
 */
export function killChild(pid: number): void {
  libc().kill(pid, C.SIGKILL);
}

/** What waitpid(2) says: the signal in bits 0 to 6, the exit code in bits 8 to 15. */
function readStatus(pid: number, status: Uint8Array): ExitStatus {
  const signal = status[0] & 0x7f;
  return signal === 0 ? { pid, code: status[1] } : { pid, signal };
}
