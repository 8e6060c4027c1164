import { assertEquals, assertThrows } from "@std/assert";
import { close } from "../../lib/system/descriptor.ts";
import { readStart, write } from "../../lib/system/file.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { memoryFile, memoryFileOf } from "../../lib/system/memory_file.ts";
import { encode } from "../../lib/system/utf8.ts";
import "../harness/libc.ts";

Deno.test("a file in memory takes what is written", () => {
  const fd = memoryFile("test");
  try {
    write(fd, encode("some text"));
    assertEquals(readStart(fd, 100), encode("some text"));
  } finally {
    close(fd);
  }
});

Deno.test("a file in memory of a given size grows no more", () => {
  const fd = memoryFileOf("test", 8);
  try {
    write(fd, encode("12345678"));
    assertThrows(
      () => write(fd, encode("9")),
      LibcError,
      "write: Operation not permitted",
    );
    assertEquals(readStart(fd, 100), encode("12345678"));
  } finally {
    close(fd);
  }
});
