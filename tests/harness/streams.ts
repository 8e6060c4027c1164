/**
 * Command streams that no client should send, and the checks of the replies. A
 * stream follows from its kind and seed alone.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";

/** The longest line that is taken whole, its line end included. */
export const MAX_LINE = 4096;
/** The bad command of this number ends the session. */
const MAX_BAD = 20;

/** Whole numbers from 0 up to but without `limit` (mulberry32). */
export type Random = (limit: number) => number;

/** Always the same numbers from the same seed. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % limit;
  };
}

// Texts here are bytes, one a character.

const VERBS = [
  ..."HELO EHLO MAIL RCPT DATA RSET NOOP VRFY EXPN HELP".split(" "),
  ..."AUTH STARTTLS SEND SAML SOML TURN ETRN ATRN LHLO".split(" "),
  ..."ehlo Mail rCPT data MAILX DAT STARTTLSX".split(" "),
  ..."EHLO MAIL RCPT DATA EHLO MAIL RCPT DATA RCPT RCPT RSET".split(" "),
  "QUIT",
  "BDAT",
  "PROXY",
  "",
  ".",
];
const PIECES = [
  ...'FROM: TO: from: to: FROM TO < > <> < > : @ , ; " \\ \\" [ ]'.split(" "),
  ...'a@b.example <a@b.example> <"x>y"@c.example> <@a,@b:c@d>'.split(" "),
  ..."SIZE=1 BODY=8BITMIME SMTPUTF8 ORCPT=rfc822;<x> client.example".split(" "),
  "\xc3\xbc\xe4\xbe\x8b",
  "\xff",
  "\x80",
  "\0",
  "\x1b[31m",
  "\r",
  "\t",
  " ",
  "  ",
];
const LINE_ENDS = ["\r\n", "\r\n", "\r\n", "\n", "\r\r\n", "\n\n", "\n\r"];

/** One of several. */
export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)];
}

function commands(random: Random): string {
  let stream = "";
  for (let count = 1 + random(30); count > 0; count--) {
    stream += pick(random, VERBS);
    if (random(8) > 0) stream += " ";
    for (let pieces = random(5); pieces > 0; pieces--) {
      stream += pick(random, PIECES);
    }
    stream += pick(random, LINE_ENDS);
  }
  return stream;
}

function randomBytes(random: Random): string {
  let stream = "";
  for (let count = random(300); count > 0; count--) {
    stream += random(12) === 0 ? "\n" : String.fromCharCode(random(256));
  }
  return stream;
}

function mutated(random: Random): string {
  let stream = commands(random);
  for (let count = 1 + random(10); count > 0; count--) {
    const at = random(stream.length + 1);
    const to = Math.min(stream.length, at + random(12));
    const byte = String.fromCharCode(random(256));
    stream = pick(random, [
      stream.slice(0, at) + byte + stream.slice(at + 1),
      stream.slice(0, at) + byte + stream.slice(at),
      stream.slice(0, at) + stream.slice(to),
      stream.slice(0, to) + stream.slice(at),
      stream.slice(at) + stream.slice(0, at),
      stream.slice(0, at),
    ]);
  }
  return stream;
}

/** Lines around the limit between short ones. */
function long(random: Random): string {
  const start = random(6) === 0 ? " ".repeat(random(9)) : "";
  const line = start + pick(random, VERBS) + " " + pick(random, PIECES);
  const size = random(3) === 0 ? random(9000) : MAX_LINE - 5 + random(10);
  const stream = line + pick(random, PIECES).charAt(0).repeat(size)
    .slice(line.length);
  return "NOOP\r\n" + stream + pick(random, LINE_ENDS) + commands(random);
}

const MAKE = { bytes: randomBytes, commands, mutated, long };

/** How a stream is made. */
export type Kind = keyof typeof MAKE;

/** A stream, each character a byte. */
export function streamOf(kind: Kind, random: Random): string {
  return MAKE[kind](random);
}

