/**
 * The SMTP conversation with a client that is being deferred: bytes in, replies
 * out, which are ASCII. It knows no clock and no socket, so the wrapper and a
 * listener share it.
 *
 * Nothing is ever accepted here, and nothing is ever refused for good: RCPT and
 * DATA get the deferral, and the banner, HELO, EHLO and MAIL are answered 2xx
 * whatever their order, syntax or parameters, because every sender bounces on a
 * 5xx there. DATA never gets 354, so no message is ever read. A session that begins
 * with a PROXY header ends with a 421.
 *
 * @module
 */

import {
  endOfWord,
  type Octets,
  octetsOf,
  parsePath,
  skipBlanks,
  trimBlanks,
  word,
} from "./command_line.ts";
import { LineBuffer, MAX_LINE } from "./line_buffer.ts";
import { MAX_REPLY, printable } from "./reply_text.ts";

/** The bad command of this number ends the session. */
const MAX_BAD = 20;

/** The longest domain in octets (RFC 5321, 4.5.3.1.2). */
const MAX_DOMAIN = 255;

const LF = 10;

/**
 * The reply to EHLO behind the name. A sender bounces mail that needs an extension
 * which is missing here, or that is larger than a number after SIZE. CHUNKING would
 * make senders send BDAT.
 */
const EXTENSIONS = "\r\n250-PIPELINING\r\n250-SIZE\r\n" +
  "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 SMTPUTF8";

/** How a {@linkcode Dialogue} presents itself. */
export interface DialogueOptions {
  /** The name in the banner and in the HELO, EHLO, QUIT and 421 replies. */
  hostname: string;
  /**
   * The whole reply to RCPT and DATA without its line end, such as
   * `451 4.7.1 Greylisted`. A text that is not the program's own goes through
   * {@linkcode cutText} first.
   */
  deferral: string;
}

/**
 * What the client said about itself and its mail, as it sent it: paths without
 * `<>` and without parameters, the null sender as an empty path, and undefined
 * if nothing was given. It is that of the first transaction with a RCPT; until
 * there is a RCPT, that of the latest MAIL.
 */
export interface Envelope {
  /** The argument of HELO or EHLO. */
  helo?: Octets;
  /** The sender's path. */
  from?: Octets;
  /** The first recipient's path. */
  to?: Octets;
  /** How many RCPT commands the transaction had. */
  recipients: number;
}

/**
 * One session with a deferred client.
 *
 * It keeps at most {@linkcode MAX_LINE} bytes of an unfinished line. Its output
 * is bounded by its input (the shortest command that gets a 512-octet reply has
 * five bytes), so read a few KB at a time and write before reading on.
 */
export class Dialogue {
  readonly #hostname: string;
  readonly #deferral: string;
  readonly #envelope: Envelope = { recipients: 0 };
  readonly #unfinished = new LineBuffer();
  #bad = 0;
  #done = false;
  #quit = false;
  /** No line has come yet. */
  #isNew = true;
  #hasProxyHeader = false;
  /** A MAIL was given and the transaction is not over. */
  #mail = false;
  /** The transaction that the envelope describes is over. */
  #settled = false;

  constructor(options: DialogueOptions) {
    this.#hostname = printable(options.hostname, MAX_DOMAIN);
    this.#deferral = printable(options.deferral, MAX_REPLY - 2);
  }

  /** True after QUIT and after any 421: flush, close, and feed no more. */
  get done(): boolean {
    return this.#done;
  }

  /** True if QUIT was the last line from the client, with no byte behind it. */
  get quit(): boolean {
    return this.#quit;
  }

  /**
   * True if the session began with a PROXY header, or with an empty line, as version
   * 2 of that header does.
   */
  get hasProxyHeader(): boolean {
    return this.#hasProxyHeader;
  }

  /** What to log about the client; see {@linkcode Envelope}. */
  get envelope(): Envelope {
    return this.#envelope;
  }

  /** The banner. "ESMTP" in it makes senders say EHLO. */
  greeting(): string {
    return `220 ${this.#hostname} ESMTP\r\n`;
  }

  /** The last reply to a client that was silent or slow for too long. */
  timeout(): string {
    return this.#end("421 4.4.2", "timed out, closing connection");
  }

  /** The last reply when the program itself has to stop. */
  shutdown(): string {
    return this.#end("421 4.3.2", "shutting down, closing connection");
  }

