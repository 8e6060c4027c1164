import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import {
  type Listed,
  Listing,
  networkText,
  statesAt,
} from "../../lib/store/listing.ts";
import { isForgotten } from "../../lib/store/policy.ts";
import { entryName, parseEntryName } from "../../lib/store/entry_name.ts";
import { StoreError } from "../../lib/store/store.ts";
import { formatNetwork } from "../../lib/address.ts";
import { makeEntry } from "../harness/entry.ts";
import "../harness/libc.ts";
import { emptyDir, writeFile } from "../harness/root.ts";

// The libraries that are opened once stay open; see harness/libc.ts.
new Listing("/").close();

const TIMEOUTS = { delay: 60, retryWindow: 86400, expireAfter: 36 * 86400 };
const DAY = 86400;

/**
 * The entries from here on.
 *
 * @param most stops after so many
 */
function entriesOf(listing: Listing, most = Infinity): Listed[] {
  const entries: Listed[] = [];
  listing.visit((name, accepted, mtime, first) => {
    entries.push({ name, accepted, mtime, first });
    return entries.length === most;
  });
  return entries;
}

function list(dir: string, wanted?: (name: string) => boolean) {
  const listing = new Listing(dir, wanted);
  const entries = entriesOf(listing);
  listing.close();
  return {
    names: entries.map(({ name }) => name).sort(),
    entries,
    foreign: listing.foreign,
  };
}

const OURS = [
  "0.0.0.0",
  "0.0.0.0_1",
  "0.0.0.0_24",
  "10.0.0.0_8",
  "10.1.0.0_16",
  "192.0.2.0",
  "192.0.2.0_24",
  "192.0.2.0_25",
  "192.0.2.17",
  "192.0.2.4_30",
  "199.249.209.250",
  "255.255.255.0_24",
  "255.255.255.255",
  "2001:db8::",
  "2001:db8::17",
  "2001:db8::_32",
  "2001:db8:0:1::_64",
  "::_64",
  "::1",
];

const FOREIGN = [
  "192.0.2.1_24",
  "192.0.2.10_24",
  "192.0.2.0_32",
  "192.0.2.0_33",
  "192.0.2.0_024",
  "192.0.2.0_",
  "192.0.2.0-24",
  "192.0.2.0_24_24",
  "192.0.2.0_24 ",
  " 192.0.2.0",
  "192.0.2",
  "192.0.2.256",
  "192.0.2.260",
  "192.0.2.300",
  "192.0.2.00_24",
  "192.0.02.0_24",
  "1192.0.2.0",
  "192.0.2.1.0_24",
  "192a0.2.0",
  "192.0.2.0_24\n",
  "2001:DB8::17",
  "2001:db8:0:0:0:0:0:17",
  "2001:db8::1_64",
  "2001:db8::_128",
  "::ffff:192.0.2.1",
  "README",
  "ünï",
  "192.0.2.１",
];

Deno.test("listing: which names are entries", () => {
  const dir = emptyDir("listing");
  for (const name of [...OURS, ...FOREIGN, ".prune", ".192.0.2.9"]) {
    makeEntry(name, 0, 0, dir);
  }
  Deno.mkdirSync(`${dir}/lost+found`);
  const { names, foreign } = list(dir);
  assertEquals(names, OURS.toSorted());
  assertEquals(foreign.count, FOREIGN.length);
  assertEquals(FOREIGN.includes(foreign.example!), true);
});

Deno.test("listing: the same names as the store's", () => {
  // Each octet and each prefix length in every place.
  const dir = emptyDir("listing");
  const names: string[] = [];
  for (let i = 0; i <= 300; i++) {
    for (
      const name of [
        `${i}.0.0.0`,
        `1.${i}.2.0_24`,
        `1.2.${i}.0_24`,
        `1.2.3.${i}`,
        `1.2.3.${i}_24`,
        `1.2.0.0_${i}`,
        `2001:db8::_${i}`,
        `2001:db8::${i}`,
      ]
    ) {
      if (names.includes(name)) continue;
      names.push(name);
      makeEntry(name, 0, 0, dir);
    }
  }
  const ours = names.filter((name) => parseEntryName(name) !== undefined);
  assertEquals(list(dir).names, ours.sort());
  for (const name of ours) assertEquals(entryName(parseEntryName(name)!), name);
});

Deno.test("listing: the text of a network", () => {
  for (const name of OURS) {
    assertEquals(networkText(name), formatNetwork(parseEntryName(name)!));
  }
});

Deno.test("listing: anything but a regular file is foreign", () => {
  const dir = emptyDir("listing");
  makeEntry("192.0.2.1", 0, 0, dir);
  Deno.symlinkSync("192.0.2.1", `${dir}/192.0.2.2`);
  Deno.mkdirSync(`${dir}/192.0.2.3`);
  const { names, foreign } = list(dir);
  assertEquals(names, ["192.0.2.1"]);
  assertEquals(foreign.count, 2);
});