/** The replies, each as its lines without their ends. */
function split(output: string): string[][] {
  const replies: string[][] = [];
  let open = false;
  for (const line of output.split("\r\n").slice(0, -1)) {
    assert(line.length <= 510, "a reply line of more than 512 octets");
    assert(/^[2-5][0-5][0-9][ -][ -~]+$/.test(line), `malformed: ${line}`);
    if (open) replies[replies.length - 1].push(line);
    else replies.push([line]);
    open = line[3] === "-";
  }
  assert(!open, "an unfinished multi-line reply");
  for (const reply of replies) {
    for (const line of reply) {
      assertSame(line.slice(0, 3), reply[0].slice(0, 3), "codes in one reply");
    }
  }
  return replies;
}

/** Like `assertEquals`, but cheaper if the values are equal. */
export function assertSame(
  actual: unknown,
  expected: unknown,
  what: string,
): void {
  if (actual !== expected) assertEquals(actual, expected, what);
}

/** The facts about a session that follow from its replies. */
export interface Answered {
  /** Whether they end with the session's own end. */
  readonly done: boolean;
  /** How many RCPT commands were answered. */
  readonly recipients: number;
}

/**
 * Throws if the replies to a stream are not those that every sender must get. This
 * is a second implementation of the dialogue's rules.
 *
 * @param output all replies behind the banner
 * @param deferral the reply to RCPT and DATA
 */
export function assertReplies(
  input: string,
  output: string,
  deferral: string,
): Answered {
  const lines = input.split("\n").slice(0, -1);
  const replies = split(output);
  let bad = 0;
  let recipients = 0;
  let done = false;
  for (let i = 0; i < lines.length && !done; i++) {
    assert(i < replies.length, `no reply to line ${i}`);
    const first = replies[i][0];
    const verb = (/^[ \t]*([A-Za-z]*)/.exec(lines[i].slice(0, MAX_LINE)) ??
      [])[1].toUpperCase();
    let ends = false;
    const hello = verb === "EHLO" || verb === "HELO";
    if (i === 0 && (verb === "PROXY" || /^\r?$/.test(lines[i]))) {
      ends = true;
      assert(first.startsWith("421 4.3.0 "), first);
    } else if (hello || verb === "MAIL") {
      assertSame(first.slice(0, 3), "250", verb);
    } else if (lines[i].length + 1 > MAX_LINE) {
      ends = ++bad === MAX_BAD;
      if (!ends && (verb === "RCPT" || verb === "DATA")) {
        assertSame(first, deferral, `long ${verb}`);
      } else {
        assert(/^500 5\.5\.2 |^421 4\.7\.0 /.test(first), first);
      }
    } else if (verb === "RCPT" || verb === "DATA") {
      assertSame(first, deferral, verb);
      if (verb === "RCPT") recipients++;
    } else if (verb === "QUIT") {
      ends = true;
      assert(first.startsWith("221 2.0.0 "), first);
    } else if (verb === "BDAT") {
      ends = true;
      assert(first.startsWith("421 4.5.1 "), first);
    } else if (/^(RSET|NOOP|VRFY|EXPN|HELP)$/.test(verb)) {
      assert(/^2[15][024] 2\.0\.0 /.test(first), first);
    } else if (/^(AUTH|STARTTLS)$/.test(verb)) {
      assert(first.startsWith("454 4.7.0 "), first);
    } else {
      ends = ++bad === MAX_BAD;
      assert(/^50[02] 5\.5\.[12] |^421 4\.7\.0 /.test(first), first);
    }
    assert(replies[i].length === (verb === "EHLO" ? 6 : 1), "reply's lines");
    assert(!first.startsWith("3"), first);
    if (!hello) assertSame(first[4], first[0], "class of enhanced code");
    done = /^[24]21/.test(first);
    assertSame(done, ends, `end after line ${i}: ${verb}`);
    if (done) assertSame(replies.length, i + 1, "replies up to the end");
  }
  if (!done) assertSame(replies.length, lines.length, "replies to lines");
  return { done, recipients };
}
