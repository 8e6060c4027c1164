/**
 * Network namespaces: a thread that enters one makes its sockets there.
 *
 * @module
 */

import { close, open } from "../../system/descriptor.ts";
import { check, fromLibc } from "../../system/libc.ts";

const libc = fromLibc({
  // int setns(int fd, int nstype);
  setns: { parameters: ["i32", "i32"], result: "i32" },
});

/**
 * Enters the network namespace of a process: sockets that this thread opens from
 * now on, and programs that it starts, are there. Sockets that it has already
 * stay where they are. Only root may.
 *
 * @returns leaves the namespace again when it is disposed of
 * @throws {LibcError}
 */
export function enterNetwork(pid: number): Disposable {
  const own = open("/proc/thread-self/ns/net", 0);
  try {
    enter(`/proc/${pid}/ns/net`);
  } catch (error) {
    close(own);
    throw error;
  }
  return {
    [Symbol.dispose]() {
      check("setns", libc().setns(own, 0));
      close(own);
    },
  };
}

function enter(path: string): void {
  const fd = open(path, 0);
  try {
    check("setns", libc().setns(fd, 0));
  } finally {
    close(fd);
  }
}
