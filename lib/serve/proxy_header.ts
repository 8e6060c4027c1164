/**
 * The header that a load balancer sends first, to name the client: the
 * PROXY protocol, versions 1 and 2 (HAProxy, doc/proxy-protocol.txt).
 *
 * @module
 */

import { fromIPv6, parseAddress } from "../address.ts";
import type { SocketName } from "../system/socket.ts";

/** What a header says. */
export interface ProxyHeader {
  /** The header's length in bytes; the client's own bytes follow it. */
  readonly length: number;
  /**
   * Both ends of the client's connection; none if the header says UNKNOWN or LOCAL,
   * as a balancer's own health check does, or another family or protocol than TCP
   * over IPv4 or IPv6. The addresses of the connection itself count then
   * (section 2.2).
   */
  readonly ends?: { readonly peer: SocketName; readonly local: SocketName };
}

/** What the beginning of a connection is, if not a whole header. */
export type NoHeader = "incomplete" | "invalid" | "too long";

/** The longest header that is taken, in bytes: version 1 has 107 at most. */
export const LONGEST_HEADER = 2048;

/** How the header of version 1 begins. */
const TEXT = "PROXY ";

/** How long a line of version 1 may be, with its end (section 2.1). */
const LONGEST_LINE = 107;

/** How the header of version 2 begins (section 2.2). */
const SIGNATURE = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10] as const;

/** The part of version 2 that says how long the rest is. */
const FIXED = 16;

/**
 * Reads the header at the beginning of a connection.
 *
 * @param bytes what has come in so far
 * @returns `incomplete` if the bytes may be the beginning of a header, `invalid` if
 * they are no header, `too long` for one beyond {@linkcode LONGEST_HEADER}
 */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader | NoHeader {
  const first = bytes[0];
  if (first === undefined) return "incomplete";
  return first === SIGNATURE[0] ? version2(bytes) : version1(bytes);
}

function version1(bytes: Uint8Array): ProxyHeader | "incomplete" | "invalid" {
  for (let i = 0; i < Math.min(bytes.length, TEXT.length); i++) {
    if (bytes[i] !== TEXT.charCodeAt(i)) return "invalid";
  }
  const end = bytes.subarray(0, LONGEST_LINE).indexOf(10);
  if (end < 0) return bytes.length < LONGEST_LINE ? "incomplete" : "invalid";
  if (bytes[end - 1] !== 13) return "invalid";
  const line = String.fromCharCode(...bytes.subarray(TEXT.length, end - 1));
  const length = end + 1;
  // What follows UNKNOWN is to be ignored.
  if (/^UNKNOWN( |$)/.test(line)) return { length };
  const words = line.split(" ");
  const [protocol, source, destination, sourcePort, destinationPort] = words;
  const family = protocol === "TCP4" ? 4 : protocol === "TCP6" ? 6 : undefined;
  const peer = endOf(source, sourcePort, family);
  const local = endOf(destination, destinationPort, family);
  if (words.length !== 5 || peer === undefined || local === undefined) {
    return "invalid";
  }
  return { length, ends: { peer, local } };
}

function endOf(
  text: string,
  port: string,
  family: 4 | 6 | undefined,
): SocketName | undefined {
  if (text === undefined || !/^(0|[1-9][0-9]{0,4})$/.test(port)) {
    return undefined;
  }
  if (Number(port) > 65535 || text.includes(":") !== (family === 6)) {
    return undefined;
  }
  const address = parseAddress(text);
  return family === undefined || address === undefined
    ? undefined
    : { address, port: Number(port) };
}

function version2(bytes: Uint8Array): ProxyHeader | NoHeader {
  for (let i = 0; i < Math.min(bytes.length, SIGNATURE.length); i++) {
    if (bytes[i] !== SIGNATURE[i]) return "invalid";
  }
  if (bytes.length < FIXED) return "incomplete";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const command = bytes[12];
  const family = bytes[13];
  const length = FIXED + view.getUint16(14);
  const isLocal = command === 0x20;
  if (!isLocal && (command !== 0x21 || isReserved(family))) return "invalid";
  if (length > LONGEST_HEADER) return "too long";
  if (bytes.length < length) return "incomplete";
  if (isLocal) return { length };
  // TCP over IPv4 and over IPv6; behind the addresses come TLVs.
  if (family === 0x11 && length >= FIXED + 12) {
    const end = (at: number, port: number): SocketName => ({
      address: { family: 4, value: BigInt(view.getUint32(at)) },
      port: view.getUint16(port),
    });
    return { length, ends: { peer: end(16, 24), local: end(20, 26) } };
  }
  if (family === 0x21 && length >= FIXED + 36) {
    const end = (at: number, port: number): SocketName => ({
      address: fromIPv6(
        view.getBigUint64(at) << 64n | view.getBigUint64(at + 8),
      ),
      port: view.getUint16(port),
    });
    return { length, ends: { peer: end(16, 48), local: end(32, 50) } };
  }
  return family === 0x11 || family === 0x21 ? "invalid" : { length };
}

/**
 * Whether a receiver has to reject this family, or this transport protocol
 * (section 2.2); the highest that are assigned are AF_UNIX and DGRAM.
 */
function isReserved(family: number): boolean {
  return family >> 4 > 3 || (family & 15) > 2;
}
