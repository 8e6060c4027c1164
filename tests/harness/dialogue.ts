/**
 * A dialogue with a deferred client, without a connection.
 *
 * @module
 */

import { assert } from "@std/assert";
import { Dialogue } from "../../lib/smtp/dialogue.ts";

export const HOST = "mx.example.org";
export const DEFERRAL = "451 4.7.1 Greylisted, please try again in 60 seconds";
export const EHLO = [
  `250-${HOST}`,
  "250-PIPELINING",
  "250-SIZE",
  "250-ENHANCEDSTATUSCODES",
  "250-8BITMIME",
  "250 SMTPUTF8",
].join("\r\n");
export const MAIL = "250 2.1.0 Sender ok";
export const RSET = "250 2.0.0 Reset";
export const QUIT = `221 2.0.0 ${HOST} closing connection`;
export const UNKNOWN = "500 5.5.2 Command not recognized";
export const TOO_LONG = "500 5.5.2 Line too long";
export const NOT_IMPLEMENTED = "502 5.5.1 Command not implemented";
export const PROXY =
  `421 4.3.0 ${HOST} no PROXY header expected, closing connection`;
export const TOO_MANY =
  `421 4.7.0 ${HOST} too many bad commands, closing connection`;

export function dialogue(): Dialogue {
  return new Dialogue({ hostname: HOST, deferral: DEFERRAL });
}

/** The bytes of a text in which each character stands for one byte. */
export function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

export function text(data: string | Uint8Array): string {
  if (typeof data === "string") return data;
  return Array.from(data, (b) => String.fromCharCode(b)).join("");
}

/** The UTF-8 bytes of a text, each as one character. */
export function utf8(value: string): string {
  return text(new TextEncoder().encode(value));
}

/** The replies to some input, without the last line end. */
export function ask(d: Dialogue, input: string): string {
  const output = d.receive(bytes(input));
  assert(output === "" || output.endsWith("\r\n"), "an unfinished reply");
  return output.slice(0, -2);
}

/** The envelope as text; undefined fields are left out. */
export function envelope(d: Dialogue): Record<string, string | number> {
  const result: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(d.envelope)) {
    if (typeof value === "number") result[name] = value;
    else if (value !== undefined) result[name] = text(value);
  }
  return result;
}

