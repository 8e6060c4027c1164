/**
 * A client that sends what a test tells it to send.
 *
 * @module
 */

import { DEADLINE } from "./process.ts";
import { type Connection, Socket, type SocketOptions } from "./socket.ts";

const encoder = new TextEncoder();

/** Each character as the byte of that number. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** One connection. Every wait is bounded. */
export class Client implements Disposable {
  readonly #conn: Connection;
  readonly #patience: number;
  #pending = "";
  #wasReset = false;

  private constructor(conn: Connection, patience = DEADLINE) {
    this.#conn = conn;
    this.#patience = patience;
  }

  /** @param hostname of the server */
  static async connect(port: number, hostname = "127.0.0.1"): Promise<Client> {
    return new Client(await Deno.connect({ hostname, port }));
  }

  /**
   * Connects a client with the abilities of {@linkcode Socket}.
   *
   * @param options `patience`: how long it waits for the server, in seconds
   */
  static async connectFrom(
    port: number,
    options: SocketOptions & {
      readonly hostname?: string;
      readonly patience?: number;
    } = {},
  ): Promise<Client> {
    const { hostname = "127.0.0.1", patience } = options;
    const conn = await Socket.connect(port, hostname, options);
    return new Client(conn, patience);
  }

  /** Whether the server ended the connection with a reset. */
  get wasReset(): boolean {
    return this.#wasReset;
  }

  /** Ends the connection with a reset. */
  reset(): void {
    this.#socket().reset();
  }

  /** Sends a byte as urgent data. */
  urgent(byte: number): void {
    this.#socket().urgent(byte);
  }

  #socket(): Socket {
    if (this.#conn instanceof Socket) return this.#conn;
    throw new Error("only a client of connectFrom can");
  }

  /** Sends text or bytes as they are. */
  async send(data: string | Uint8Array): Promise<void> {
    let bytes = typeof data === "string" ? encoder.encode(data) : data;
    while (bytes.length > 0) {
      bytes = bytes.subarray(await this.#conn.write(bytes));
    }
  }

  /** Closes the client's half of the connection. */
  async half(): Promise<void> {
    await this.#conn.closeWrite();
  }

  /**
   * Reads one reply, all of its lines.
   *
   * @returns its lines joined by "\n", undefined if the server has hung up
   * @throws {Error} if a line is not that of a reply
   */
  async reply(): Promise<string | undefined> {
    const lines: string[] = [];
    while (true) {
      const line = await this.#line();
      if (line === undefined) return undefined;
      lines.push(line);
      if (!/^\d{3}([ -]|$)/.test(line)) {
        throw new Error(`not SMTP: ${show(lines.join("\n"))}`);
      }
      if (line[3] !== "-") return lines.join("\n");
    }
  }

  async #line(): Promise<string | undefined> {
    let end: number;
    while ((end = this.#pending.indexOf("\r\n")) === -1) {
      if (this.#pending.includes("\n")) {
        throw new Error(`not SMTP: ${show(this.#pending)}`);
      }
      if (!await this.#more()) return undefined;
    }
    const line = this.#pending.slice(0, end);
    this.#pending = this.#pending.slice(end + 2);
    return line;
  }

  /** Reads until the server hangs up. */
  async rest(): Promise<string> {
    while (await this.#more());
    const text = this.#pending;
    this.#pending = "";
    return text;
  }

  /** Reads one byte, undefined if the server has hung up. */
  async byte(): Promise<string | undefined> {
    if (this.#pending === "" && !await this.#more(1)) return undefined;
    const first = this.#pending[0];
    this.#pending = this.#pending.slice(1);
    return first;
  }

  /** Reads until what came contains a text, and gives all of it. */
  async until(text: string): Promise<string> {
    while (!this.#pending.includes(text)) {
      if (!await this.#more()) {
        throw new Error(`hung up after ${JSON.stringify(this.#pending)}`);
      }
    }
    const seen = this.#pending;
    this.#pending = "";
    return seen;
  }

  async #more(size = 65536): Promise<boolean> {
    const chunk = new Uint8Array(size);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#conn.close();
    }, this.#patience * 1000);
    try {
      const length = await this.#conn.read(chunk);
      if (length === null) return false;
      // Bytes as characters, so that nothing is lost.
      for (const byte of chunk.subarray(0, length)) {
        this.#pending += String.fromCharCode(byte);
      }
      return true;
    } catch (error) {
      if (late) throw new Error("the server neither answers nor hangs up");
      if (error instanceof Deno.errors.ConnectionReset) {
        this.#wasReset = true;
        return false;
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  [Symbol.dispose](): void {
    try {
      this.#conn.close();
    } catch {
      // Closed already.
    }
  }
}

/** The commands of one attempt to send a message. */
export const ATTEMPT = [
  "EHLO client.example",
  "MAIL FROM:<a@client.example>",
  "RCPT TO:<b@mx.example>",
  "QUIT",
] as const;

/**
 * Sends one line after the other, each after the reply to the one before.
 *
 * @returns the banner and the replies, as far as there were any
 */
export async function talk(
  port: number,
  lines: readonly string[] = ATTEMPT,
  hostname?: string,
): Promise<string[]> {
  using client = await Client.connect(port, hostname);
  const transcript: string[] = [];
  for (const line of [undefined, ...lines]) {
    if (line !== undefined) {
      try {
        await client.send(`${line}\r\n`);
      } catch {
        break; // The server has hung up.
      }
    }
    const reply = await client.reply();
    if (reply === undefined) break;
    transcript.push(reply);
  }
  return transcript;
}

/** What sending to a server that has hung up may throw. */
const GONE = [
  Deno.errors.BrokenPipe,
  Deno.errors.ConnectionReset,
  Deno.errors.NotConnected,
];

/**
 * Sends everything at once, half-closes the connection, and reads to the end. The
 * server may hang up before it has read everything.
 */
export async function burst(
  port: number,
  data: string | Uint8Array,
  hostname?: string,
): Promise<string> {
  using client = await Client.connect(port, hostname);
  try {
    await client.send(data);
    await client.half();
  } catch (error) {
    if (!GONE.some((kind) => error instanceof kind)) throw error;
  }
  return await client.rest();
}

/**
 * The same from another address of the loopback.
 *
 * @param from that address; undefined is 127.0.0.1
 */
export async function burstFrom(
  from: string | undefined,
  port: number,
  data: string | Uint8Array,
): Promise<string> {
  using client = await Client.connectFrom(port, { from });
  await client.send(data);
  await client.half();
  return await client.rest();
}

/** Throws if bytes that a client got are anything but SMTP replies. */
export function assertOnlySmtp(received: string): void {
  const lines = received.split("\r\n");
  if (lines.pop() !== "") throw new Error(`no line end: ${show(received)}`);
  for (const line of lines) {
    if (!/^[2-5]\d\d[ -][ -~]*$/.test(line)) {
      throw new Error(`not SMTP: ${show(line)} in ${show(received)}`);
    }
  }
}

function show(text: string): string {
  return JSON.stringify(text.slice(0, 2000));
}
