/**
 * The demo's mail client: a connection that is spoken to line by line.
 *
 * @module
 */

/** How long a reply is waited for, in milliseconds. */
const PATIENCE = 10_000;

/** One connection. */
export class Client {
  readonly #conn: Deno.TcpConn;
  #pending = "";

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /** Connects. */
  static async connect(
    port: number,
    hostname = "127.0.0.1",
  ): Promise<Client> {
    return new Client(await Deno.connect({ hostname, port }));
  }

  /**
   * Sends a command, or the lines of a message, and reads the reply.
   *
   * @returns the reply's one line; undefined if none comes
   */
  async say(text: string): Promise<string | undefined> {
    const bytes = new TextEncoder().encode(
      text.replaceAll("\n", "\r\n") + "\r\n",
    );
    try {
      let sent = 0;
      while (sent < bytes.length) {
        sent += await this.#conn.write(bytes.subarray(sent));
      }
    } catch {
      return undefined;
    }
    return await this.reply();
  }

  /** Reads one line, that of the banner for example. */
  async reply(): Promise<string | undefined> {
    const chunk = new Uint8Array(4096);
    const timer = setTimeout(() => this.#conn.close(), PATIENCE);
    try {
      while (!this.#pending.includes("\r\n")) {
        const length = await this.#conn.read(chunk);
        if (length === null) return undefined;
        this.#pending += new TextDecoder().decode(chunk.subarray(0, length));
      }
    } catch {
      // Reset, or closed because the time was up.
      return undefined;
    } finally {
      clearTimeout(timer);
    }
    const end = this.#pending.indexOf("\r\n");
    const line = this.#pending.slice(0, end);
    this.#pending = this.#pending.slice(end + 2);
    return line;
  }

  /** Hangs up. */
  close(): void {
    try {
      this.#conn.close();
    } catch {
      // Closed already.
    }
  }
}
