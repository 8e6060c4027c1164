/**
 * Datagrams to a Unix socket, such as messages to syslog.
 *
 * @module
 */

import { C } from "./constants.ts";
import { close } from "./descriptor.ts";
import { cString, errno, fromLibcAtStart, LibcError } from "./libc.ts";
import { openSocket } from "./socket.ts";

const libc = fromLibcAtStart({
  // ssize_t sendto(int sockfd, const void *buf, size_t len, int flags,
  //                const struct sockaddr *dest_addr, socklen_t addrlen);
  sendto: {
    parameters: ["i32", "buffer", "u64", "i32", "buffer", "u32"],
    result: "i64",
  },
});

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
