import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Bookmark,
  isPruningDue,
  isPruningDueLater,
} from "../../lib/store/bookmark.ts";
import { StoreError } from "../../lib/store/store.ts";
import { makeEntry } from "../harness/entry.ts";
import { evaluate, evaluation, moduleUrl } from "../harness/evaluate.ts";
import "../harness/libc.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { failing } from "../harness/strace.ts";

const dir = `${ROOT}/bookmark`;
const path = `${dir}/.prune`;

// The libraries that are opened once stay open; see harness/libc.ts.
Bookmark.take(emptyDir("bookmark"))!.leave(1n);

Deno.test("bookmark: when it is time", async () => {
  const cases: [number, number, boolean][] = [
    // size, age, due every hour
    [0, 0, false],
    [0, 3599 - 60, false],
    [0, 3600, true],
    [0, 86400, true],
    // A run that was not complete continues at once.
    [1, 0, true],
    // A clock that went back.
    [0, -60, true],
  ];
  for (const [size, age, due] of cases) {
    emptyDir("bookmark");
    makeEntry(".prune", size, age, dir);
    assertEquals(isPruningDue(dir, 3600), due, `${size} ${age}`);
    assertEquals(await isPruningDueLater(dir, 3600), due, `${size} ${age}`);
    assertEquals(isPruningDue(dir, 0), false);
    assertEquals(await isPruningDueLater(dir, 0), false);
  }
});

Deno.test("bookmark: a missing file, and a missing directory", async () => {
  emptyDir("bookmark");
  assertEquals(isPruningDue(dir, 3600), true);
  assertEquals(await isPruningDueLater(dir, 3600), true);
  assertEquals(isPruningDue(dir, 0), false);
  const file = writeFile("bookmark/file", "");
  assertEquals(isPruningDue(file, 3600), false);
  assertEquals(await isPruningDueLater(file, 3600), true);
});

Deno.test({
  name: "bookmark: the look does not depend on what Deno allows to read",
  permissions: { ffi: true },
  async fn() {
    assertEquals(isPruningDue("/", 3600), true);
    assertEquals(await isPruningDueLater("/", 3600), true);
  },
});

Deno.test("bookmark: keeps a position, and forgets it at the end", () => {
  emptyDir("bookmark");
  for (const place of [1n, 12345678901234567n, 2n ** 63n - 1n, 7n]) {
    Bookmark.take(dir)!.leave(place);
    // Of one length, so that no position needs more room than another.
    assertEquals(Deno.readTextFileSync(path), `${place}`.padStart(19, "0"));
    const bookmark = Bookmark.take(dir)!;
    assertEquals(bookmark.position, place);
    bookmark.leave(place);
  }
  makeEntry(".prune", 3, 86400, dir);
  Bookmark.take(dir)!.leave(0n);
  const { size, mtime } = Deno.statSync(path);
  assertEquals(size, 0);
  assert(Math.abs(Date.now() - mtime!.getTime()) < 60_000);
  assertEquals(isPruningDue(dir, 3600), false);
});

Deno.test("bookmark: an empty one is touched too", () => {
  emptyDir("bookmark");
  makeEntry(".prune", 0, 86400, dir);
  Bookmark.take(dir)!.leave(0n);
  assertEquals(isPruningDue(dir, 3600), false);
});

Deno.test("bookmark: a text that is no position means the beginning", () => {
  emptyDir("bookmark");
  for (const text of ["", "x", "-5", "1.5", " 7", "7\n", "1".repeat(40)]) {
    Deno.writeTextFileSync(path, text);
    const bookmark = Bookmark.take(dir)!;
    assertEquals(bookmark.position, 0n, text);
    bookmark.leave(0n);
  }
});

