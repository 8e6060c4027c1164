import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { lazily } from "../../lib/system/lazily.ts";

Deno.test("lazily: made when it is first asked for, and once", () => {
  let count = 0;
  const value = lazily(() => ({ number: ++count }));
  assertEquals(count, 0);
  assertStrictEquals(value(), value());
  assertEquals(count, 1);
});

Deno.test("lazily: what could not be made is tried again", () => {
  let count = 0;
  const value = lazily(() => {
    if (++count === 1) throw new Error("not yet");
    return count;
  });
  assertThrows(value, Error, "not yet");
  assertEquals(value(), 2);
});
