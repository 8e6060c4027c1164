import { assertEquals, assertThrows } from "@std/assert";
import { E } from "../../lib/system/constants.ts";
import { openForWriting } from "../../lib/system/file.ts";
import { LibcError } from "../../lib/system/libc.ts";
import "../harness/libc.ts";

Deno.test("libc: an error says which call, and why", () => {
  const error = assertThrows(
    () => openForWriting("/nonexistent/x", "existing"),
    LibcError,
  );
  assertEquals(error.message, "open: No such file or directory");
  assertEquals([error.name, error.code], ["LibcError", E.ENOENT]);
});
