import { assert, assertEquals } from "@std/assert";
import { escapeValue, formatLine, quote } from "../../lib/log/line.ts";

/** How long a value may become, and one that was cut. */
const LONGEST = 200;
const CUT = LONGEST + "...".length;

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

Deno.test("logline: values that stand for themselves", () => {
  const plain = [
    "",
    "mail.example.org",
    "a+b@example.org",
    "!#$%&'*+-/=?^_`{|}~.@example.org",
    "[192.0.2.1]",
    "<>(),;:[]",
    "k=v",
    "=",
    "...",
    "grüße@exämple.org",
    "用户@例子.广告",
    "अजय@डाटा.भारत",
    "квіточка@пошта.укр",
    "💌@example.org",
    "€",
    "a\u0308",
    // The last first byte of two, and the first of three.
    "\u07caa",
    "\u0800a",
  ];
  for (const text of plain) {
    assertEquals(escapeValue(text), text);
    assertEquals(escapeValue(utf8(text)), text);
  }
});

Deno.test("logline: values that are escaped", () => {
  const cases: [string, string][] = [
    [" ", "\\x20"],
    ["a b", "a\\x20b"],
    ["\t", "\\x09"],
    ["a\r\nb", "a\\x0d\\x0ab"],
    ["\0", "\\x00"],
    ["\x1b[31m", "\\x1b[31m"],
    ["\x7f", "\\x7f"],
    ["\\", "\\x5c"],
    ["\\x20", "\\x5cx20"],
    ['"', "\\x22"],
    ["x pass ip=192.0.2.1", "x\\x20pass\\x20ip=192.0.2.1"],
    // C1: NEL and CSI.
    ["\x85", "\\xc2\\x85"],
    ["\x9b31m", "\\xc2\\x9b31m"],
    // Blanks of other scripts.
    ["\xa0", "\\xc2\\xa0"],
    ["\u2003", "\\xe2\\x80\\x83"],
    ["\u2028", "\\xe2\\x80\\xa8"],
    ["\u2029", "\\xe2\\x80\\xa9"],
    ["\u3000", "\\xe3\\x80\\x80"],
    // Marks that turn the writing direction, or are not seen at all.
    ["\u202e", "\\xe2\\x80\\xae"],
    ["\u2066", "\\xe2\\x81\\xa6"],
    ["\u200f", "\\xe2\\x80\\x8f"],
    ["\u200b", "\\xe2\\x80\\x8b"],
    ["\ufeff", "\\xef\\xbb\\xbf"],
    ["\xad", "\\xc2\\xad"],
    ["\u{e0041}", "\\xf3\\xa0\\x81\\x81"],
    // Private, and not assigned.
    ["\ue000", "\\xee\\x80\\x80"],
    ["\u{10ffff}", "\\xf4\\x8f\\xbf\\xbf"],
    ["\u0378", "\\xcd\\xb8"],
    // A lone surrogate has no UTF-8: it becomes the replacement character.
    ["\ud800", "\ufffd"],
    ["a\udc00b", "a\ufffdb"],
  ];
  for (const [text, expected] of cases) {
    assertEquals(escapeValue(text), expected);
    assertEquals(escapeValue(utf8(text)), expected);
  }
});

