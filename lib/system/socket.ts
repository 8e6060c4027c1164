/**
 * Sockets, and the addresses and ports of their two ends.
 *
 * @module
 */

import { type Address, formatAddress, fromIPv6 } from "../address.ts";
import { C, E } from "./constants.ts";
import { check, errno, fromLibc, fromLibcAtStart } from "./libc.ts";

const libc = fromLibcAtStart({
  // int socket(int domain, int type, int protocol);
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int shutdown(int sockfd, int how);
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  // int getpeername(int sockfd, struct sockaddr *addr, socklen_t *addrlen);
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen);
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
});

/**
 * Opens a socket, which is closed on exec.
 *
 * @param family C.AF_INET and so on
 * @param type C.SOCK_STREAM and so on, with C.SOCK_NONBLOCK
 * @throws {LibcError}
 */
export function openSocket(family: number, type: number): number {
  return check("socket", libc.socket(family, type | C.SOCK_CLOEXEC, 0));
}

/**
 * Ends a socket, or one side of it, for all processes that have it: shutdown(2).
 *
 * @param how C.SHUT_WR or C.SHUT_RDWR
 * @returns false if the descriptor is no connected or listening socket
 */
export function shutdown(fd: number, how: number): boolean {
  return libc.shutdown(fd, how) === 0;
}

/** One end of a TCP connection. */
export interface SocketName {
  readonly address: Address;
  readonly port: number;
}

const rare = fromLibc({
  // int getsockopt(int sockfd, int level, int optname, void *optval,
  //                socklen_t *optlen);
  getsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "buffer"],
    result: "i32",
  },
});

/**
 * The remote end of a connected socket.
 *
 * @returns `gone` if the client has reset the connection; undefined for a
 * descriptor that is no such socket
 */
export function peerOf(fd: number): SocketName | "gone" | undefined {
  const name = nameOf(libc.getpeername, fd);
  if (name !== undefined || errno() !== E.ENOTCONN) return name;
  return isListening(fd) ? undefined : "gone";
}

/**
 * Whether a descriptor is a listening socket. inetd hands one over if its line says
 * `wait`.
 */
export function isListening(fd: number): boolean {
  const value = new Int32Array(1);
  const length = new Uint8Array(Uint32Array.of(4).buffer);
  const bytes = new Uint8Array(value.buffer);
  const { getsockopt } = rare();
  const { SOL_SOCKET, SO_ACCEPTCONN } = C;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, bytes, length) === 0 &&
    value[0] !== 0;
}

/** The local end of a TCP socket, undefined for anything else. */
export function localOf(fd: number): SocketName | undefined {
  return nameOf(libc.getsockname, fd);
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

/** Reads a struct sockaddr_in or sockaddr_in6; undefined if it is neither. */
export function readSocketName(view: DataView): SocketName | undefined {
  // The family is in host order, the port and the address are in network order.
  const family = view.getUint16(0, true);
  const port = view.getUint16(2);
  if (family === C.AF_INET) {
    const value = BigInt(view.getUint32(4));
    return { address: { family: 4, value }, port };
  }
  if (family !== C.AF_INET6) return undefined;
  const high = view.getBigUint64(8);
  const low = view.getBigUint64(16);
  return { address: fromIPv6(high << 64n | low), port };
}

/** Makes a struct sockaddr_in (16 bytes) or sockaddr_in6 (28 bytes). */
export function makeSocketName(
  { address, port }: SocketName,
): Uint8Array<ArrayBuffer> {
  const six = address.family === 6;
  const view = new DataView(new ArrayBuffer(six ? 28 : 16));
  view.setUint16(0, six ? C.AF_INET6 : C.AF_INET, true);
  view.setUint16(2, port);
  if (six) {
    view.setBigUint64(8, address.value >> 64n);
    view.setBigUint64(16, address.value & 0xffff_ffff_ffff_ffffn);
  } else {
    view.setUint32(4, Number(address.value));
  }
  return new Uint8Array(view.buffer);
}

/** The text of an address and a port: `192.0.2.1:25`, `[2001:db8::1]:25`. */
export function formatSocketName({ address, port }: SocketName): string {
  const text = formatAddress(address);
  return address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
}
