/**
 * Who is at the ends of a socket, and what is sent over one.
 *
 * @module
 */

import type { Address } from "../address.ts";
import { close } from "./descriptor.ts";
import {
  check,
  cString,
  errno,
  fromLibc,
  LibcError,
  seldomFromLibc,
} from "./libc.ts";

// Linux, the same on x86_64 and aarch64 except where it says otherwise.
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SHUT_WR = 1;
const SOCK_CLOEXEC = 0o2000000;

const libc = fromLibc({
  // int shutdown(int sockfd, int how);
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
});

const seldom = seldomFromLibc({
  // int getpeername(int sockfd, struct sockaddr *addr, socklen_t *addrlen);
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen);
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int socket(int domain, int type, int protocol);
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // ssize_t sendto(int sockfd, const void *buf, size_t len, int flags,
  //                const struct sockaddr *dest_addr, socklen_t addrlen);
  sendto: {
    parameters: ["i32", "buffer", "u64", "i32", "buffer", "u32"],
    result: "i64",
  },
});

/** One end of a TCP connection. */
export interface SocketName {
  readonly address: Address;
  readonly port: number;
}

/** The address and port of a socket's other end, undefined where it has none. */
export function peerOf(fd: number): SocketName | undefined {
  return nameOf(seldom.getpeername, fd);
}

/** The address and port of a socket's own end, undefined where it has none. */
export function localOf(fd: number): SocketName | undefined {
  return nameOf(seldom.getsockname, fd);
}

type NameCall = (
  fd: number,
  address: Uint8Array<ArrayBuffer>,
  length: Uint8Array<ArrayBuffer>,
) => number;

/** The size of struct sockaddr_storage. */
export const SOCKADDR_SIZE = 128;

function nameOf(call: NameCall, fd: number): SocketName | undefined {
  const bytes = new Uint8Array(SOCKADDR_SIZE);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length, true);
  if (call(fd, bytes, length) === -1) return undefined;
  return readSocketName(new DataView(bytes.buffer));
}

/** Reads a struct sockaddr_in or sockaddr_in6; undefined where it is neither. */
export function readSocketName(view: DataView): SocketName | undefined {
  // The port and the address are in network order behind a family in host order.
  const family = view.getUint16(0, true);
  const port = view.getUint16(2);
  if (family === AF_INET) {
    const value = BigInt(view.getUint32(4));
    return { address: { family: 4, value }, port };
  }
  if (family !== AF_INET6) return undefined;
  const high = view.getBigUint64(8);
  const low = view.getBigUint64(16);
  // ::ffff:0:0/96 is IPv4.
  const mapped = high === 0n && low >> 32n === 0xffffn;
  const address: Address = mapped
    ? { family: 4, value: low & 0xffffffffn }
    : { family: 6, value: high << 64n | low };
  return { address, port };
}

/**
 * Says that nothing more will be written to a socket.
 *
 * @returns false where the descriptor is no connected socket
 */
export function shutdownWriting(fd: number): boolean {
  return libc.shutdown(fd, SHUT_WR) === 0;
}

/**
 * Sends one datagram to a Unix socket, without ever waiting.
 *
 * @throws {LibcError}
 */
export function sendDatagram(
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
): void {
  // struct sockaddr_un: the family, then up to 108 bytes of path.
  const name = cString(path);
  const address = new Uint8Array(110);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  const { socket, sendto } = seldom;
  const fd = check("socket", socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  const length = BigInt(bytes.length);
  const sent = sendto(fd, bytes, length, flags, address, 2 + name.length);
  const failed = sent === -1n ? errno() : 0;
  close(fd);
  if (failed !== 0) throw new LibcError(`send to ${path}`, failed);
}
