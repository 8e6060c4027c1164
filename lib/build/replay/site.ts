/**
 * `greylist serve` under a clock that is moved: between two attempts the entries
 * are made older by as much as the replay's time goes on. The verdict looks at
 * nothing else, and nothing in `serve` waits for days to pass.
 *
 * @module
 */

import { TemporaryError } from "../../commands/command.ts";
import { parseAddress } from "../../address.ts";
import { close, poll, POLLIN } from "../../system/descriptor.ts";
import { read, write } from "../../system/file.ts";
import { encode } from "../../system/utf8.ts";
import { Dialer } from "../bench/dial.ts";

/** How long a reply may take, in milliseconds. */
const PATIENCE = 10_000;

/** The banner of the program that stands for qmail-smtpd. */
export const LET_IN = "220 let in";

/** What a client says, command by command, and how the replies begin. */
const DIALOGUE = [
  ["EHLO client.example", "250"],
  ["MAIL FROM:<a@sender.example>", "250"],
  ["RCPT TO:<b@here.example>", "451"],
  ["QUIT", "221"],
];

/** A server that listens, and its base directory. */
export class Site {
  readonly #base: string;
  readonly #dialer: Dialer;
  /** When each entry was last written, in seconds since the replay began. */
  readonly #written = new Map<string, number>();

  constructor(base: string, port: number) {
    this.#base = base;
    this.#dialer = new Dialer(port);
  }

  /**
   * Makes one connection.
   *
   * @param time seconds since the replay began; never less than before
   * @returns whether the client was let in
   * @throws {TemporaryError} if the server gives an unexpected reply
   */
  tryOnce(address: string, time: number): boolean {
    const now = Date.now() / 1000;
    const before = new Map<string, number>();
    for (const name of this.#entriesOf(address)) {
      const path = `${this.#base}/${name}`;
      const mtime = now - (time - this.#written.get(name)!);
      Deno.utimeSync(path, mtime, mtime);
      before.set(name, Deno.statSync(path).mtime!.getTime());
    }
    const letIn = this.#converse(address);
    for (const { name } of Deno.readDirSync(this.#base)) {
      if (name.startsWith(".")) continue;
      const known = before.get(name);
      if (known === undefined && this.#written.has(name)) continue;
      const mtime = Deno.statSync(`${this.#base}/${name}`).mtime!.getTime();
      if (mtime !== known) this.#written.set(name, time);
    }
    return letIn;
  }

  /** The entries that the verdict on an address may look at. */
  #entriesOf(address: string): string[] {
    const network = address.replace(/\d+$/, "0_24");
    return [...this.#written.keys()].filter((name) =>
      name === network || name === address || name.startsWith("@")
    );
  }

  #converse(address: string): boolean {
    const fd = this.#dialer.dial(Number(parseAddress(address)!.value));
    try {
      const banner = reply(fd);
      if (banner.startsWith(LET_IN)) return true;
      for (const [command, expected] of DIALOGUE) {
        write(fd, encode(`${command}\r\n`));
        const said = reply(fd);
        if (!said.startsWith(expected)) {
          throw new TemporaryError(
            `${address}: ${command}: ${
              JSON.stringify(said)
            }: expected ${expected}`,
          );
        }
      }
      return false;
    } finally {
      close(fd);
    }
  }
}

/** One whole reply, of several lines perhaps. */
function reply(fd: number): string {
  const buffer = new Uint8Array(4096);
  let text = "";
  while (!/^\d{3} .*\r\n$/m.test(text)) {
    if (!poll(fd, POLLIN, PATIENCE)) throw new TemporaryError("no reply");
    const length = read(fd, buffer);
    if (length === 0) throw new TemporaryError(`hung up after ${text}`);
    text += new TextDecoder().decode(buffer.subarray(0, length));
  }
  return text;
}
