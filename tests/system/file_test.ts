import { assert, assertEquals, assertThrows } from "@std/assert";
import { C, E } from "../../lib/system/constants.ts";
import { close } from "../../lib/system/descriptor.ts";
import { OWNER_MODE, setMode } from "../../lib/system/create.ts";
import { openForWriting, setMtime, truncate } from "../../lib/system/file.ts";
import { LibcError } from "../../lib/system/libc.ts";
import "../harness/libc.ts";
import { run } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";

function errno(work: () => unknown): number {
  return assertThrows(work, LibcError).code;
}

Deno.test("file: opening, size, time, mode", () => {
  using dir = temporary();
  const path = `${dir.path}/é 1`;
  const fd = openForWriting(path, "new");
  assertEquals(Deno.statSync(path).mode! & 0o7777, 0o600);
  Deno.chmodSync(path, 0);
  setMode(fd, OWNER_MODE);
  assertEquals(Deno.statSync(path).mode! & 0o7777, 0o600);
  truncate(fd, 5);
  assertEquals(Deno.statSync(path).size, 5);
  truncate(fd, 2 ** 40);
  assertEquals(Deno.statSync(path).size, 2 ** 40);
  assertEquals(Deno.statSync(path).blocks, 0);
  truncate(fd, 0);
  assertEquals(Deno.statSync(path).size, 0);

  Deno.utimeSync(path, 1000, 1000);
  setMtime(fd, Date.now() / 1000);
  assert(Math.abs(Date.now() - Deno.statSync(path).mtime!.getTime()) < 60_000);
  Deno.utimeSync(path, 1000, 1000);
  // Setting the size that it has sets the time as well.
  truncate(fd, 0);
  assert(Deno.statSync(path).mtime!.getTime() > 1_000_000);

  // A child does not get it: it is closed on exec.
  const flags = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`);
  const value = parseInt(/flags:\s*(\d+)/.exec(flags)![1], 8);
  assertEquals(value & C.O_CLOEXEC, C.O_CLOEXEC);
  close(fd);
  assertEquals(errno(() => truncate(fd, 0)), E.EBADF);
});

Deno.test("file: paths that are not opened", async () => {
  using dir = temporary();
  const { path } = dir;
  Deno.writeTextFileSync(`${path}/file`, "content");
  Deno.symlinkSync(`${path}/file`, `${path}/link`);
  Deno.symlinkSync(`${path}/new`, `${path}/dangling`);
  Deno.mkdirSync(`${path}/dir`);
  await run(["mkfifo", `${path}/fifo`]);
  const cases: [string, "existing" | "new", number][] = [
    ["file", "new", E.EEXIST],
    ["link", "new", E.EEXIST],
    ["link", "existing", E.ELOOP],
    ["dangling", "new", E.EEXIST],
    ["dangling", "existing", E.ELOOP],
    ["dir", "new", E.EEXIST],
    ["dir", "existing", E.EISDIR],
    ["fifo", "new", E.EEXIST],
    ["none", "existing", E.ENOENT],
    ["none/file", "existing", E.ENOENT],
    ["none/file", "new", E.ENOENT],
    ["file/file", "existing", E.ENOTDIR],
    ["file/file", "new", E.ENOTDIR],
  ];
  for (const [name, how, code] of cases) {
    assertEquals(
      errno(() => openForWriting(`${path}/${name}`, how)),
      code,
      name,
    );
  }
  assertEquals(Deno.readTextFileSync(`${path}/file`), "content");
  assertThrows(() => Deno.lstatSync(`${path}/new`), Deno.errors.NotFound);
  // A FIFO is opened without waiting for its other end, and has no size.
  const fifo = openForWriting(`${path}/fifo`, "existing");
  assertEquals(errno(() => truncate(fifo, 1)), E.EINVAL);
  close(fifo);
  // An existing file is neither emptied nor changed.
  close(openForWriting(`${path}/file`, "existing"));
  assertEquals(Deno.readTextFileSync(`${path}/file`), "content");
});

Deno.test("file: an mtime to the millisecond, and atime as it was", () => {
  using dir = temporary();
  const path = `${dir.path}/file`;
  const fd = openForWriting(path, "new");
  Deno.utimeSync(path, 1000, 1000);
  for (const mtime of [1_700_000_000, 1_700_000_000.123, 0, 2 ** 33]) {
    setMtime(fd, mtime);
    const state = Deno.statSync(path);
    assertEquals(state.mtime!.getTime(), mtime * 1000);
    assertEquals(state.atime!.getTime(), 1_000_000);
  }
  close(fd);
  assertEquals(errno(() => setMtime(fd, 0)), E.EBADF);
});
