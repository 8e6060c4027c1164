/**
 * A TCP socket of the C library, for what Deno's own cannot do: call from an
 * address of choice, hold a small receive buffer, reset the connection.
 *
 * @module
 */

import "./libc.ts";
import { parseAddress } from "../../lib/address.ts";
import { close, poll, POLLIN, POLLOUT } from "../../lib/system/descriptor.ts";
import { C, E } from "../../lib/system/constants.ts";
import { check, fromLibc, isErrno, LibcError } from "../../lib/system/libc.ts";
import { makeSocketName, openSocket } from "../../lib/system/socket.ts";

// Opened before any test begins: see libc.ts.
const libc = fromLibc({
  // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int setsockopt(int sockfd, int level, int optname, const void *optval,
  //                socklen_t optlen);
  setsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "u32"],
    result: "i32",
  },
  // int getsockopt(int sockfd, int level, int optname, void *optval,
  //                socklen_t *optlen);
  getsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "buffer"],
    result: "i32",
  },
  // ssize_t recv(int sockfd, void *buf, size_t len, int flags);
  recv: { parameters: ["i32", "buffer", "u64", "i32"], result: "i64" },
  // ssize_t send(int sockfd, const void *buf, size_t len, int flags);
  send: { parameters: ["i32", "buffer", "u64", "i32"], result: "i64" },
  // int shutdown(int sockfd, int how);
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
})();

/** One end of a connection; a connection of Deno's is one too. */
export type Connection = Pick<
  Deno.TcpConn,
  "read" | "write" | "close" | "closeWrite"
>;

/** Options that Deno's own sockets lack. */
export interface SocketOptions {
  /** The IPv4 address to call from. */
  readonly from?: string;
  /** How much the kernel may hold of what was not read yet, in bytes. */
  readonly receiveBuffer?: number;
}

/** The longest pause between two looks at a socket, in milliseconds. */
const PAUSE = 40;

/** A connection that can be reset. */
export class Socket implements Connection {
  #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Connects over IPv4.
   *
   * @throws {LibcError} if no process listens there
   */
  static async connect(
    port: number,
    hostname: string,
    { from, receiveBuffer }: SocketOptions,
  ): Promise<Socket> {
    const { bind, connect, setsockopt, getsockopt } = libc;
    const fd = openSocket(C.AF_INET, C.SOCK_STREAM | C.SOCK_NONBLOCK);
    const made = new Socket(fd);
    try {
      if (from !== undefined) check("bind", bind(fd, name(from, 0), 16));
      if (receiveBuffer !== undefined) {
        const value = numbers(receiveBuffer);
        check("rcvbuf", setsockopt(fd, C.SOL_SOCKET, C.SO_RCVBUF, value, 4));
      }
      const to = name(hostname, port);
      // The socket reports the outcome. errno is not read, because V8 may have made
      // another call in between.
      connect(fd, to, 16);
      await made.#ready(POLLOUT);
      const failed = new Uint8Array(4);
      const size = numbers(4);
      check("connect", getsockopt(fd, C.SOL_SOCKET, C.SO_ERROR, failed, size));
      const code = new DataView(failed.buffer).getInt32(0, true);
      if (code !== 0) throw new LibcError("connect", code);
      return made;
    } catch (error) {
      made.close();
      throw error;
    }
  }

  async #ready(events: number): Promise<void> {
    for (let pause = 1; !poll(this.#own(), events, 0);) {
      await new Promise((done) => setTimeout(done, pause));
      pause = Math.min(1.3 * pause, PAUSE);
    }
  }

  /** The descriptor. After `close` its number may be that of another file. */
  #own(): number {
    if (this.#fd === -1) throw new Deno.errors.Interrupted("closed");
    return this.#fd;
  }

  /** As {@linkcode Deno.TcpConn.read}. */
  async read(into: Uint8Array): Promise<number | null> {
    await this.#ready(POLLIN);
    const buffer = into as Uint8Array<ArrayBuffer>;
    const size = BigInt(buffer.length);
    const length = call(
      "recv",
      () => libc.recv(this.#own(), buffer, size, 0),
    );
    return length === 0 ? null : length;
  }

  /** As {@linkcode Deno.TcpConn.write}. */
  async write(from: Uint8Array): Promise<number> {
    await this.#ready(POLLOUT);
    const bytes = from as Uint8Array<ArrayBuffer>;
    const size = BigInt(bytes.length);
    return call(
      "send",
      () => libc.send(this.#own(), bytes, size, C.MSG_NOSIGNAL),
    );
  }

  /** Sends a byte as urgent data, which is not part of the stream (tcp(7)). */
  urgent(byte: number): void {
    const bytes = Uint8Array.of(byte);
    const flags = C.MSG_OOB | C.MSG_NOSIGNAL;
    call("send", () => libc.send(this.#own(), bytes, 1n, flags));
  }

  /** Closes the writing side. */
  // deno-lint-ignore require-await
  async closeWrite(): Promise<void> {
    check("shutdown", libc.shutdown(this.#own(), C.SHUT_WR));
  }

  /** Closes it; what is not sent yet still goes out. */
  close(): void {
    close(this.#own());
    this.#fd = -1;
  }

  /** Closes it with a reset: what is not sent yet is dropped. */
  reset(): void {
    // struct linger { int l_onoff; int l_linger; };
    const linger = numbers(1, 0);
    check(
      "linger",
      libc.setsockopt(this.#own(), C.SOL_SOCKET, C.SO_LINGER, linger, 8),
    );
    this.close();
  }
}

function call(what: string, make: () => bigint): number {
  try {
    return Number(check(what, make()));
  } catch (error) {
    if (!isErrno(error, E.ECONNRESET)) throw error;
    throw new Deno.errors.ConnectionReset(what);
  }
}

/** A struct sockaddr_in. */
function name(address: string, port: number): Uint8Array<ArrayBuffer> {
  return makeSocketName({ address: parseAddress(address)!, port });
}

function numbers(...values: number[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Int32Array.from(values).buffer);
}
