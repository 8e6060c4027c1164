import { assertEquals } from "@std/assert";
import { cutText, printable } from "../../lib/smtp/reply_text.ts";

Deno.test("reply text: one octet that is not printable, wherever it is", () => {
  for (let unit = 0; unit < 0x100; unit++) {
    const character = String.fromCharCode(unit);
    const isControl = unit < 0x20 || unit >= 0x7f && unit < 0xa0;
    const shown = isControl ? " " : unit > 0x7e ? "?" : character;
    const name = `${unit}`;
    assertEquals(printable(`a${character}b`, 9), `a${shown}b`, name);
    // Blanks around the text are no part of it.
    assertEquals(printable(character, 9), shown.trim(), name);
    assertEquals(printable(`${character}a`, 9), `${shown}a`.trim(), name);
    assertEquals(printable(`a${character}`, 9), `a${shown}`.trim(), name);
  }
});

Deno.test("reply text: cut to a length, and no blank where it was cut", () => {
  assertEquals(printable("abc", 3), "abc");
  assertEquals(printable("abcd", 3), "abc");
  assertEquals(printable("ab d", 3), "ab");
  assertEquals(printable("  abcd", 3), "abc");
  assertEquals(printable("\r\n", 3), "");
  assertEquals(cutText(" \r\n "), "Greylisted, please try again later");
});
