import { assertEquals } from "@std/assert";
import { encode, writeAscii } from "../../lib/system/utf8.ts";

Deno.test("utf8: as TextEncoder has it", () => {
  const texts = [
    "",
    "220 mx.example ESMTP\r\n",
    "\0\x7f",
    "\x80",
    "é",
    "line\u2028end",
    "a".repeat(1000) + "ß",
    "😀",
    // Half of a pair is no character.
    "\ud800x",
  ];
  for (let unit = 0; unit < 256; unit++) texts.push(String.fromCharCode(unit));
  for (const text of texts) {
    assertEquals(encode(text), new TextEncoder().encode(text), text);
  }
});

Deno.test("utf8: ASCII goes into memory that is there", () => {
  const memory = new Uint8Array([1, 1, 1, 1]);
  assertEquals(writeAscii("a\0\x7f", memory), true);
  assertEquals([...memory], [0x61, 0, 0x7f, 1]);
  assertEquals(writeAscii("", memory), true);
  for (const text of ["\x80", "ab\xe9", "\u2028"]) {
    assertEquals(writeAscii(text, memory), false, text);
  }
});
