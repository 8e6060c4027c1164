/**
 * Connections to a server on this machine, many at once: without waiting, and
 * from whatever address of the loopback network.
 *
 * @module
 */

import { parseAddress } from "../../address.ts";
import { check, errno, fromLibc, LibcError } from "../../system/libc.ts";
import { makeSocketName, openSocket } from "../../system/socket.ts";
import { C, E } from "../../system/constants.ts";

/** The offset of `tcpi_total_retrans` in struct tcp_info: uapi/linux/tcp.h. */
const TOTAL_RETRANS = 100;

/** Where connections go, and where they come from. */
export interface Site {
  /** The address of the server. */
  readonly to: string;
  /** The address of a client in the network before the first one. */
  readonly from: string;
  /** How many networks (/24) there are. */
  readonly count: number;
}

const LOOPBACK: Site = { to: "127.0.0.1", from: "127.0.0.1", count: 0xffff };

const libc = fromLibc({
  // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int getsockopt(int sockfd, int level, int optname, void *optval,
  //                socklen_t *optlen);
  getsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "buffer"],
    result: "i32",
  },
});

function numberOf(address: string): number {
  const parsed = parseAddress(address);
  if (parsed?.family === 4) return Number(parsed.value);
  throw new Error(`${address}: expected an IPv4 address`);
}

function socketName(address: number, port: number) {
  return makeSocketName({
    address: { family: 4, value: BigInt(address) },
    port,
  });
}

/** Begins connections to one port, of this machine if nothing else is said. */
export class Dialer {
  readonly #name: Uint8Array<ArrayBuffer>;
  readonly #from: number;
  readonly #count: number;
  #network: number;

  /**
   * @param network where the networks of {@linkcode dial} begin: another number
   * below their count gives others
   */
  constructor(port: number, network = 0, site: Site = LOOPBACK) {
    this.#name = socketName(numberOf(site.to), port);
    this.#from = numberOf(site.from);
    this.#count = site.count;
    this.#network = network;
  }

  /**
   * Begins to connect.
   *
   * @param from the client's address as a number, or `new` for a network (/24)
   * of its own, until there are no more, and then from the first one again
   * @returns the descriptor
   * @throws {LibcError}
   */
  dial(from?: "new" | number): number {
    const { bind, connect } = libc();
    const fd = openSocket(C.AF_INET, C.SOCK_STREAM | C.SOCK_NONBLOCK);
    if (from === "new") {
      this.#network = this.#network % this.#count + 1;
      from = this.#from + this.#network * 0x100;
    }
    if (from !== undefined) {
      const own = socketName(from, 0);
      check("bind", bind(fd, own, own.length));
    }
    const result = connect(fd, this.#name, this.#name.length);
    if (result === -1) {
      // connect(2) on TCP gives no ENOENT. Once in a process's life V8 tries to
      // open a missing file of its own, which overwrites errno. The errno before
      // was most likely EINPROGRESS.
      const code = errno();
      if (code !== E.EINPROGRESS && code !== E.ENOENT) {
        throw new LibcError("connect", code);
      }
    }
    return fd;
  }
}

/**
 * How often the kernel had to send something again on a connection, its first
 * packet included.
 *
 * @throws {LibcError}
 */
export function resentOn(fd: number): number {
  const info = new Uint8Array(256);
  const length = new Uint8Array(Uint32Array.of(info.length).buffer);
  const result = libc().getsockopt(fd, C.IPPROTO_TCP, C.TCP_INFO, info, length);
  check("getsockopt", result);
  return new DataView(info.buffer).getUint32(TOTAL_RETRANS, true);
}
