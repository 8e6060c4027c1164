/**
 * A client's connection, of which the other end is handed to a program.
 *
 * @module
 */

import { close, poll, POLLIN } from "../../system/descriptor.ts";
import { lazily } from "../../system/lazily.ts";
import { check, cString, LIBC } from "../../system/libc.ts";

// Linux, the same on x86_64 and aarch64.
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const SHUT_WR = 1;

const libc = lazily(() =>
  Deno.dlopen(LIBC, {
    // int socketpair(int domain, int type, int protocol, int sv[2]);
    socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
    // ssize_t send(int sockfd, const void *buf, size_t len, int flags);
    send: { parameters: ["i32", "buffer", "u64", "i32"], result: "i64" },
    // ssize_t read(int fd, void *buf, size_t count);
    read: { parameters: ["i32", "buffer", "u64"], result: "i64" },
    // int shutdown(int sockfd, int how);
    shutdown: { parameters: ["i32", "i32"], result: "i32" },
  }).symbols
);

/** One end of a connection; the other is handed to a program. */
export class Connection implements Disposable {
  readonly #own: number;
  /** What the program gets. */
  readonly other: number;
  #open = true;
  #otherOpen = true;

  /** @throws {LibcError} */
  constructor() {
    const pair = new Int32Array(2);
    const type = SOCK_STREAM | SOCK_CLOEXEC;
    const bytes = new Uint8Array(pair.buffer);
    check("socketpair", libc().socketpair(AF_UNIX, type, 0, bytes));
    [this.#own, this.other] = pair;
  }

  /** Writes, if there is somebody to read it. */
  send(text: string): void {
    const bytes = cString(text);
    const length = BigInt(bytes.length - 1);
    libc().send(this.#own, bytes, length, MSG_NOSIGNAL);
  }

  /** Says that nothing more will be written. */
  endInput(): void {
    libc().shutdown(this.#own, SHUT_WR);
  }

  /** What has come in so far and was not read yet. */
  received(): string {
    let text = "";
    const chunk = new Uint8Array(65536);
    while (poll(this.#own, POLLIN, 0)) {
      const { read } = libc();
      const length = Number(read(this.#own, chunk, BigInt(chunk.length)));
      if (length <= 0) break;
      text += new TextDecoder().decode(chunk.subarray(0, length));
    }
    return text;
  }

  /** Forgets the program's end, which the program has now. */
  handedOver(): void {
    if (this.#otherOpen) close(this.other);
    this.#otherOpen = false;
  }

  [Symbol.dispose](): void {
    this.handedOver();
    if (this.#open) close(this.#own);
    this.#open = false;
  }
}
