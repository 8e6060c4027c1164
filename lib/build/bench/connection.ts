/**
 * A client's connection, of which the other end is handed to a program.
 *
 * @module
 */

import { close } from "../../system/descriptor.ts";
import { C } from "../../system/constants.ts";
import { check, fromLibc } from "../../system/libc.ts";
import { receive, send, shutdownWriting } from "../../system/transfer.ts";

const libc = fromLibc({
  // int socketpair(int domain, int type, int protocol, int sv[2]);
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
});

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
    const type = C.SOCK_STREAM | C.SOCK_CLOEXEC;
    const bytes = new Uint8Array(pair.buffer);
    check("socketpair", libc().socketpair(C.AF_UNIX, type, 0, bytes));
    [this.#own, this.other] = pair;
  }

  /** Writes, if the other end is open. */
  send(text: string): void {
    send(this.#own, text);
  }

  /** Says that nothing more will be written. */
  endInput(): void {
    shutdownWriting(this.#own);
  }

  /** What has come in so far and was not read yet. */
  received(): string {
    let text = "";
    while (true) {
      const bytes = receive(this.#own);
      if (bytes === undefined || bytes === "gone") return text;
      text += new TextDecoder().decode(bytes);
    }
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