Deno.test("logline: characters that look like a blank", () => {
  const blanks = ["\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "\u034f"];
  for (const blank of blanks) {
    assert(escapeValue(blank).startsWith("\\x"), escape(blank));
    assert(quote(blank).startsWith('"\\x'), escape(blank));
  }
});

Deno.test("logline: every byte by itself", () => {
  for (let byte = 0; byte < 256; byte++) {
    const text = String.fromCharCode(byte);
    const plain = byte > 0x20 && byte < 0x7f && !'"\\'.includes(text);
    const hex = "\\x" + byte.toString(16).padStart(2, "0");
    const expected = plain ? text : hex;
    assertEquals(escapeValue(Uint8Array.of(byte)), expected, hex);
    // The byte spoils neither the text before it nor the text behind it.
    const within = Uint8Array.of(0x61, 0xc3, 0xa9, byte, 0xc3, 0xa9, 0x62);
    assertEquals(escapeValue(within), `aé${expected}éb`, hex);
  }
});

Deno.test("logline: bytes that are no UTF-8", () => {
  const cases: [number[], string][] = [
    [[0xc3], "\\xc3"],
    [[0xc3, 0x28], "\\xc3("],
    [[0xc3, 0xc3, 0xa9], "\\xc3é"],
    [[0xe2, 0x82], "\\xe2\\x82"],
    [[0xe2, 0x82, 0x41], "\\xe2\\x82A"],
    [[0xf0, 0x9f, 0x92], "\\xf0\\x9f\\x92"],
    // Like U+FFFD itself, but not it.
    [[0xef, 0xbf], "\\xef\\xbf"],
    [[0xf0, 0x9f, 0xbd], "\\xf0\\x9f\\xbd"],
    [[0xf0, 0xbf, 0xbd], "\\xf0\\xbf\\xbd"],
    [[0xa9], "\\xa9"],
    // Overlong, a surrogate, above U+10FFFF.
    [[0xc0, 0xaf], "\\xc0\\xaf"],
    [[0xc0, 0x8a], "\\xc0\\x8a"],
    [[0xe0, 0x80, 0xa0], "\\xe0\\x80\\xa0"],
    [[0xed, 0xa0, 0x80], "\\xed\\xa0\\x80"],
    [[0xf4, 0x90, 0x80, 0x80], "\\xf4\\x90\\x80\\x80"],
    [[0xff, 0xfe], "\\xff\\xfe"],
    [[0xf8, 0x88, 0x80, 0x80, 0x80], "\\xf8\\x88\\x80\\x80\\x80"],
    // Latin-1.
    [[0x67, 0x72, 0xfc, 0xdf, 0x65], "gr\\xfc\\xdfe"],
  ];
  for (const [bytes, expected] of cases) {
    assertEquals(escapeValue(Uint8Array.from(bytes)), expected);
  }
});

Deno.test("logline: long values are cut, and say so", () => {
  const cases: [string, number, string][] = [
    ["a", LONGEST, "a"],
    ["é", LONGEST, "é"],
    ["中", LONGEST, "中"],
    ["💌", LONGEST / 2, "💌"],
    [" ", LONGEST / 4, "\\x20"],
    ["\u2028", Math.floor(LONGEST / 12), "\\xe2\\x80\\xa8"],
  ];
  for (const [character, most, shown] of cases) {
    assertEquals(escapeValue(character.repeat(most)), shown.repeat(most));
    for (const longer of [most + 1, most + 5, 100 * most]) {
      const text = escapeValue(character.repeat(longer));
      const name = `${longer} times ${shown}`;
      assert(text.endsWith("..."), name);
      assert(text.length <= CUT, name);
      // Escapes and characters are whole, and the client has sent all of them.
      const rest = text.slice(0, -3).replaceAll(shown, "");
      assert(shown.startsWith(rest), `${name}: ${rest}`);
      assert(/^(\\x[0-9a-f]{2})*$/.test(rest), `${name}: ${rest}`);
      assert(text.length >= CUT - 4, name);
    }
  }
  // An escape that would not fit is not begun.
  assertEquals(escapeValue("a".repeat(198) + " "), "a".repeat(198) + "...");
  assertEquals(escapeValue("a".repeat(196) + " "), "a".repeat(196) + "\\x20");
  assertEquals(escapeValue("a".repeat(199) + "💌"), "a".repeat(199) + "...");
  assertEquals(escapeValue("x".repeat(1_000_000)).length, CUT);
});

/** Bytes that look random and are the same each time. */
function* randomBytes(count: number): Generator<Uint8Array> {
  let state = 7;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
  for (let i = 0; i < count; i++) {
    yield Uint8Array.from({ length: next() + next() }, next);
  }
}

Deno.test("logline: nothing forges a field or a line", () => {
  for (const bytes of randomBytes(600)) {
    const value = escapeValue(bytes);
    assert(/^[^\s\p{C}\p{Z}"]*$/u.test(value), value);
    assert(/^([^\\]|\\x[0-9a-f]{2})*$/u.test(value), value);
    assert(value.length <= CUT, value);
    // A reader that splits at blanks, then at the first "=", gets it back.
    const line = formatLine("defer", { helo: value, to: "<x>" });
    const [verb, helo, to, ...rest] = line.split(" ");
    assertEquals([verb, helo, to, rest], [
      "defer",
      `helo=${value}`,
      "to=<x>",
      [],
    ]);
  }
});

Deno.test("logline: the escapes can be undone", () => {
  for (const bytes of randomBytes(200)) {
    const few = bytes.subarray(0, 50);
    const undone: number[] = [];
    for (const [piece] of escapeValue(few).matchAll(/\\x..|[^]/gu)) {
      if (piece.length === 4 && piece.startsWith("\\x")) {
        undone.push(parseInt(piece.slice(2), 16));
      } else {
        undone.push(...utf8(piece));
      }
    }
    assertEquals(Uint8Array.from(undone), few);
  }
});

Deno.test("logline: sentences of our own", () => {
  const cases: [string, string][] = [
    ["", '""'],
    ["a b", '"a b"'],
    ['say "x"', "\"say 'x'\""],
    ["a\nb\r\x1b\0", '"a\\x0ab\\x0d\\x1b\\x00"'],
    ["a\\b", '"a\\x5cb"'],
    ["\u2028\xa0\u202e", '"\\xe2\\x80\\xa8\\xc2\\xa0\\xe2\\x80\\xae"'],
    ["Grüße", '"Grüße"'],
    ["\ud800", '"\ufffd"'],
    ["a".repeat(800), `"${"a".repeat(800)}"`],
    ["a".repeat(801), `"${"a".repeat(800)}..."`],
    ["é".repeat(801), `"${"é".repeat(800)}..."`],
    ['"'.repeat(5000), `"${"'".repeat(800)}..."`],
  ];
  for (const [text, expected] of cases) assertEquals(quote(text), expected);
});

Deno.test("logline: a whole line", () => {
  assertEquals(formatLine("pass", {}), "pass");
  assertEquals(
    formatLine("defer", {
      ip: "203.0.113.9",
      net: undefined,
      wait: 60,
      zero: 0,
      helo: "",
    }),
    "defer ip=203.0.113.9 wait=60 zero=0 helo=",
  );
});
