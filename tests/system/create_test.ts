import { assertEquals, assertThrows } from "@std/assert";
import { E } from "../../lib/system/constants.ts";
import { createFile, isOwnerMasked } from "../../lib/system/create.ts";
import { LibcError } from "../../lib/system/libc.ts";
import "../harness/libc.ts";
import { descriptors, temporary } from "../harness/temporary.ts";

function errno(work: () => unknown): number {
  return assertThrows(work, LibcError).code;
}

Deno.test("create: a new file is created empty, and not opened", () => {
  using dir = temporary();
  const path = `${dir.path}/é 1`;
  createFile(path);
  assertEquals(descriptors(/\/é 1$/), []);
  const { isFile, size, mode } = Deno.lstatSync(path);
  assertEquals([isFile, size, mode! & 0o7777], [true, 0, 0o600]);
  assertEquals(errno(() => createFile(path)), E.EEXIST);
  Deno.symlinkSync(`${dir.path}/absent`, `${dir.path}/link`);
  assertEquals(errno(() => createFile(`${dir.path}/link`)), E.EEXIST);
  assertEquals(errno(() => createFile(`${path}/below`)), E.ENOTDIR);
  assertEquals(errno(() => createFile(`${dir.path}/no/x`)), E.ENOENT);
});

Deno.test("create: whether the umask masks the owner", () => {
  const before = Deno.umask();
  try {
    for (const mask of [0o000, 0o022, 0o077, 0o177, 0o277, 0o400, 0o777]) {
      Deno.umask(mask);
      assertEquals(isOwnerMasked(), (mask & 0o600) !== 0, mask.toString(8));
      assertEquals(Deno.umask(), mask);
    }
  } finally {
    Deno.umask(before);
  }
});
