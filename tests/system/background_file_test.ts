import { assertEquals, assertRejects } from "@std/assert";
import {
  AppendedFile,
  readRegularFileLater,
} from "../../lib/system/background_file.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { encode } from "../../lib/system/utf8.ts";
import "../harness/libc.ts";
import { descriptors, temporary } from "../harness/temporary.ts";

Deno.test("background file: a text is what Deno reads", async () => {
  using dir = temporary();
  const path = `${dir.path}/é 1`;
  const texts = [
    "",
    "a\r\nb",
    "\uFEFFwith a byte order mark",
    // Characters across the ends of pieces.
    "x" + "ü€😀".repeat(50_000),
    // No UTF-8.
    new Uint8Array([0x61, 0xff, 0xe2, 0x82]),
  ];
  for (const text of texts) {
    Deno.writeFileSync(
      path,
      typeof text === "string" ? encode(text) : text,
    );
    assertEquals(await readRegularFileLater(path), Deno.readTextFileSync(path));
  }
  assertEquals(descriptors(/\/é 1$/), []);
});

Deno.test("background file: what is no regular file, or cannot be read", async () => {
  using dir = temporary();
  for (const path of [dir.path, "/dev/null"]) {
    await assertRejects(
      () => readRegularFileLater(path),
      Error,
      "expected a regular file",
    );
  }
  await assertRejects(
    () => readRegularFileLater(`${dir.path}/none`),
    Deno.errors.NotFound,
  );
  // It may be opened, but not read.
  await assertRejects(
    () => readRegularFileLater("/proc/self/mem"),
    LibcError,
    "read: Input/output error",
  );
  assertEquals(descriptors(/\/mem$/), []);
});

Deno.test("background file: lines are appended", async () => {
  using dir = temporary();
  const path = `${dir.path}/log`;
  const write = async (text: string) => {
    const file = await AppendedFile.open(path, 0o640);
    const written = await file.write(encode(text));
    await file.close();
    return written;
  };
  assertEquals(await write("a\n"), 2);
  assertEquals(Deno.statSync(path).mode! & 0o777, 0o640 & ~Deno.umask());
  // As another process does meanwhile.
  Deno.writeTextFileSync(path, "b\n", { append: true });
  assertEquals(await write("ü\n"), 3);
  assertEquals(Deno.readTextFileSync(path), "a\nb\nü\n");
  assertEquals(descriptors(/\/log$/), []);
});

Deno.test("background file: a file that cannot be opened or written", async () => {
  using dir = temporary();
  await assertRejects(
    () => AppendedFile.open(`${dir.path}/none/log`, 0o640),
    Error,
    "No such file or directory",
  );
  await assertRejects(
    () => AppendedFile.open(dir.path, 0o640),
    Error,
    "Is a directory",
  );
  const full = await AppendedFile.open("/dev/full", 0o640);
  assertEquals(await full.write(encode("a\n")), -1);
  await full.close();
  // Its number may be another file's by now.
  const other = await AppendedFile.open(`${dir.path}/other`, 0o640);
  assertEquals(await full.write(encode("a\n")), -1);
  await full.close();
  assertEquals(await other.write(encode("b\n")), 2);
  await other.close();
  assertEquals(Deno.readTextFileSync(`${dir.path}/other`), "b\n");
});
