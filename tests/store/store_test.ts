import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Verdict } from "../../lib/store/policy.ts";
import { Store, StoreError } from "../../lib/store/store.ts";
import { E } from "../../lib/system/constants.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { NAME, Place, ROWS, shown, TIMEOUTS } from "../harness/store_place.ts";

Deno.test("store: every row of the table, as stat shows it", () => {
  for (const [name, before, verdict, [size, written]] of ROWS) {
    using place = new Place();
    if (before !== undefined) place.put(...before);
    assertEquals(place.decide(), verdict, name);
    const expected = { size, mode: 0o600, blocks: 0, written };
    assertEquals(place.stat(), expected, name);
    assertEquals(place.names(), [NAME], name);
  }
});

Deno.test("store: the same with its calls in another thread", async () => {
  for (const [name, before, verdict, [size, written]] of ROWS) {
    using place = new Place();
    if (before !== undefined) place.put(...before);
    const store = new Store(place.dir);
    const later = store.decideLater(NAME, place.now, TIMEOUTS);
    assertEquals(shown(await later), verdict, name);
    const expected = { size, mode: 0o600, blocks: 0, written };
    assertEquals(place.stat(), expected, name);
  }
});

Deno.test("store: the same for a store that serves many clients", () => {
  for (const [name, before, verdict, [size, written]] of ROWS) {
    using place = new Place();
    if (before !== undefined) place.put(...before);
    const store = new Store(place.dir);
    assertEquals(
      shown(store.decideNew(NAME, place.now, TIMEOUTS)),
      verdict,
      name,
    );
    const expected = { size, mode: 0o600, blocks: 0, written };
    assertEquals(place.stat(), expected, name);
  }
});

Deno.test("store: an error in another thread has its reason", async () => {
  using place = new Place();
  const store = new Store(`${place.dir}/none`);
  const { message } = await assertRejects(
    () => store.decideLater(NAME, place.now, TIMEOUTS),
    StoreError,
  );
  assertEquals(
    message,
    `${place.dir}/none/${NAME}: create: No such file or directory`,
  );
});

Deno.test("store: if nobody waits for the result, no more calls are made", async () => {
  using place = new Place();
  const store = new Store(place.dir);
  const late = store.decideLater(NAME, place.now, TIMEOUTS, () => true);
  await assertRejects(() => late, StoreError);
  assertEquals([...Deno.readDirSync(place.dir)], []);
  place.put(0, -90);
  const { size, mtime } = Deno.statSync(`${place.dir}/${NAME}`);
  const retried = store.decideLater(NAME, place.now, TIMEOUTS, () => true);
  await assertRejects(() => retried, StoreError);
  const after = Deno.statSync(`${place.dir}/${NAME}`);
  assertEquals([after.size, after.mtime], [size, mtime]);
});

Deno.test("store: an mtime far ahead is set by the clock of this host", () => {
  using place = new Place();
  place.put(0, -90);
  const { reason } = place.store.decide(NAME, place.now - 40, TIMEOUTS);
  assertEquals(reason, "early");
  const { mtime } = Deno.lstatSync(place.path);
  assertEquals(mtime!.getTime() / 1000, place.now - 40);
});

Deno.test("store: reading an entry", () => {
  using place = new Place();
  assertEquals(place.store.read(NAME), undefined);
  place.put(7, 100);
  const entry = place.store.read(NAME)!;
  assertEquals(entry.accepted, 7);
  assert(Math.abs(place.now - 100 - entry.mtime) < 0.01);
  // A whole address beside its network is another entry.
  assertEquals(place.store.read("192.0.2.0"), undefined);
});

Deno.test("store: a whole story on one clock", () => {
  using place = new Place();
  const story: [number, string][] = [
    [0, "defer new 60"],
    [0, "defer early 60"],
    [0, "defer early 60"],
    [61, "pass retried 1"],
    [0, "pass known 2"],
    [86000, "pass known 3"],
    [86401, "defer expired 60"],
    [30, "defer early 30"],
    [3601, "defer stale 60"],
    [60, "pass retried 1"],
  ];
  for (const [age, expected] of story) {
    // The clock of the file system cannot be moved, so the entry is made older.
    const time = place.now - age;
    if (expected !== "defer new 60") Deno.utimeSync(place.path, time, time);
    assertEquals(place.decide(), expected, `${age} s`);
  }
});

Deno.test("store: the mode is 0600 whatever the umask", () => {
  for (const umask of [0o000, 0o022, 0o077, 0o277, 0o777]) {
    const before = Deno.umask(umask);
    using place = new Place();
    try {
      Deno.chmodSync(place.dir, 0o700);
      assertEquals(place.decide(), "defer new 60");
    } finally {
      Deno.umask(before);
    }
    assertEquals(place.stat().mode, 0o600, umask.toString(8));
  }
});

Deno.test("store: a base directory that is missing, or is no directory", () => {
  const cases: [string, string][] = [
    ["/nonexistent/greylist", "create: No such file or directory"],
    ["/dev/null", "statx: Not a directory"],
  ];
  for (const [dir, problem] of cases) {
    const { message } = assertThrows(
      () => new Store(dir).decide(NAME, 0, TIMEOUTS),
      StoreError,
    );
    assertEquals(message, `${dir}/${NAME}: ${problem}`);
  }
});

Deno.test("store: a base directory with a quote and a blank in its name", () => {
  using place = new Place();
  const dir = `${place.dir}/it's a 'base: dir'`;
  const missing = new Store(dir);
  const { message } = assertThrows(
    () => missing.decide(NAME, 0, TIMEOUTS),
    StoreError,
  );
  assertEquals(message, `${dir}/${NAME}: create: No such file or directory`);
  Deno.mkdirSync(dir);
  const { reason } = missing.decide(NAME, 0, TIMEOUTS) as Verdict;
  assertEquals(reason, "new");
});

Deno.test("store: no descriptor is left behind, whatever is written", () => {
  using place = new Place();
  const count = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = count();
  for (let i = 0; i < 50; i++) {
    const name = `192.0.2.${i}`;
    const writes = (...seconds: number[]) =>
      seconds.map((later) =>
        place.store.decide(name, place.now + later, TIMEOUTS).write
      );
    assertEquals(writes(0, 0, 3700), ["create", "none", "touch"]);
    Deno.truncateSync(`${place.dir}/${name}`, 3);
    assertEquals(writes(61, 90_000), ["accept", "reset"]);
  }
  assertEquals(count(), before);
});

Deno.test("store: which errors may pass", () => {
  const passes = (cause: unknown) =>
    new StoreError("/x", "broken", { cause }).isPassing;
  for (const code of [E.EIO, E.ESTALE, E.ENOSPC]) {
    assertEquals(passes(new LibcError("statx", code)), true, `${code}`);
  }
  for (const code of [E.ENOENT, E.EACCES]) {
    assertEquals(passes(new LibcError("statx", code)), false, `${code}`);
  }
  assertEquals(passes(new Error("broken")), false);
  assertEquals(passes(undefined), false);
});
