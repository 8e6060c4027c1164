import { assertEquals } from "@std/assert";
import {
  endOfWord,
  type Octets,
  octetsOf,
  parsePath,
  skipBlanks,
  trimBlanks,
  word,
} from "../../lib/smtp/command_line.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (octets: Octets | undefined) =>
  octets instanceof Uint8Array ? new TextDecoder().decode(octets) : octets;

Deno.test("command line: the verb is letters only, in either case", () => {
  const cases: [string, string][] = [
    ["MAIL FROM:<a@b>", "MAIL"],
    ["mail from:<a@b>", "MAIL"],
    ["RCPT\tTO:<a@b>", "RCPT"],
    ["azAZ", "AZAZ"],
    ["MAIL@", "MAIL"],
    ["MAIL[", "MAIL"],
    ["MAIL`", "MAIL"],
    ["MAIL{", "MAIL"],
    ["STARTTLS", "STARTTLS"],
    // Cut, but not to a word that is a command.
    ["STARTTLSX", "STARTTLSX"],
    ["STARTTLSXY", "STARTTLSX"],
    ["", ""],
    ["\xff", ""],
  ];
  for (const [line, verb] of cases) {
    const octets = bytes(line);
    assertEquals(word(octets, 0, endOfWord(octets, 0)), verb, line);
  }
});

Deno.test("command line: the path, however it is written", () => {
  const cases: [string, string | undefined][] = [
    [" FROM:<a@b.example>", "a@b.example"],
    [" from: <a@b.example> SIZE=10 BODY=8BITMIME", "a@b.example"],
    [" FROM:<>", ""],
    [" FROM:a@b.example SIZE=10", "a@b.example"],
    [" <a@b.example>", "a@b.example"],
    [" TO:<a@b.example>", "TO:<a@b.example>"],
    [" FROM:<@relay.example:a@b.example>", "@relay.example:a@b.example"],
    [' FROM:<"a>b c"@d.example> X', '"a>b c"@d.example'],
    [' FROM:<"a\\">b"@d.example>', '"a\\">b"@d.example'],
    [" FROM:<a\\>b@d.example>", "a\\"],
    [" FROM:<a@b.example", "a@b.example"],
    [" FROM:", undefined],
    ["", undefined],
  ];
  for (const [argument, path] of cases) {
    assertEquals(
      text(parsePath(bytes("MAIL" + argument), 4, "FROM")),
      path,
      argument,
    );
  }
});

Deno.test("command line: blanks are spaces and tabs", () => {
  assertEquals(skipBlanks(bytes(" \t x"), 0), 3);
  assertEquals(skipBlanks(bytes("x"), 1), 1);
  assertEquals(text(trimBlanks(bytes("x\t a b \t"), 1)), "a b");
  assertEquals(text(trimBlanks(bytes("  "), 0)), "");
});

Deno.test("command line: octets that are ASCII are a text, up to a length", () => {
  const path = "a".repeat(254);
  assertEquals(octetsOf(bytes("abc").subarray(1, 3)), "bc");
  assertEquals(octetsOf(bytes("abc").subarray(1, 1)), "");
  assertEquals(octetsOf(bytes(path)), path);
  assertEquals(octetsOf(bytes(path + "b")), bytes(path + "b"));
  assertEquals(octetsOf(bytes("\x00\x7f")), "\x00\x7f");
  assertEquals(octetsOf(bytes("a\x80b")), bytes("a\x80b"));
  for (const octets of [[0x80], [0x80, 0x61], [0x61, 0x80], [0xff]]) {
    assertEquals(octetsOf(Uint8Array.from(octets)), Uint8Array.from(octets));
  }
});

Deno.test("command line: a copy does not change with the original", () => {
  for (const kept of ["abc", "\xe4\xf6\xfc", "a".repeat(255)]) {
    const octets = bytes(kept);
    const copied = octetsOf(octets);
    octets.fill(0);
    assertEquals(text(copied), kept);
  }
});
