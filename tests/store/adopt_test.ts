import { assertEquals, assertThrows } from "@std/assert";
import { adopt, better } from "../../lib/store/adopt.ts";
import type { Entry } from "../../lib/store/policy.ts";
import { StoreError } from "../../lib/store/store.ts";
import "../harness/libc.ts";
import { temporary } from "../harness/temporary.ts";

const TIMEOUTS = { delay: 60, retryWindow: 1000, expireAfter: 10_000 };
const NOW = 1_000_000;

/** Accepted count and age of the old entry, of the found one, of the better. */
const PAIRS: [string, [number, number], [number, number], [number, number]][] =
  [
    ["known beats grey", [0, 10], [1, 5000], [1, 5000]],
    ["known beats grey", [0, 500], [1, 10], [1, 10]],
    ["known stays known", [1, 5000], [0, 10], [1, 5000]],
    ["known stays known", [1, 10], [0, 500], [1, 10]],
    ["the later last use", [1, 50], [1, 500], [1, 50]],
    ["the later last use", [1, 500], [1, 50], [1, 50]],
    ["the larger count, from either", [7, 500], [3, 50], [7, 50]],
    ["the larger count, from either", [3, 50], [7, 500], [7, 50]],
    ["the earlier first contact", [0, 10], [0, 20], [0, 20]],
    ["the earlier first contact", [0, 20], [0, 10], [0, 20]],
    ["a forgotten grey one is none", [0, 1001], [0, 10], [0, 10]],
    ["a forgotten known one is none", [9, 10_001], [0, 10], [0, 10]],
    ["a forgotten known one has a count", [9, 10_001], [1, 10], [9, 10]],
  ];

for (const [name, old, found, expected] of PAIRS) {
  Deno.test(`better: ${name}: ${old} and ${found}`, () => {
    const entry = ([accepted, age]: [number, number]): Entry => {
      return { accepted, mtime: NOW - age };
    };
    assertEquals(
      better(entry(old), entry(found), NOW, TIMEOUTS),
      entry(expected),
    );
  });
}

function look(path: string) {
  const { size, mtime, mode } = Deno.lstatSync(path);
  return [size, mtime!.getTime() / 1000, mode! & 0o7777];
}

Deno.test("adopt: makes, improves, keeps", () => {
  using dir = temporary();
  const place = { dir: dir.path };
  const name = "192.0.2.0_24";
  const path = `${dir.path}/${name}`;
  const found = { accepted: 3, mtime: 1_700_000_000 };
  const never = (): Entry => {
    throw new Error("there is no entry yet");
  };
  assertEquals(adopt({ ...place, dry: true }, name, found, never), "made");
  assertEquals([...Deno.readDirSync(dir.path)], []);
  assertEquals(adopt(place, name, found, never), "made");
  assertEquals(look(path), [3, 1_700_000_000, 0o600]);

  const seen: Entry[] = [];
  const keep = (old: Entry) => (seen.push(old), old);
  const before = Deno.lstatSync(path).ctime;
  assertEquals(adopt(place, name, found, keep), "kept");
  assertEquals(seen, [found]);
  assertEquals(Deno.lstatSync(path).ctime, before);

  // To the millisecond, as the store reads it.
  const later = { accepted: 3, mtime: 1_700_000_000.123 };
  assertEquals(
    adopt({ ...place, dry: true }, name, found, () => later),
    "improved",
  );
  assertEquals(look(path), [3, 1_700_000_000, 0o600]);
  assertEquals(adopt(place, name, found, () => later), "improved");
  assertEquals(look(path), [3, 1_700_000_000.123, 0o600]);
  assertEquals(adopt(place, name, found, () => later), "kept");
});

Deno.test("adopt: an error is one line with the path", () => {
  using dir = temporary();
  const place = { dir: dir.path };
  const found = { accepted: 1, mtime: 1 };
  Deno.mkdirSync(`${dir.path}/192.0.2.1`);
  Deno.symlinkSync("/etc/passwd", `${dir.path}/192.0.2.2`);
  for (const [name, kind] of [["1", "a directory"], ["2", "a symbolic link"]]) {
    const error = assertThrows(
      () => adopt(place, `192.0.2.${name}`, found, (old) => old),
      StoreError,
    );
    assertEquals(
      error.message,
      `${dir.path}/192.0.2.${name}: ${kind}: expected a regular file`,
    );
  }
  const error = assertThrows(
    () => adopt({ dir: `${dir.path}/none` }, "192.0.2.1", found, (old) => old),
    StoreError,
  );
  assertEquals(error.message.startsWith(`${dir.path}/none/192.0.2.1: `), true);
});

Deno.test("adopt: an entry that cannot be written leaves no file", () => {
  using dir = temporary();
  const place = { dir: dir.path };
  // A size that every file system refuses; a count of 2^53 - 1 is refused by some.
  const found = { accepted: -1, mtime: 1000 };
  const error = assertThrows(
    () => adopt(place, "192.0.2.1", found, (old) => old),
    StoreError,
  );
  assertEquals(
    error.message,
    `${dir.path}/192.0.2.1: ftruncate: Invalid argument`,
  );
  assertEquals([...Deno.readDirSync(dir.path)], []);
  // An entry that was there stays.
  adopt(place, "192.0.2.1", { accepted: 3, mtime: 1000 }, (old) => old);
  assertThrows(
    () => adopt(place, "192.0.2.1", found, () => found),
    StoreError,
  );
  assertEquals(look(`${dir.path}/192.0.2.1`), [3, 1000, 0o600]);
});