Deno.test("listing: a foreign name as it is, in any script", () => {
  const dir = emptyDir("listing");
  writeFile("listing/Grüße 中", "");
  assertEquals(list(dir).foreign, { count: 1, example: "Grüße 中" });
});

Deno.test("listing: the fields of an entry", () => {
  const dir = emptyDir("listing");
  makeEntry("192.0.2.0_24", 17, 1000, dir);
  const { mtime, birthtime } = Deno.lstatSync(`${dir}/192.0.2.0_24`);
  const [entry] = list(dir).entries;
  assertEquals(entry, {
    name: "192.0.2.0_24",
    accepted: 17,
    mtime: entry.mtime,
    first: entry.first,
  });
  // Deno rounds down to milliseconds, and seconds with fractions are not exact.
  const assertSame = (seconds: number | undefined, time: Date | null) =>
    assertAlmostEquals((seconds ?? 0) * 1000, time?.getTime() ?? 0, 1.01);
  assertSame(entry.mtime, mtime);
  assertSame(entry.first, birthtime);
});

Deno.test("listing: only the wanted names", () => {
  const dir = emptyDir("listing");
  for (const name of [...OURS, "README"]) makeEntry(name, 0, 0, dir);
  const asked: string[] = [];
  const { names, foreign } = list(dir, (name) => {
    asked.push(name);
    return name.startsWith("192.");
  });
  assertEquals(asked.sort(), OURS.toSorted());
  assertEquals(names, OURS.filter((name) => name.startsWith("192.")).sort());
  assertEquals(foreign.count, 1);
});

Deno.test("listing: it goes on at an earlier position", () => {
  const dir = emptyDir("listing");
  for (const name of [...OURS, "README", ".prune"]) makeEntry(name, 0, 0, dir);
  const all = list(dir).entries.map(({ name }) => name);
  for (let after = 0; after < all.length; after++) {
    const first = new Listing(dir);
    assertEquals(entriesOf(first, after + 1).length, after + 1);
    const place = first.position;
    first.close();
    const second = new Listing(dir);
    second.seek(place);
    const rest = entriesOf(second).map(({ name }) => name);
    second.close();
    assertEquals(rest, all.slice(after + 1));
  }
});

Deno.test("listing: the state of an entry", () => {
  const now = 1_000_000_000;
  const cases: [number, number, string][] = [
    [0, 0, "grey"],
    [0, DAY, "grey"],
    [0, DAY + 0.001, "expired"],
    [0, -DAY, "grey"],
    [1, DAY + 1, "known"],
    [1, 36 * DAY, "known"],
    [1, 36 * DAY + 0.001, "expired"],
    [1, -400 * DAY, "known"],
  ];
  for (const [accepted, age, state] of cases) {
    const mtime = now - age;
    const stateOf = statesAt(now, TIMEOUTS);
    assertEquals(stateOf(accepted, mtime), state, `${accepted} ${age}`);
    const forgotten = isForgotten({ accepted, mtime }, now, TIMEOUTS);
    assertEquals(forgotten, state === "expired", `${accepted} ${age}`);
  }
});

Deno.test("listing: removes the entry that is visited", () => {
  const dir = emptyDir("listing");
  for (const name of OURS) makeEntry(name, 0, 0, dir);
  const listing = new Listing(dir);
  listing.visit((name) => {
    if (name.startsWith("192.")) {
      assertEquals(listing.remove(), true);
      assertEquals(listing.remove(), false);
    }
    return false;
  });
  listing.close();
  const kept = OURS.filter((name) => !name.startsWith("192."));
  assertEquals(list(dir).names, kept.sort());
});

Deno.test("listing: an entry that vanishes is left out", () => {
  const dir = emptyDir("listing");
  for (const name of OURS) makeEntry(name, 0, 0, dir);
  const listing = new Listing(dir);
  assertEquals(entriesOf(listing, 1).length, 1);
  // The names are read already, the files are not looked at yet.
  emptyDir("listing");
  assertEquals(entriesOf(listing), []);
  assertEquals(listing.foreign.count, 0);
  listing.close();
});

Deno.test("listing: errors have the path", () => {
  const dir = emptyDir("listing");
  const file = writeFile("listing/file", "");
  assertThrows(
    () => new Listing(`${dir}/none`),
    StoreError,
    `${dir}/none: open: No such file or directory`,
  );
  assertThrows(
    () => new Listing(file),
    StoreError,
    `${file}: open: Not a directory`,
  );
});

Deno.test("listing: entries of pools, and names that only look like some", () => {
  const dir = emptyDir("listing-pools");
  const ours = ["@google", "@a", "@Big-1.example", "192.0.2.0_24"];
  for (const name of ours) makeEntry(name, 1, 0, dir);
  for (const name of ["@", "@-a", "@.a", "@a b", "@a@b", "a@b", "@é"]) {
    makeEntry(name, 1, 0, dir);
  }
  const listing = new Listing(dir);
  const names = entriesOf(listing).map(({ name }) => name);
  assertEquals(names.sort(), ours.sort());
  assertEquals(listing.foreign.count, 7);
  listing.close();
  assertEquals(networkText("@google"), "@google");
});
