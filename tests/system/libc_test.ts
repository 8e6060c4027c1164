import { assertEquals, assertThrows } from "@std/assert";
import { openForWriting } from "../../lib/system/descriptor.ts";
import { ENOENT, LibcError } from "../../lib/system/libc.ts";
import "../harness/libc.ts";

Deno.test("libc: an error says which call, and why", () => {
  const error = assertThrows(
    () => openForWriting("/nonexistent/x", "existing"),
    LibcError,
  );
  assertEquals(error.message, "open: No such file or directory");
  assertEquals([error.name, error.code], ["LibcError", ENOENT]);
});
