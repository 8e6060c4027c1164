import { assertEquals, assertThrows } from "@std/assert";
import { E } from "../../lib/system/constants.ts";
import { close, open } from "../../lib/system/descriptor.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { isSameFile, openOn, stateOf } from "../../lib/system/statx.ts";
import "../harness/libc.ts";
import { temporary } from "../harness/temporary.ts";

Deno.test("statx: a file, as Deno sees it", () => {
  using dir = temporary();
  const path = `${dir.path}/é 1`;
  for (const size of [0, 5, 2 ** 32 + 7]) {
    for (const seconds of [1_700_000_000, 1_700_000_000.123, 0, 2 ** 33]) {
      Deno.writeTextFileSync(path, "");
      Deno.chmodSync(path, 0o642);
      Deno.truncateSync(path, size);
      // Only root can give a file away.
      if (Deno.uid() === 0) Deno.chownSync(path, 70_000, 80_000);
      Deno.utimeSync(path, seconds, seconds);
      const { uid, gid, mtime } = Deno.statSync(path);
      assertEquals(stateOf(path, "follow"), {
        isFile: true,
        kind: "a regular file",
        mode: 0o642,
        uid,
        gid,
        size,
        mtime: mtime!.getTime() / 1000,
      });
    }
  }
});

Deno.test("statx: before 1970", () => {
  using dir = temporary();
  const path = `${dir.path}/old`;
  Deno.writeTextFileSync(path, "");
  Deno.utimeSync(path, -86400, -86400);
  assertEquals(stateOf(path, "follow")?.mtime, -86400);
});

Deno.test("statx: other kinds of files, and symbolic links", () => {
  using dir = temporary();
  const link = `${dir.path}/link`;
  Deno.symlinkSync(dir.path, link);
  const kind = (path: string, links: "follow" | "keep") =>
    stateOf(path, links)?.kind;
  assertEquals(kind(dir.path, "keep"), "a directory");
  assertEquals(kind(link, "keep"), "a symbolic link");
  assertEquals(kind(link, "follow"), "a directory");
  assertEquals(kind("/dev/null", "follow"), "a device");
  assertEquals(stateOf("/dev/null", "follow")?.isFile, false);
});

Deno.test("statx: missing files, and files that cannot be looked at", () => {
  using dir = temporary();
  assertEquals(stateOf(`${dir.path}/none`, "follow"), undefined);
  assertEquals(stateOf(`${dir.path}/none/either`, "follow"), undefined);
  const error = assertThrows(() => stateOf("/dev/null/x", "follow"), LibcError);
  assertEquals(error.message, "statx: Not a directory");
  assertEquals(error.code, E.ENOTDIR);
});

Deno.test("statx: whether two paths lead to one file", () => {
  using dir = temporary();
  const [a, b, link] = ["a", "b", "link"].map((name) => `${dir.path}/${name}`);
  Deno.writeTextFileSync(a, "");
  Deno.writeTextFileSync(b, "");
  Deno.symlinkSync(a, link);
  assertEquals(isSameFile(a, link), true);
  assertEquals(isSameFile(dir.path, `${dir.path}/.`), true);
  assertEquals(isSameFile(a, b), false);
  assertEquals(isSameFile("/proc", "/dev"), false);
  assertThrows(() => isSameFile(a, `${dir.path}/none`), LibcError);
});

Deno.test("statx: the kind of a descriptor", () => {
  using dir = temporary();
  const [a, b] = ["a", "b"].map((name) => `${dir.path}/${name}`);
  for (const path of [a, b]) Deno.writeTextFileSync(path, "");
  const fds = [a, a, b, dir.path, "/dev/null"].map((path) => open(path, 0));
  const found = fds.map(openOn);
  fds.forEach(close);
  assertEquals(found.map(({ kind }) => kind), [
    ...Array.from({ length: 3 }, () => "a regular file"),
    "a directory",
    "a device",
  ]);
  const identities = found.map(({ identity }) => identity);
  assertEquals(identities[0], identities[1]);
  assertEquals(new Set(identities).size, 4);
  assertThrows(() => openOn(fds[0]), LibcError, "statx: Bad file descriptor");
});
