import { assertEquals, assertThrows } from "@std/assert";
import { E } from "../../lib/system/constants.ts";
import { openForWriting } from "../../lib/system/file.ts";
import { briefCString, cString, LibcError } from "../../lib/system/libc.ts";
import "../harness/libc.ts";

Deno.test("libc: an error says which call, and why", () => {
  const error = assertThrows(
    () => openForWriting("/nonexistent/x", "existing"),
    LibcError,
  );
  assertEquals(error.message, "open: No such file or directory");
  assertEquals([error.name, error.code], ["LibcError", E.ENOENT]);
});

Deno.test("libc: a brief C string is the same as one of its own", () => {
  const upToNull = (bytes: Uint8Array) => bytes.slice(0, bytes.indexOf(0) + 1);
  const texts = ["/a/long/path", "/a", "", "/\xe4", "x".repeat(5000), "/b"];
  for (const length of [4094, 4095, 4096]) texts.push("x".repeat(length));
  for (const text of texts) {
    assertEquals(
      upToNull(briefCString(text)),
      cString(text),
      text.slice(0, 20),
    );
  }
});
