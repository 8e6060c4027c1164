import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  close,
  openForWriting,
  poll,
  POLLIN,
  POLLOUT,
  touch,
  truncate,
} from "../../lib/system/descriptor.ts";
import { EEXIST, ENOENT, LibcError } from "../../lib/system/libc.ts";
import "../harness/libc.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import { run } from "../harness/process.ts";
import { descriptors, temporary } from "../harness/temporary.ts";

const ENOTDIR = 20;
const EISDIR = 21;
const EINVAL = 22;
const ELOOP = 40;
const EBADF = 9;

function errno(work: () => unknown): number {
  return assertThrows(work, LibcError).code;
}

const MODULE = JSON.stringify(moduleUrl("lib/system/descriptor.ts"));

Deno.test("descriptor: opening, size, time, mode", () => {
  using dir = temporary();
  const path = `${dir.path}/é 1`;
  const before = Deno.umask(0o777);
  const fd = openForWriting(path, "new");
  Deno.umask(before);
  assertEquals(Deno.statSync(path).mode! & 0o7777, 0o600);
  truncate(fd, 5);
  assertEquals(Deno.statSync(path).size, 5);
  truncate(fd, 2 ** 40);
  assertEquals(Deno.statSync(path).size, 2 ** 40);
  assertEquals(Deno.statSync(path).blocks, 0);
  truncate(fd, 0);
  assertEquals(Deno.statSync(path).size, 0);

  Deno.utimeSync(path, 1000, 1000);
  touch(fd);
  assert(Math.abs(Date.now() - Deno.statSync(path).mtime!.getTime()) < 60_000);
  Deno.utimeSync(path, 1000, 1000);
  // Setting the size that it has sets the time as well.
  truncate(fd, 0);
  assert(Deno.statSync(path).mtime!.getTime() > 1_000_000);

  // It is no child's.
  const flags = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`);
  const value = parseInt(/flags:\s*(\d+)/.exec(flags)![1], 8);
  assertEquals(value & 0o2000000, 0o2000000);
  close(fd);
  assertEquals(errno(() => truncate(fd, 0)), EBADF);
});

Deno.test("descriptor: what is not opened", async () => {
  using dir = temporary();
  const { path } = dir;
  Deno.writeTextFileSync(`${path}/file`, "content");
  Deno.symlinkSync(`${path}/file`, `${path}/link`);
  Deno.symlinkSync(`${path}/new`, `${path}/dangling`);
  Deno.mkdirSync(`${path}/dir`);
  await run(["mkfifo", `${path}/fifo`]);
  const cases: [string, "existing" | "new", number][] = [
    ["file", "new", EEXIST],
    ["link", "new", EEXIST],
    ["link", "existing", ELOOP],
    ["dangling", "new", EEXIST],
    ["dangling", "existing", ELOOP],
    ["dir", "new", EEXIST],
    ["dir", "existing", EISDIR],
    ["fifo", "new", EEXIST],
    ["none", "existing", ENOENT],
    ["none/file", "existing", ENOENT],
    ["none/file", "new", ENOENT],
    ["file/file", "existing", ENOTDIR],
    ["file/file", "new", ENOTDIR],
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
  // Nobody is waited for at a FIFO, and it has no size.
  const fifo = openForWriting(`${path}/fifo`, "existing");
  assertEquals(errno(() => truncate(fifo, 1)), EINVAL);
  close(fifo);
  // What is there is neither emptied nor changed.
  close(openForWriting(`${path}/file`, "existing"));
  assertEquals(Deno.readTextFileSync(`${path}/file`), "content");
});

Deno.test("descriptor: poll", async () => {
  using dir = temporary();
  const fifo = `${dir.path}/fifo`;
  await run(["mkfifo", fifo]);
  using file = Deno.openSync(fifo, { read: true, write: true });
  const [fd] = descriptors(/\/fifo$/);
  assertEquals(poll(fd, POLLIN, 0), false);
  assertEquals(poll(fd, POLLIN, 1.5), false);
  assertEquals(poll(fd, POLLIN, -5), false);
  assertEquals(poll(fd, POLLOUT, 0), true);
  file.writeSync(Uint8Array.of(1));
  assertEquals(poll(fd, POLLIN, 0), true);
  // Infinitely long is long enough.
  assertEquals(poll(fd, POLLIN, Infinity), true);
  // A descriptor that is none is broken, which is something to find out.
  assertEquals(poll(999_999, POLLIN, 1000), true);
});

/** The text of an address and a port. */
Deno.test("descriptor: silence, and what ends it", async () => {
  const { code, stdout, stderr } = await evaluate(`
    import { silence } from ${MODULE};
    console.error("before");
    const restore = silence(2);
    console.error("lost");
    restore();
    console.error("after");
    console.log([...Deno.readDirSync("/proc/self/fd")].length > 0);`);
  assertEquals([code, stdout, stderr], [0, "true\n", "before\nafter\n"]);
});
