import { assert, assertEquals, assertThrows } from "@std/assert";
import { Bookmark } from "../../lib/store/bookmark.ts";
import { Listing } from "../../lib/store/listing.ts";
import { type Progress, prune, pruneSome } from "../../lib/store/prune.ts";
import { StoreError } from "../../lib/store/store.ts";
import { makeEntry, namesIn, snapshot } from "../harness/entry.ts";
import "../harness/libc.ts";
import { emptyDir, ROOT } from "../harness/root.ts";

// The libraries that are opened once stay open; see harness/libc.ts.
Bookmark.take(emptyDir("prune"))!.leave(1n);
new Listing("/").close();

const DAY = 86400;
const dir = `${ROOT}/prune`;
const config = {
  baseDir: dir,
  timeouts: { delay: 60, retryWindow: DAY, expireAfter: 36 * DAY },
  prune: { every: 3600 },
};

const KEPT = ["192.0.2.0_24", "2001:db8::17", "README"];

function fill(forgotten = 50): void {
  emptyDir("prune");
  for (const name of KEPT) makeEntry(name, 1, 35 * DAY, dir);
  for (let i = 0; i < forgotten; i++) {
    makeEntry(`10.0.${i}.0_24`, i % 2, 37 * DAY, dir);
  }
}

Deno.test("prune: both limits, both sides", () => {
  for (const [accepted, limit] of [[0, DAY], [1, 36 * DAY], [99, 36 * DAY]]) {
    for (const [age, removed] of [[limit - 60, 0], [limit + 1, 1], [-DAY, 0]]) {
      emptyDir("prune");
      makeEntry("192.0.2.0_24", accepted, age, dir);
      assertEquals(prune(config), { removed, seen: 1 }, `${accepted} ${age}`);
      assertEquals(namesIn(dir).length, 1 - removed);
    }
  }
});

Deno.test("prune: seen is called for each entry", () => {
  fill();
  let seen = 0;
  assertEquals(prune(config, { seen: () => seen++ }), {
    removed: 50,
    seen: 52,
  });
  assertEquals(seen, 52);
  assertEquals(namesIn(dir), KEPT);
});

Deno.test("prune: a dry run changes nothing", () => {
  fill();
  const before = snapshot(dir);
  assertEquals(prune(config, { dry: true }), { removed: 50, seen: 52 });
  assertEquals(snapshot(dir), before);
});

Deno.test("prune: indexes of whitelist files that are a day old, and what check left", () => {
  emptyDir("prune");
  makeEntry(".whitelist-0123abcd", 1, DAY + 1, dir);
  makeEntry(".whitelist-0123abce", 1, DAY - 60, dir);
  makeEntry(".whitelist-0123abcf", 1, -DAY - 60, dir);
  makeEntry(".check-0123abcd", 0, DAY + 1, dir);
  makeEntry(".check-0123abce", 0, 0, dir);
  makeEntry(".prune", 1, 8 * DAY, dir);
  assertEquals(prune(config, { dry: true }), { removed: 0, seen: 0 });
  assertEquals(namesIn(dir).length, 6);
  assertEquals(prune(config), { removed: 0, seen: 0 });
  assertEquals(namesIn(dir), [
    ".check-0123abce",
    ".prune",
    ".whitelist-0123abce",
  ]);
});

Deno.test("prune: no base directory", () => {
  const nowhere = { ...config, baseDir: `${dir}/none` };
  assertThrows(() => prune(nowhere), StoreError, `${dir}/none: open: `);
});

Deno.test("prune: some, to the end", () => {
  fill();
  pruneSome(config, Infinity);
  assertEquals(namesIn(dir), [".prune", ...KEPT]);
  assertEquals(Deno.readTextFileSync(`${dir}/.prune`), "");
});

/** Makes the clock of a run pass so many milliseconds at each look. */
function withClock(step: number, work: () => void): void {
  const { now } = performance;
  let time = 0;
  performance.now = () => time += step;
  try {
    work();
  } finally {
    performance.now = now;
  }
}

Deno.test("prune: some, a second at a time, until all are gone", () => {
  fill(200);
  const left: number[] = [];
  // Ten looks at the clock are a second, so ten entries are a run.
  do {
    withClock(100, () => pruneSome(config));
    left.push(namesIn(dir).length - 1);
    assert(left.length < 50);
  } while (Deno.readTextFileSync(`${dir}/.prune`) !== "");
  assertEquals(left.length, 21);
  assert(left[0] >= 203 - 10, `${left}`);
  assertEquals(left, left.toSorted((a, b) => b - a));
  assertEquals(namesIn(dir), [".prune", ...KEPT]);
});

