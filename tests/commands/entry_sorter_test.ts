import { assertEquals } from "@std/assert";
import { EntrySorter, type Key } from "../../lib/commands/entry_sorter.ts";
import type { Listed } from "../../lib/store/listing.ts";

function entry(name: string, values: Partial<Listed> = {}): Listed {
  return { name, accepted: 0, mtime: 1e9, first: 1e9, ...values };
}

function sorted(key: Key, entries: Listed[]): Listed[] {
  const sorter = new EntrySorter(key);
  for (const entry of entries) sorter.add(entry);
  return [...sorter.entries()];
}

const names = (entries: Listed[]) => entries.map(({ name }) => name);

Deno.test("entry sorter: addresses upwards, by number and not by text", () => {
  const order = [
    // Pools have no address.
    "@a-pool",
    "@google",
    "@microsoft.example",
    "0.0.0.0",
    "9.0.0.0_24",
    "10.0.0.0_8",
    "10.0.0.0_16",
    "10.0.0.0_24",
    "10.0.0.0",
    "10.0.0.1",
    "128.0.0.0_24",
    "192.0.2.0_24",
    "255.255.255.255",
    "::_64",
    "::1",
    "2001:db8::_32",
    "2001:db8::_64",
    "2001:db8::17",
    "2001:db8:0:1::_64",
    "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::_64",
  ];
  const mixed = order.toSorted((a, b) => a.length - b.length);
  for (const given of [order, order.toReversed(), mixed]) {
    assertEquals(
      names(sorted("address", given.map((name) => entry(name)))),
      order,
    );
  }
});

Deno.test("entry sorter: numbers downwards, equals as they came", () => {
  const entries = [
    entry("192.0.2.1", { accepted: 1, mtime: 300.5, first: 7 }),
    entry("192.0.2.2", { accepted: 9, mtime: 300.25, first: 9 }),
    entry("192.0.2.3", { accepted: 1, mtime: 1e10, first: undefined }),
    entry("192.0.2.4", { accepted: 2 ** 40, mtime: -5, first: 8 }),
    entry("192.0.2.5", { accepted: 1, mtime: 0, first: undefined }),
  ];
  const last = (key: Key) =>
    names(sorted(key, entries)).map((name) => name.at(-1)).join("");
  assertEquals(last("accepted"), "42135");
  assertEquals(last("last"), "31254");
  // What is not known stands at the end.
  assertEquals(last("first"), "24135");
});

Deno.test("entry sorter: gives back what it got, past its first size", () => {
  const entries: Listed[] = [];
  for (let i = 0; i < 5000; i++) {
    const [a, b] = [i >> 8, i & 255];
    entries.push(entry(
      i % 2 ? `10.${a}.${b}.0_24` : `2001:db8:${(i + 1).toString(16)}::_48`,
      {
        accepted: i,
        mtime: 2e9 - i + 0.125,
        first: i % 3 ? i + 0.5 : undefined,
      },
    ));
  }
  assertEquals(sorted("accepted", entries), entries.toReversed());
  assertEquals(sorted("last", entries), entries);
});

Deno.test("entry sorter: nothing to sort", () => {
  assertEquals(sorted("address", []), []);
});