Deno.test("bookmark: one holder at a time, until it ends", async () => {
  emptyDir("bookmark");
  const mine = Bookmark.take(dir)!;
  const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = descriptors();
  for (let i = 0; i < 3; i++) assertEquals(Bookmark.take(dir), undefined);
  assertEquals(descriptors(), before);
  const other = `import { Bookmark } from ${
    JSON.stringify(moduleUrl("lib/store/bookmark.ts"))
  };
    console.log(Bookmark.take(${JSON.stringify(dir)}) !== undefined);`;
  assertEquals((await evaluate(other)).stdout, "false\n");
  mine.leave(5n);
  // This one ends without leaving it.
  assertEquals((await evaluate(other)).stdout, "true\n");
  const again = Bookmark.take(dir)!;
  assertEquals(again.position, 5n);
  again.leave(0n);
});

Deno.test("bookmark: only its owner can read it", () => {
  emptyDir("bookmark");
  const before = Deno.umask(0);
  try {
    Bookmark.take(dir)!.leave(0n);
  } finally {
    Deno.umask(before);
  }
  assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
});

Deno.test("bookmark: a thread that is told of the umask does not touch it", () => {
  for (const told of [true, false]) {
    emptyDir("bookmark");
    const before = Deno.umask(0o277);
    try {
      Bookmark.take(dir, told)!.leave(0n);
    } finally {
      Deno.umask(before);
    }
    assertEquals(Deno.statSync(path).mode! & 0o777, told ? 0o600 : 0o400);
  }
});

Deno.test("bookmark: something else in its place", async () => {
  emptyDir("bookmark");
  const victim = writeFile("bookmark/victim", "untouched");
  const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = descriptors();
  const fails = (message: string) =>
    assertThrows(() => Bookmark.take(dir), StoreError, `${path}: ${message}`);
  Deno.symlinkSync(victim, path);
  fails("open: Too many levels");
  assertEquals(Deno.readTextFileSync(victim), "untouched");
  Deno.removeSync(path);
  Deno.mkdirSync(path);
  fails("open: Is a directory");
  Deno.removeSync(path);
  await run(["mkfifo", path]);
  for (let i = 0; i < 3; i++) fails("pread: Illegal seek");
  // A listener tries again and again.
  assertEquals(descriptors(), before);
});

e2e("bookmark: without locks the next try is an interval later", {
  programs: ["strace"],
}, async () => {
  const code = `import { Bookmark } from ${
    JSON.stringify(moduleUrl("lib/store/bookmark.ts"))
  };
    try { Bookmark.take(${JSON.stringify(dir)}); }
    catch (error) { console.log(error.name, error.message); }`;
  const before = failing(path, "flock", "ENOLCK");
  // Also if another run has left its position, which makes the next run due.
  for (const size of [0, 3]) {
    emptyDir("bookmark");
    makeEntry(".prune", size, 86400, dir);
    const { stdout } = await run([...before, ...evaluation(code)]);
    assertEquals(
      stdout,
      `StoreError ${path}: flock: No locks available\n`,
    );
    assertEquals(isPruningDue(dir, 3600), false, `${size}`);
  }
});

e2e("bookmark: a position that cannot be written", {
  programs: ["strace"],
}, async () => {
  // The error, whether the caller has the position too, and what it is told.
  const cases: [string, boolean, string][] = [
    ["ENOSPC", false, `StoreError ${path}: pwrite: No space left on device`],
    ["EDQUOT", true, "nothing"],
    ["ENOSPC", true, "nothing"],
    ["EIO", true, `StoreError ${path}: pwrite: Input/output error`],
  ];
  for (const [error, isKept, told] of cases) {
    const code = `import { Bookmark } from ${
      JSON.stringify(moduleUrl("lib/store/bookmark.ts"))
    };
      try {
        Bookmark.take(${JSON.stringify(dir)}).leave(7n, ${isKept});
        console.log("nothing");
      } catch (error) { console.log(error.name, error.message); }`;
    emptyDir("bookmark");
    makeEntry(".prune", 3, 86400, dir);
    const before = failing(path, "pwrite64", error);
    const { stdout } = await run([...before, ...evaluation(code)]);
    const name = `${error} ${isKept}`;
    assertEquals(stdout, `${told}\n`, name);
    // A failure is met again only after an interval.
    assertEquals(isPruningDue(dir, 3600), told === "nothing", name);
  }
});
