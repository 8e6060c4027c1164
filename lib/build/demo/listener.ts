/**
 * The part of tcpserver(1) that the demo needs: accepts a connection and starts
 * a program that has the socket itself as standard input and output. Deno can
 * give a child pipes only, so the C library does it.
 *
 * @module
 */

import { formatAddress } from "../../address.ts";
import { close, poll, POLLIN } from "../../descriptor.ts";
import { check, cString, lazily, LIBC, LibcError } from "../../libc.ts";
import { localOf, peerOf } from "../../socket.ts";

// Linux, the same on x86_64 and aarch64.
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const O_WRONLY = 0o1;
const O_CREAT = 0o100;
const O_APPEND = 0o2000;
const WNOHANG = 1;

/** How long a connection or a program's end is waited for, in milliseconds. */
const PATIENCE = 10_000;

const libc = lazily(() =>
  Deno.dlopen(LIBC, {
    // int socket(int domain, int type, int protocol);
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
    bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    // int listen(int sockfd, int backlog);
    listen: { parameters: ["i32", "i32"], result: "i32" },
    // int accept4(int sockfd, struct sockaddr *addr, socklen_t *addrlen,
    //             int flags);
    accept4: {
      parameters: ["i32", "pointer", "pointer", "i32"],
      result: "i32",
    },
    // int posix_spawn_file_actions_init(posix_spawn_file_actions_t *actions);
    posix_spawn_file_actions_init: { parameters: ["buffer"], result: "i32" },
    // int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions,
    //                                      int fd, int newfd);
    posix_spawn_file_actions_adddup2: {
      parameters: ["buffer", "i32", "i32"],
      result: "i32",
    },
    // int posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *actions,
    //          int fd, const char *path, int oflag, mode_t mode);
    posix_spawn_file_actions_addopen: {
      parameters: ["buffer", "i32", "buffer", "i32", "u32"],
      result: "i32",
    },
    // int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t *actions);
    posix_spawn_file_actions_destroy: { parameters: ["buffer"], result: "i32" },
    // int posix_spawn(pid_t *pid, const char *path,
    //                 const posix_spawn_file_actions_t *file_actions,
    //                 const posix_spawnattr_t *attrp,
    //                 char *const argv[], char *const envp[]);
    posix_spawn: {
      parameters: ["buffer", "buffer", "buffer", "pointer", "buffer", "buffer"],
      result: "i32",
    },
    // pid_t waitpid(pid_t pid, int *wstatus, int options);
    waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  }).symbols
);

/** A program to start: an absolute path, and its arguments. */
export type Program = readonly [path: string, ...args: string[]];

/** A socket that listens on 127.0.0.1. */
export class Listener implements Disposable {
  readonly #fd: number;
  /** The TCP port, one that was free. */
  readonly port: number;

  /** @throws {LibcError} */
  constructor() {
    const { socket, bind, listen } = libc();
    const type = SOCK_STREAM | SOCK_CLOEXEC;
    this.#fd = check("socket", socket(AF_INET, type, 0));
    // struct sockaddr_in: the family in host order, port 0 (any), the address.
    const address = new Uint8Array(16);
    new DataView(address.buffer).setUint16(0, AF_INET, true);
    address.set([127, 0, 0, 1], 4);
    check("bind", bind(this.#fd, address, address.length));
    check("listen", listen(this.#fd, 16));
    this.port = localOf(this.#fd)!.port;
  }

  /**
   * Accepts one connection and starts a program for it, with the environment
   * of tcp-environ(5) as far as no names are looked up, and PATH.
   *
   * @param stderr a file that the program's standard error is added to
   * @returns the process id; {@linkcode ended} has to be called with it
   * @throws {LibcError} where the program cannot be started, for example
   * @throws {Error} where nobody connects
   */
  serve(program: Program, stderr: string): number {
    if (!poll(this.#fd, POLLIN, PATIENCE)) throw new Error("nobody connects");
    const { accept4 } = libc();
    const fd = check("accept", accept4(this.#fd, null, null, SOCK_CLOEXEC));
    try {
      const [local, remote] = [localOf(fd), peerOf(fd)];
      if (!local || !remote) throw new Error("the client has gone");
      return spawn(program, fd, stderr, {
        PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin",
        PROTO: "TCP",
        TCPLOCALIP: formatAddress(local.address),
        TCPLOCALPORT: String(local.port),
        TCPREMOTEIP: formatAddress(remote.address),
        TCPREMOTEPORT: String(remote.port),
      });
    } finally {
      close(fd);
    }
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}

/** Starts a program on a socket. */
function spawn(
  program: Program,
  socket: number,
  stderr: string,
  env: Record<string, string>,
): number {
  const calls = libc();
  const pid = new Uint8Array(4);
  // posix_spawn_file_actions_t has 80 bytes in glibc on 64 bits.
  const actions = new Uint8Array(128);
  const argv = strings(program);
  const envp = strings(Object.entries(env).map((pair) => pair.join("=")));
  const flags = O_WRONLY | O_CREAT | O_APPEND;
  // Each gives an errno, not -1.
  let error = calls.posix_spawn_file_actions_init(actions) ||
    calls.posix_spawn_file_actions_adddup2(actions, socket, 0) ||
    calls.posix_spawn_file_actions_adddup2(actions, socket, 1) ||
    calls.posix_spawn_file_actions_addopen(
      actions,
      2,
      cString(stderr),
      flags,
      0o600,
    );
  error ||= calls.posix_spawn(
    pid,
    cString(program[0]),
    actions,
    null,
    argv.pointers,
    envp.pointers,
  );
  calls.posix_spawn_file_actions_destroy(actions);
  if (error !== 0) throw new LibcError(program[0], error);
  return new DataView(pid.buffer).getInt32(0, true);
}

/** Strings as argv and envp have them; all in one block, which is kept. */
function strings(texts: readonly string[]) {
  const block = cString(texts.join("\0"));
  const start = Deno.UnsafePointer.value(Deno.UnsafePointer.of(block));
  const table = new BigUint64Array(texts.length + 1);
  let offset = 0;
  texts.forEach((text, i) => {
    table[i] = start + BigInt(offset);
    offset += cString(text).length;
  });
  return { pointers: new Uint8Array(table.buffer), block };
}

/**
 * Waits for the end of a program that {@linkcode Listener.serve} started.
 *
 * @returns its exit code; 128 and the signal's number where one ended it;
 * undefined where it runs on
 */
export async function ended(pid: number): Promise<number | undefined> {
  const status = new Uint8Array(4);
  const deadline = Date.now() + PATIENCE;
  while (check("waitpid", libc().waitpid(pid, status, WNOHANG)) === 0) {
    if (Date.now() > deadline) return undefined;
    await new Promise((done) => setTimeout(done, 5));
  }
  const [signal, code] = status;
  return (signal & 0x7f) === 0 ? code : 128 + (signal & 0x7f);
}
