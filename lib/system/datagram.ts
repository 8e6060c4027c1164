/**
 * Datagrams to a Unix socket, such as messages to syslog.
 *
 * @module
 */

import { C } from "./constants.ts";
import { close } from "./descriptor.ts";
import { cString, errno, fromLibcAtStart, LibcError } from "./libc.ts";
import { openSocket } from "./socket.ts";
import { encode } from "./utf8.ts";

const libc = fromLibcAtStart({
  // ssize_t sendto(int sockfd, const void *buf, size_t len, int flags,
  //                const struct sockaddr *dest_addr, socklen_t addrlen);
  sendto: {
    parameters: ["i32", "buffer", "u64", "i32", "buffer", "u32"],
    result: "i64",
  },
});

/** The room for a path in struct sockaddr_un, in bytes. */
const PATH_SIZE = 108;

/**
 * Sends one datagram to a Unix socket, without ever waiting.
 *
 * @param path an absolute path, or `@` and a name of the abstract namespace
 * (unix(7))
 * @throws {LibcError}
 * @throws {Error} if the path is too long
 */
export function sendDatagram(
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
): void {
  // An abstract name begins with a null byte, and its length says where it ends.
  const name = path.startsWith("@")
    ? encode("\0" + path.slice(1))
    : cString(path);
  if (name.length > PATH_SIZE) {
    throw new Error(`${path}: expected ${PATH_SIZE} bytes at most`);
  }
  // struct sockaddr_un: the family, then the path.
  const address = new Uint8Array(2 + PATH_SIZE);
  new DataView(address.buffer).setUint16(0, C.AF_UNIX, true);
  address.set(name, 2);
  const fd = openSocket(C.AF_UNIX, C.SOCK_DGRAM);
  const flags = C.MSG_DONTWAIT | C.MSG_NOSIGNAL;
  const length = BigInt(bytes.length);
  const sent = libc.sendto(fd, bytes, length, flags, address, 2 + name.length);
  const failed = sent === -1n ? errno() : 0;
  close(fd);
  if (failed !== 0) throw new LibcError(`send to ${path}`, failed);
}
