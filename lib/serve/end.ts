/**
 * When a program ended that this process started, and how.
 *
 * @module
 */

import { close } from "../system/descriptor.ts";
import { lazily } from "../system/lazily.ts";
import { check, LIBC } from "../system/libc.ts";
import { C } from "../system/abi.ts";

const libc = lazily(() =>
  Deno.dlopen(LIBC, {
    // pid_t waitpid(pid_t pid, int *wstatus, int options);
    waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
    // long syscall(long number, ...); glibc has no pidfd_open before 2.36.
    // int pidfd_open(pid_t pid, unsigned int flags);
    pidfd_open: {
      name: "syscall",
      parameters: ["isize", "i32", "u32"],
      result: "isize",
    },
  }).symbols
);

/**
 * Opens a descriptor that can be read when a program has ended: pidfd_open(2),
 * Linux 5.3. A signal would say the same, but it costs more, comes late, and
 * interrupts whatever is under way.
 *
 * @throws {LibcError}
 */
export function watchProcess(pid: number): number {
  const { pidfd_open } = libc();
  const number = BigInt(C.SYS_PIDFD_OPEN);
  return Number(check("pidfd_open", pidfd_open(number, pid, 0)));
}

/** Whether programs can be watched here. */
export function canWatch(): boolean {
  try {
    close(watchProcess(Deno.pid));
    return true;
  } catch {
    return false;
  }
}

/** How a program ended. */
export interface Ended {
  readonly pid: number;
  /** Its exit code, where it was not a signal. */
  readonly code?: number;
  /** The number of the signal that ended it. */
  readonly signal?: number;
}

/**
 * How a program ended.
 *
 * @param pid its process id; -1 is for any
 * @returns undefined where it has not, or has been asked about already
 */
export function endOf(pid: number): Ended | undefined {
  const status = new Uint8Array(4);
  const found = libc().waitpid(pid, status, C.WNOHANG);
  if (found <= 0) return undefined;
  // wait(2): the signal in the low 7 bits, the exit code above 8.
  const signal = status[0] & 0x7f;
  return signal === 0
    ? { pid: found, code: status[1] }
    : { pid: found, signal };
}
