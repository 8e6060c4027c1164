// What is in the place of an entry is no regular file.

import { assertEquals, assertThrows } from "@std/assert";
import { StoreError } from "../../lib/store/store.ts";
import { run } from "../harness/process.ts";
import { NAME, Place } from "../harness/store_place.ts";

/**
 * The kinds of files, besides a regular one, that can have an entry's name. For a
 * device see root_test.ts.
 */
const OTHERS: [string, (path: string) => Promise<unknown> | void][] = [
  ["a directory", (path) => Deno.mkdirSync(path)],
  ["a FIFO", (path) => run(["mkfifo", path])],
  ["a symbolic link", (path) => Deno.symlinkSync("/nonexistent", path)],
  ["a symbolic link", (path) => Deno.symlinkSync("/dev/null", path)],
  ["a symbolic link", (path) => Deno.symlinkSync(NAME, path)],
];

Deno.test("store: anything but a regular file is an error", async () => {
  for (const [kind, make] of OTHERS) {
    using place = new Place();
    await make(place.path);
    const before = Deno.lstatSync(place.path);
    for (
      const work of [() => place.decide(), () => place.store.read(NAME)]
    ) {
      const { message } = assertThrows(work, StoreError);
      assertEquals(message, `${place.path}: ${kind}: expected a regular file`);
    }
    const after = Deno.lstatSync(place.path);
    assertEquals([after.ino, after.mtime], [before.ino, before.mtime]);
    assertEquals(place.names(), [NAME]);
  }
});

Deno.test("store: a socket is no entry either", () => {
  using place = new Place();
  using _listener = Deno.listen({ transport: "unix", path: place.path });
  const { message } = assertThrows(() => place.decide(), StoreError);
  assertEquals(message, `${place.path}: a socket: expected a regular file`);
});

Deno.test("store: no symbolic link is followed, even one made meanwhile", () => {
  // The look sees a regular file, the write a link.
  for (const [accepted, age] of [[0, 100], [5, 100], [5, 90000], [0, 4000]]) {
    using place = new Place();
    using outside = new Place();
    outside.put(3, 12345);
    const target = Deno.lstatSync(outside.path);
    place.put(accepted, age);
    place.store.meddle = (look) => {
      const entry = look();
      Deno.removeSync(place.path);
      Deno.symlinkSync(outside.path, place.path);
      return entry;
    };
    assertThrows(
      () => place.decide(),
      StoreError,
      `${place.path}: open: Too many levels of symbolic links`,
    );
    assertEquals(Deno.lstatSync(outside.path), target);
  }
});

Deno.test("store: a dangling link makes no file outside", () => {
  using place = new Place();
  using outside = new Place();
  let looks = 0;
  place.store.meddle = (look) => {
    const entry = look();
    if (++looks === 1) Deno.symlinkSync(outside.path, place.path);
    return entry;
  };
  // Another process made the link between the look and the creation.
  assertThrows(() => place.decide(), StoreError, "a symbolic link");
  assertEquals(outside.names(), []);
});

Deno.test("store: a FIFO in the entry's place never blocks", async () => {
  using place = new Place();
  place.put(5, 100);
  const fifo = `${place.dir}/fifo`;
  await run(["mkfifo", fifo]);
  place.store.meddle = (look) => {
    const entry = look();
    Deno.renameSync(fifo, place.path);
    return entry;
  };
  assertThrows(() => place.decide(), StoreError, place.path);
});