  /**
   * Takes what the client sent and returns the replies to every line that it
   * completes, in order; an empty text if it completes none. The chunk is not
   * retained. What follows the end of the session is ignored.
   */
  receive(chunk: Uint8Array): string {
    let replies = "";
    for (let start = 0; start < chunk.length && !this.#done;) {
      const end = chunk.indexOf(LF, start) + 1;
      if (end === 0) {
        this.#unfinished.keep(chunk.subarray(start));
        break;
      }
      const line = this.#unfinished.complete(chunk, start, end);
      replies += this.#answer(line) + "\r\n";
      start = end;
      if (start < chunk.length) this.#quit = false;
    }
    return replies;
  }

  #end(code: string, text: string): string {
    return this.#done ? "" : this.#close(code, text) + "\r\n";
  }

  #close(code: string, text: string): string {
    this.#done = true;
    return `${code} ${this.#hostname} ${text}`;
  }

  /**
   * The reply to one command, without its line end. Of a line that is too long the
   * beginning is enough to see the command.
   *
   * Enhanced status codes stand in every reply but those to HELO and EHLO and
   * the banner (RFC 2034, 4).
   */
  #answer(line: Uint8Array): string {
    const start = skipBlanks(line, 0);
    const end = endOfWord(line, start);
    const verb = word(line, start, end);
    if (this.#isNew) {
      this.#isNew = false;
      // The sender behind the load balancer has not sent these lines. It would take
      // the replies for those to its EHLO and HELO, and bounce the mail at a 500.
      if (line.length === 0 || verb === "PROXY") {
        this.#hasProxyHeader = true;
        return this.#close(
          "421 4.3.0",
          "no PROXY header expected, closing connection",
        );
      }
    }
    switch (verb) {
      case "EHLO":
        this.#hello(line, end);
        return `250-${this.#hostname}${EXTENSIONS}`;
      case "HELO":
        this.#hello(line, end);
        return `250 ${this.#hostname}`;
      case "MAIL":
        this.#endTransaction();
        this.#mail = true;
        if (!this.#settled) {
          this.#envelope.from = parsePath(line, end, "FROM");
        }
        return "250 2.1.0 Sender ok";
    }
    if (line.length === MAX_LINE) {
      // A 5xx here would bounce the mail. The path is incomplete, so the
      // envelope does not get it.
      const deferred = verb === "RCPT" || verb === "DATA";
      return this.#badCommand(
        deferred ? this.#deferral : "500 5.5.2 Line too long",
      );
    }
    switch (verb) {
      case "RCPT":
        this.#recipient(line, end);
        return this.#deferral;
      case "DATA":
        return this.#deferral;
      case "RSET":
        this.#endTransaction();
        return "250 2.0.0 Reset";
      case "NOOP":
        return "250 2.0.0 Ok";
      case "VRFY":
      case "EXPN":
        return "252 2.0.0 Cannot say, try RCPT";
      case "HELP":
        return "214 2.0.0 See RFC 5321";
      case "AUTH":
        return "454 4.7.0 Authentication not available now";
      case "STARTTLS":
        return "454 4.7.0 TLS not available now";
      case "QUIT":
        this.#quit = true;
        return this.#close("221 2.0.0", "closing connection");
      case "BDAT":
        // The payload of BDAT follows at once and must not be read as commands.
        // The session ends, because reading past gigabytes of payload would cost
        // more. No real sender gets here: CHUNKING was not offered.
        return this.#close("421 4.5.1", "no BDAT here, closing connection");
      case "ATRN":
      case "ETRN":
      case "SAML":
      case "SEND":
      case "SOML":
      case "TURN":
        return this.#badCommand("502 5.5.1 Command not implemented");
      default:
        return this.#badCommand("500 5.5.2 Command not recognized");
    }
  }

  /**
   * Counts a bad command, and ends the session at {@linkcode MAX_BAD}: a client may
   * send a message in spite of the 451, and each of its lines is a bad command.
   */
  #badCommand(reply: string): string {
    this.#bad++;
    return this.#bad < MAX_BAD
      ? reply
      : this.#close("421 4.7.0", "too many bad commands, closing connection");
  }

  /** @param end of the verb */
  #hello(line: Uint8Array, end: number): void {
    this.#endTransaction();
    if (this.#settled) return;
    this.#envelope.helo = octetsOf(trimBlanks(line, end)) || undefined;
  }

  /** @param end of the verb */
  #recipient(line: Uint8Array, end: number): void {
    if (this.#settled) return;
    const envelope = this.#envelope;
    if (envelope.recipients === 0) {
      // After RSET the sender of the previous transaction does not count.
      if (!this.#mail) envelope.from = undefined;
      envelope.to = parsePath(line, end, "TO");
    }
    envelope.recipients++;
  }

  /** HELO, EHLO, MAIL and RSET all end a transaction (RFC 5321, 4.1.4). */
  #endTransaction(): void {
    this.#mail = false;
    if (this.#envelope.recipients > 0) this.#settled = true;
  }
}
