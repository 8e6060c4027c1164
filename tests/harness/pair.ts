/**
 * Connections over the loopback, of which one end is a bare descriptor as
 * `serve` has it.
 *
 * @module
 */

import { parseAddress } from "../../lib/address.ts";
import { close, flagsOf } from "../../lib/system/descriptor.ts";
import { accept, type Accepted, listenOn } from "../../lib/system/listener.ts";
import { localOf } from "../../lib/system/socket.ts";
import "./libc.ts";
import { waitFor } from "./process.ts";

/** A listening socket on a port that was free. */
export interface Listening extends Disposable {
  readonly fd: number;
  readonly port: number;
}

/** Listens on an address, `::` for example. */
export function listening(address = "127.0.0.1", backlog = 16): Listening {
  const fd = listenOn({ address: parseAddress(address)!, port: 0 }, backlog);
  return {
    fd,
    port: localOf(fd)!.port,
    [Symbol.dispose]: () => close(fd),
  };
}

/** Waits for a connection and accepts it. */
export function accepted({ fd }: Listening): Promise<Accepted> {
  return waitFor("a connection", () => {
    const got = accept(fd);
    if (typeof got === "object") return got;
    if (got !== "none") throw new Error(got);
  });
}

/** Both ends of one connection; the test has to close {@linkcode fd}. */
export interface Pair extends Disposable {
  readonly fd: number;
  readonly client: Deno.TcpConn;
  /** Reads until the other side closes the connection or its half of it. */
  rest(): Promise<string>;
  /** Reads that many bytes, each as one character. */
  read(length: number): Promise<string>;
}

/** Makes a connection. */
export async function pair(): Promise<Pair> {
  using listener = listening();
  const { port } = listener;
  const client = await Deno.connect({ hostname: "127.0.0.1", port });
  const { fd } = await accepted(listener);
  const read = async (length: number) => {
    let text = "";
    while (text.length < length) {
      const chunk = new Uint8Array(Math.min(65536, length - text.length));
      const count = await client.read(chunk);
      if (count === null) break;
      text += String.fromCharCode(...chunk.subarray(0, count));
    }
    return text;
  };
  return {
    fd,
    client,
    read,
    rest: () => read(Infinity),
    [Symbol.dispose]: () => {
      try {
        client.close();
      } catch {
        // The test has done it.
      }
    },
  };
}

/** Whether a descriptor of this process is open. */
export function isOpen(fd: number): boolean {
  return flagsOf(fd) !== -1;
}

/**
 * Makes a client's socket reset the connection when it is closed, by leaving
 * received data unread. The other side must have sent something.
 */
export async function reset({ client }: Pair): Promise<void> {
  const bytes = new Uint8Array(1);
  await client.read(bytes);
  client.close();
}