// Each line is the first of its session, so this also shows that order does not
// matter.
export const COMMANDS: [line: string, reply: string][] = [
  ["EHLO client.example", EHLO],
  ["ehlo client.example", EHLO],
  ["EhLo [192.0.2.1]", EHLO],
  ["EHLO", EHLO],
  ["EHLO ", EHLO],
  ["EHLO\tclient.example", EHLO],
  ["EHLO \0\xff\x1b[31m", EHLO],
  ["EHLO two words", EHLO],
  [" EHLO client.example", EHLO],
  ["\t EHLO client.example", EHLO],
  ["HELO client.example", `250 ${HOST}`],
  ["helo", `250 ${HOST}`],
  ["MAIL FROM:<a@b.example>", MAIL],
  ["MAIL FROM:<>", MAIL],
  ["mail from:<a@b.example>", MAIL],
  ["MAIL FROM: <a@b.example>", MAIL],
  ["MAIL  FROM : <a@b.example> ", MAIL],
  ["MAIL FROM:<a@b.example> SIZE=99999999999 BODY=8BITMIME SMTPUTF8", MAIL],
  ["MAIL FROM:<a@b.example> AUTH=<> RET=HDRS ENVID=x NONSENSE", MAIL],
  ["MAIL FROM:<a@b.example", MAIL],
  ["MAIL FROM:a@b.example", MAIL],
  ["MAIL FROM:", MAIL],
  ["MAIL FROM", MAIL],
  ["MAIL TO:<a@b.example>", MAIL],
  ["MAIL", MAIL],
  ["MAIL:", MAIL],
  ["MAIL<a@b.example>", MAIL],
  ["MAIL \0\x01\xfe\xff", MAIL],
  [`MAIL FROM:<"`, MAIL],
  [`MAIL FROM:<"\\`, MAIL],
  ["RCPT TO:<c@d.example>", DEFERRAL],
  ["rcpt to:<c@d.example>", DEFERRAL],
  ["RCPT TO:<c@d.example> NOTIFY=NEVER ORCPT=rfc822;c@d.example", DEFERRAL],
  ["RCPT TO:<Postmaster>", DEFERRAL],
  ["RCPT TO:<>", DEFERRAL],
  ["RCPT TO:", DEFERRAL],
  ["RCPT", DEFERRAL],
  ["RCPT \0\xff", DEFERRAL],
  ["DATA", DEFERRAL],
  ["data", DEFERRAL],
  ["DATA now", DEFERRAL],
  ["RSET", RSET],
  ["RSET x", RSET],
  ["NOOP", "250 2.0.0 Ok"],
  ["NOOP anything", "250 2.0.0 Ok"],
  ["VRFY postmaster", "252 2.0.0 Cannot say, try RCPT"],
  ["VRFY", "252 2.0.0 Cannot say, try RCPT"],
  ["EXPN list", "252 2.0.0 Cannot say, try RCPT"],
  ["HELP", "214 2.0.0 See RFC 5321"],
  ["HELP MAIL", "214 2.0.0 See RFC 5321"],
  ["AUTH PLAIN AGEAYg==", "454 4.7.0 Authentication not available now"],
  ["AUTH", "454 4.7.0 Authentication not available now"],
  ["STARTTLS", "454 4.7.0 TLS not available now"],
  ["starttls ", "454 4.7.0 TLS not available now"],
  ["QUIT", QUIT],
  ["quit  ", QUIT],
  ["BDAT 1000000 LAST", `421 4.5.1 ${HOST} no BDAT here, closing connection`],
  ["ATRN", NOT_IMPLEMENTED],
  ["ETRN example.org", NOT_IMPLEMENTED],
  ["SAML FROM:<a@b.example>", NOT_IMPLEMENTED],
  ["SEND FROM:<a@b.example>", NOT_IMPLEMENTED],
  ["SOML FROM:<a@b.example>", NOT_IMPLEMENTED],
  ["TURN", NOT_IMPLEMENTED],
  ["", PROXY],
  ["PROXY TCP4 192.0.2.7 203.0.113.9 56324 25", PROXY],
  ["PROXY UNKNOWN", PROXY],
  ["PROXY", PROXY],
  ["PROXYX", UNKNOWN],
  [" ", UNKNOWN],
  [".", UNKNOWN],
  ["\0", UNKNOWN],
  ["\0EHLO x", UNKNOWN],
  ["EHL", UNKNOWN],
  ["EHLOO x", UNKNOWN],
  ["STARTTLSX", UNKNOWN],
  ["STARTTL", UNKNOWN],
  ["LHLO client.example", UNKNOWN],
  ["XCLIENT ADDR=192.0.2.1", UNKNOWN],
  ["GET / HTTP/1.1", UNKNOWN],
  ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", UNKNOWN],
  ["\xc4\xb0MAIL", UNKNOWN],
];

/** A line of so many bytes, CRLF included, that begins with `start`. */
export function lineOf(size: number, start: string): string {
  return start + "x".repeat(size - start.length - 2) + "\r\n";
}

// Bursts as these senders write them when PIPELINING is listed.
export const POSTFIX = "MAIL FROM:<a@b.example> SIZE=1022 BODY=8BITMIME\r\n" +
  "RCPT TO:<c@d.example> ORCPT=rfc822;c@d.example\r\n" +
  "RCPT TO:<e@d.example> ORCPT=rfc822;e@d.example\r\nDATA\r\n";
export const EXIM = "MAIL FROM:<a@b.example> SIZE=1537\r\n" +
  "RCPT TO:<c@d.example>\r\nDATA\r\n";
