/**
 * Listening sockets. Deno's own listener shuts down a connection that a child
 * process still uses, and its backlog is fixed at 128.
 *
 * @module
 */

import { C, E } from "./constants.ts";
import { close } from "./descriptor.ts";
import { check, errno, fromLibc } from "./libc.ts";
import {
  makeSocketName,
  openSocket,
  readSocketName,
  shutdown,
  SOCKADDR_SIZE,
  type SocketName,
} from "./socket.ts";

const libc = fromLibc({
  // int setsockopt(int sockfd, int level, int optname, const void *optval,
  //                socklen_t optlen);
  setsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "u32"],
    result: "i32",
  },
  // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int listen(int sockfd, int backlog);
  listen: { parameters: ["i32", "i32"], result: "i32" },
  // int accept4(int sockfd, struct sockaddr *addr, socklen_t *addrlen,
  //             int flags);
  accept4: {
    parameters: ["i32", "buffer", "buffer", "i32"],
    result: "i32",
  },
});

/**
 * Opens a socket that accepts connections. On `::` it accepts those over IPv4
 * too.
 *
 * @param backlog how many connections may wait to be accepted; the system has a
 * limit of its own (net.core.somaxconn)
 * @throws {LibcError}
 */
export function listenOn(socketName: SocketName, backlog: number): number {
  const { bind, listen } = libc();
  const six = socketName.address.family === 6;
  const family = six ? C.AF_INET6 : C.AF_INET;
  const fd = openSocket(family, C.SOCK_STREAM | C.SOCK_NONBLOCK);
  try {
    setOption(fd, C.SOL_SOCKET, C.SO_REUSEADDR, 1);
    if (six) setOption(fd, C.IPPROTO_IPV6, C.IPV6_V6ONLY, 0);
    const name = makeSocketName(socketName);
    check("bind", bind(fd, name, name.length));
    check("listen", listen(fd, backlog));
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

function setOption(
  fd: number,
  level: number,
  name: number,
  value: number,
): void {
  const bytes = Int32Array.of(value);
  check("setsockopt", libc().setsockopt(fd, level, name, bytes, 4));
}

/** How many bytes a connection takes that it cannot send yet. */
const UNSENT = 32768;

/**
 * Limits how many bytes each connection of this socket takes that it cannot send yet
 * (TCP_NOTSENT_LOWAT; tcp_notsent_lowat in the kernel's ip-sysctl). Otherwise a client
 * that sends commands and reads no reply occupies 4 MB of the kernel's memory
 * (net.ipv4.tcp_wmem), for minutes after its end too. Never throws: older kernels have
 * no such limit for MPTCP.
 */
export function limitUnsent(fd: number): void {
  try {
    setOption(fd, C.IPPROTO_TCP, C.TCP_NOTSENT_LOWAT, UNSENT);
  } catch {
    // Clients are served without it.
  }
}

/**
 * Changes how many connections may wait on a socket that listens already.
 *
 * @throws {LibcError} if listen(2) fails
 */
export function changeBacklog(fd: number, backlog: number): void {
  check("listen", libc().listen(fd, backlog));
}

/**
 * Ends a listening socket, for all processes that have a copy of the descriptor:
 * close(2) alone leaves it open while a child is between fork and exec. Connections
 * that nobody has accepted are reset.
 */
export function endListening(fd: number): void {
  shutdown(fd, C.SHUT_RDWR);
}

const peerName = new DataView(new ArrayBuffer(SOCKADDR_SIZE));
const peerLength = new Uint32Array(1);

/** A connection that was just accepted. */
export interface Accepted {
  readonly fd: number;
  readonly peer: SocketName;
}

/** Why no connection was accepted. */
export type NotAccepted = "none" | "gone" | "exhausted";

/**
 * Accepts a connection. Its descriptor blocks, as the program that gets it expects
 * from any super-server.
 *
 * @returns `none` if no connection is waiting, `gone` if the client has left
 * meanwhile, `exhausted` if descriptors or memory have run out
 */
export function accept(listener: number): Accepted | NotAccepted {
  peerLength[0] = SOCKADDR_SIZE;
  const fd = libc().accept4(listener, peerName, peerLength, C.SOCK_CLOEXEC);
  if (fd === -1) {
    switch (errno()) {
      case E.EAGAIN:
        return "none";
      case E.EMFILE:
      case E.ENFILE:
      case E.ENOBUFS:
      case E.ENOMEM:
        return "exhausted";
      default:
        // Network errors of the connection itself, and EINTR (accept(2)).
        return "gone";
    }
  }
  const peer = readSocketName(peerName);
  if (peer !== undefined) return { fd, peer };
  close(fd);
  return "gone";
}
