/**
 * Kinds of mail that a careless deferral loses. Each kind has a sender address of
 * its own, so that a test can recognize it.
 *
 * @module
 */

import { Client } from "./smtp.ts";

const encoder = new TextEncoder();

/** A message that is to be sent. */
export interface Mail {
  /** Empty for the null sender. */
  readonly from: string;
  readonly to: readonly string[];
  /** Parameters of MAIL. */
  readonly parameters: string;
  readonly subject: string;
  /** With LF as line end. */
  readonly body: Uint8Array;
}

function mail(tag: string, more: Partial<Mail> = {}): Mail {
  return {
    from: `${tag}@sender.example`,
    to: [`${tag}@mx.example`],
    parameters: "",
    subject: tag,
    body: encoder.encode(`This is ${tag}.\n`),
    ...more,
  };
}

/** Lines on which a program between sender and receiver could stumble. */
function difficultLines(): Uint8Array {
  const lines = [
    "From the beginning of a line",
    ">From there",
    ".",
    "..",
    ".dot",
    "",
    "   blanks before and behind   ",
    "\ttabs\t\t",
    "x".repeat(998), // RFC 5321 section 4.5.3.1.6
    "Grüße, 日本語, \u{1f600}",
    "",
  ];
  const latin1 = Uint8Array.from(
    { length: 128 },
    (_, i) => 128 + i,
  );
  return concat([
    ...lines.map((line) => encoder.encode(`${line}\n`)),
    latin1,
    encoder.encode("\n.\n"),
  ]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The difficult lines again and again. */
function large(megabytes: number): Uint8Array {
  const piece = difficultLines();
  return concat(
    new Array(Math.ceil(megabytes * 1e6 / piece.length)).fill(piece),
  );
}

/** One of each kind, except those that need SMTPUTF8. */
export function plainMails(): Mail[] {
  const eightBit = { parameters: " BODY=8BITMIME" };
  return [
    mail("small"),
    mail("eight-bit", { ...eightBit, body: difficultLines() }),
    mail("undeclared-eight-bit", { body: difficultLines() }),
    mail("five-megabytes", { ...eightBit, body: large(5) }),
    mail("twenty-megabytes", { ...eightBit, body: large(20) }),
    mail("twenty-recipients", {
      to: Array.from({ length: 20 }, (_, i) => `twenty-${i}@mx.example`),
    }),
    mail("null-sender", { from: "" }),
  ];
}

/** Mail that only a server with SMTPUTF8 may be given (RFC 6531). */
export function internationalMails(): Mail[] {
  const parameters = " BODY=8BITMIME SMTPUTF8";
  return [
    mail("utf8-address", {
      from: "grüße@sender.example",
      to: ["δοκιμή@mx.example"],
      parameters,
    }),
    mail("utf8-subject", { subject: "Grüße 日本語", parameters }),
  ];
}

/** Many small messages. */
export function series(count: number): Mail[] {
  return Array.from({ length: count }, (_, i) => mail(`series-${i}`));
}

/** A message as DATA has it, with the dot that ends it. */
export function asData({ from, to, subject, body }: Mail): Uint8Array {
  const header = [
    `From: <${from || "nobody@sender.example"}>`,
    `To: <${to[0]}>`,
    `Subject: ${subject}`,
    "Date: Mon, 1 Jan 2024 00:00:00 +0000",
    `Message-ID: <${to[0]}>`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
    "",
    "",
  ].join("\r\n");
  const data = new Uint8Array(2 * body.length);
  let length = 0;
  let start = true;
  for (const byte of body) {
    if (start && byte === 46) data[length++] = 46;
    if (byte === 10) data[length++] = 13;
    data[length++] = byte;
    start = byte === 10;
  }
  return concat([
    encoder.encode(header),
    data.subarray(0, length),
    encoder.encode(".\r\n"),
  ]);
}

/** Sends messages over one connection to a server that has to take all of them. */
export async function submit(
  port: number,
  mails: readonly Mail[],
): Promise<void> {
  using client = await Client.connect(port);
  const say = async (what: string | Uint8Array, expected: string) => {
    if (what.length > 0) await client.send(what);
    const reply = await client.reply();
    if (reply?.startsWith(expected)) return;
    const command = typeof what === "string" ? what.trim() : "the message";
    throw new Error(`${command}: ${reply}: expected ${expected}`);
  };
  await say("", "220");
  await say("EHLO client.example\r\n", "250");
  for (const mail of mails) {
    await say(`MAIL FROM:<${mail.from}>${mail.parameters}\r\n`, "250");
    for (const to of mail.to) await say(`RCPT TO:<${to}>\r\n`, "250");
    await say("DATA\r\n", "354");
    await say(asData(mail), "250");
  }
  await say("QUIT\r\n", "221");
}
