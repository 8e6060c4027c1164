/**
 * Bytes over a TCP connection, without waiting.
 *
 * @module
 */

import { C, E } from "./constants.ts";
import { errno, fromLibc } from "./libc.ts";
import { shutdown } from "./socket.ts";
import { writeAscii } from "./utf8.ts";

const libc = fromLibc({
  // ssize_t recv(int sockfd, void *buf, size_t len, int flags);
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  // ssize_t send(int sockfd, const void *buf, size_t len, int flags);
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
});

const received = new Uint8Array(4096);

/**
 * Reads what a client has sent, without waiting.
 *
 * @param most how many bytes at most, up to 4096
 * @returns the bytes, which the next call overwrites; undefined if there are none
 * now; `gone` if the client has closed or reset the connection
 */
export function receive(
  fd: number,
  most: number = received.length,
): Uint8Array | undefined | "gone" {
  return take(fd, most, C.MSG_DONTWAIT);
}

/** {@linkcode receive}, but the next call reads the same bytes again. */
export function peek(fd: number): Uint8Array | undefined | "gone" {
  return take(fd, received.length, C.MSG_DONTWAIT | C.MSG_PEEK);
}

function take(
  fd: number,
  most: number,
  flags: number,
): Uint8Array | undefined | "gone" {
  const size = BigInt(most);
  const length = Number(libc().recv(fd, received, size, flags));
  if (length > 0) return received.subarray(0, length);
  if (length === 0) return "gone";
  return isWorthARetry() ? undefined : "gone";
}

/** More than all replies to the 512 bytes that `serve` reads at once. */
const MOST_SENT = 65_536;

let sending: Uint8Array<ArrayBuffer> | undefined;

/**
 * Sends as much of a text as a client's connection takes now, and 65,536 bytes at
 * most. All calls share one buffer; see {@linkcode writeAscii}.
 *
 * @param text ASCII
 * @returns the number of bytes, or `gone`
 */
export function send(fd: number, text: string): number | "gone" {
  const flags = C.MSG_DONTWAIT | C.MSG_NOSIGNAL;
  const piece = text.slice(0, MOST_SENT);
  // Not at the start: the wrapper sends nothing this way.
  sending ??= new Uint8Array(MOST_SENT);
  writeAscii(piece, sending);
  const size = BigInt(piece.length);
  const sent = Number(libc().send(fd, sending, size, flags));
  if (sent >= 0) return sent;
  return isWorthARetry() ? 0 : "gone";
}

function isWorthARetry(): boolean {
  const code = errno();
  // No socket call gives ENOENT. Once in a process's life V8 tries to open a file
  // of its own that is missing, which overwrites errno. The next call gives the
  // connection's real error.
  return code === E.EAGAIN || code === E.EINTR || code === E.ENOENT;
}

/**
 * Ends this side of a connection: the peer reads the end of the stream.
 *
 * @returns false if the descriptor is no connected socket
 */
export function shutdownWriting(fd: number): boolean {
  return shutdown(fd, C.SHUT_WR);
}