Deno.test("prune: names that are no entries take their time too", () => {
  emptyDir("prune");
  for (let i = 0; i < 50; i++) {
    Deno.writeTextFileSync(`${dir}/foreign-${i}`, "");
    // Looked at, since a file could have this name.
    Deno.mkdirSync(`${dir}/10.1.${i}.0_24`);
  }
  makeEntry("10.0.0.0_24", 1, 37 * DAY, dir);
  let runs = 0;
  do {
    withClock(100, () => pruneSome(config));
    assert(++runs < 50);
  } while (Deno.readTextFileSync(`${dir}/.prune`) !== "");
  // Besides these 101 names there are the directory's own two and .prune.
  assertEquals(runs, 11);
  assertEquals(namesIn(dir).length, 101);
  assert(!namesIn(dir).includes("10.0.0.0_24"));
});

/** Runs with a clock that is so many seconds ahead. */
function ahead(seconds: number, work: () => void): void {
  const { now } = Date;
  Date.now = () => now() + seconds * 1000;
  try {
    work();
  } finally {
    Date.now = now;
  }
}

Deno.test("prune: a clock that is a day ahead, or a year", () => {
  for (const leap of [26 * 3600, 365 * DAY]) {
    emptyDir("prune");
    makeEntry(".prune", 0, 1800, dir);
    makeEntry("192.0.2.0_24", 0, 55, dir);
    makeEntry("198.51.100.0_24", 1, 30 * DAY, dir);
    makeEntry("203.0.113.0_24", 0, DAY, dir);
    ahead(leap, () => pruneSome(config, Infinity));
    assertEquals(namesIn(dir), [".prune", "192.0.2.0_24", "198.51.100.0_24"]);
  }
});

Deno.test("prune: with a long interval, as far as the interval", () => {
  const rarely = { ...config, prune: { every: 30 * DAY } };
  emptyDir("prune");
  makeEntry(".prune", 0, 30 * DAY, dir);
  makeEntry("192.0.2.0_24", 0, 2 * DAY, dir);
  pruneSome(rarely, Infinity);
  assertEquals(namesIn(dir), [".prune"]);
});

Deno.test("prune: no more than a week is believed to have passed", () => {
  const patient = {
    ...config,
    timeouts: { ...config.timeouts, retryWindow: 28 * DAY },
  };
  emptyDir("prune");
  // To this run it is 13 days ago now.
  makeEntry(".prune", 0, 20 * DAY, dir);
  makeEntry("192.0.2.0_24", 0, 41 * DAY - 60, dir);
  makeEntry("198.51.100.0_24", 0, 41 * DAY + 60, dir);
  pruneSome(patient, Infinity);
  assertEquals(namesIn(dir), [".prune", "192.0.2.0_24"]);
});

Deno.test("prune: a host that was off for ten days", () => {
  fill(200);
  // Half a day of it counts, and an entry is 37 days old: one half is known and
  // stays, and the other half is grey.
  makeEntry(".prune", 0, 10 * DAY, dir);
  const mtime = () => Deno.statSync(`${dir}/.prune`).mtime!.getTime();
  const lastRun = mtime();
  let runs = 0;
  do {
    assertEquals(mtime(), lastRun);
    withClock(100, () => pruneSome(config));
    assert(++runs < 50);
  } while (Deno.readTextFileSync(`${dir}/.prune`) !== "");
  assert(runs > 10);
  assertEquals(namesIn(dir).length, 1 + KEPT.length + 100);
  assert(mtime() > lastRun + 9 * DAY * 1000);
  // The next run does the rest.
  pruneSome(config, Infinity);
  assertEquals(namesIn(dir), [".prune", ...KEPT]);
});

Deno.test("prune: nothing while another has the bookmark", () => {
  fill();
  const bookmark = Bookmark.take(dir)!;
  const before = snapshot(dir);
  pruneSome(config);
  assertEquals(snapshot(dir), before);
  bookmark.leave(0n);
  pruneSome(config, Infinity);
  assertEquals(namesIn(dir), [".prune", ...KEPT]);
});

Deno.test("prune: a position that does not exist means the beginning", () => {
  // The largest offset, which some file systems take for their end.
  const end = "9223372036854775807";
  for (const place of ["9999999999999999999", "-1", "0", "junk", "", end]) {
    fill();
    Deno.writeTextFileSync(`${dir}/.prune`, place);
    pruneSome(config, Infinity);
    assertEquals(Deno.readTextFileSync(`${dir}/.prune`), "", place);
    if (place === end) pruneSome(config, Infinity);
    assertEquals(namesIn(dir), [".prune", ...KEPT], place);
  }
});

Deno.test("prune: after a failure the next try is an interval later", () => {
  fill();
  Deno.writeTextFileSync(`${dir}/.prune`, "12");
  const { visit } = Listing.prototype;
  Listing.prototype.visit = () => {
    throw new StoreError("x", "broken");
  };
  try {
    assertThrows(() => pruneSome(config), StoreError, "x: broken");
  } finally {
    Listing.prototype.visit = visit;
  }
  assertEquals(Deno.readTextFileSync(`${dir}/.prune`), "");
  pruneSome(config, Infinity);
  assertEquals(namesIn(dir), [".prune", ...KEPT]);
});

Deno.test("prune: an entry that stays does not stop the run", () => {
  const { visit, remove } = Listing.prototype;
  const stay = ["10.0.1.0_24", "10.0.2.0_24"];
  let [unseen, unmoved] = stay;
  let current = "";
  Listing.prototype.visit = function (told, failed) {
    visit.call(this, (name, ...entry) => {
      current = name;
      if (name !== unseen) return told(name, ...entry);
      failed!(new StoreError(name, "stays"));
      return false;
    }, failed);
  };
  Listing.prototype.remove = function () {
    if (current === unmoved) throw new StoreError(current, "stays");
    return remove.call(this);
  };
  try {
    fill();
    const { removed, seen, failure } = prune(config);
    assertEquals([removed, seen], [48, 52]);
    assert(failure instanceof StoreError, `${failure}`);
    assertEquals(namesIn(dir), [...stay, ...KEPT]);
    fill();
    assertThrows(() => pruneSome(config, Infinity), StoreError, "stays");
    assertEquals(namesIn(dir), [".prune", ...stay, ...KEPT]);
    assertEquals(Deno.readTextFileSync(`${dir}/.prune`), "");
    // Either of the two alone is reported.
    [unseen, unmoved] = [stay[0], ""];
    assertThrows(() => pruneSome(config, Infinity), StoreError, unseen);
    assertEquals(namesIn(dir), [".prune", unseen, ...KEPT]);
    fill();
    [unseen, unmoved] = ["", stay[1]];
    assertThrows(() => pruneSome(config, Infinity), StoreError, unmoved);
    assertEquals(namesIn(dir), [".prune", unmoved, ...KEPT]);
  } finally {
    Object.assign(Listing.prototype, { visit, remove });
  }
});

/** Prunes piece by piece while the first expired entry cannot be removed. */
function piecesWithFailure(progress?: Progress): string[] {
  const { remove } = Listing.prototype;
  let isFirst = true;
  Listing.prototype.remove = function () {
    if (!isFirst) return remove.call(this);
    isFirst = false;
    throw new StoreError("the first", "stays");
  };
  const results: string[] = [];
  try {
    fill();
    do {
      try {
        withClock(100, () => results.push(pruneSome(config, 1000, progress)));
      } catch (error) {
        assert(error instanceof StoreError, `${error}`);
        results.push(error.message);
      }
      assert(results.length < 50);
    } while (Deno.readTextFileSync(`${dir}/.prune`) !== "");
  } finally {
    Listing.prototype.remove = remove;
  }
  // The rest is gone.
  assertEquals(namesIn(dir).length, 1 + KEPT.length + 1);
  return results;
}

Deno.test("prune: an entry that stays is reported, whichever piece it is in", () => {
  const failed = "the first: stays";
  // A wrapper prunes one piece and ends.
  const alone = piecesWithFailure();
  assert(alone.length > 3);
  assertEquals(alone.filter((result) => result === failed).length, 1);
  assert(alone.indexOf(failed) < alone.length - 1, `${alone}`);
  assertEquals(alone.pop(), "done");
  assertEquals(new Set(alone), new Set([failed, "more"]));
  // A thread of serve makes all of them.
  const together = piecesWithFailure({ position: 0n });
  assertEquals(together.pop(), failed);
  assert(together.length > 3);
  assertEquals(together, together.map(() => "more"));
});

Deno.test("prune: an entry that another process removes is not counted", () => {
  const { remove } = Listing.prototype;
  Listing.prototype.remove = function () {
    remove.call(this);
    return remove.call(this);
  };
  try {
    fill();
    assertEquals(prune(config), { removed: 0, seen: 2 });
  } finally {
    Object.assign(Listing.prototype, { remove });
  }
});

Deno.test("prune: a failure is reported if another process goes on with the run", () => {
  emptyDir("prune");
  const other = Bookmark.take(dir)!;
  assertEquals(pruneSome(config, 1000, { position: 1n }), "busy");
  const failure = new StoreError(`${dir}/a`, "stays");
  assertThrows(
    () => pruneSome(config, 1000, { position: 1n, failure }),
    StoreError,
    "stays",
  );
  other.leave(0n);
});
