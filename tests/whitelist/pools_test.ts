import { assertEquals } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import { resolveConfig } from "../../lib/config/resolve.ts";
import type { Config } from "../../lib/config.ts";
import type { Files } from "../../lib/whitelist/exemption.ts";
import { searchFile } from "../../lib/whitelist/file.ts";
import { findPool, isPoolName } from "../../lib/whitelist/pools.ts";

const POOLS: Config["pools"] = [
  { name: "one", networks: ["192.0.2.0/24", "2001:db8::/32"] },
  { name: "two", hosts: [".two.example"], files: ["/two"] },
  { name: "three", files: ["/three"] },
  { name: "four", hosts: ["four.example"] },
];

const FILES: Record<string, string> = {
  "/two": "198.51.100.0/24 # spf\n192.0.2.0/24\n",
  "/three": "198.51.100.0/25\n203.0.113.0/24\n",
};

/** The pool of a client, and the files that were read for it. */
function find(ip: string, host?: string, list = POOLS) {
  const read: string[] = [];
  const warnings: string[] = [];
  const files: Files = {
    section: "pools",
    search(path, client) {
      read.push(path);
      if (FILES[path] === undefined) throw new Error("No such file");
      return searchFile(FILES[path], client);
    },
    warn: (message) => warnings.push(message),
  };
  const { pools } = resolveConfig({ baseDir: "/x", pools: list });
  const pool = findPool(pools, { address: parseAddress(ip), host }, files);
  return { pool: pool?.name, read, warnings };
}

Deno.test("pools: the first in the list that has the client", () => {
  const cases: [string, string | undefined, string | undefined][] = [
    ["192.0.2.7", undefined, "one"],
    ["2001:db8::7", undefined, "one"],
    ["198.51.100.7", undefined, "two"],
    ["203.0.113.7", undefined, "three"],
    ["10.0.0.1", "mx.two.example", "two"],
    ["203.0.113.7", "mx.two.example", "two"],
    // A file of an earlier pool counts before a rule of a later one.
    ["198.51.100.7", "mx.four.example", "two"],
    ["10.0.0.1", "mx.four.example", "four"],
    ["10.0.0.1", "two.example", undefined],
    ["10.0.0.1", undefined, undefined],
  ];
  for (const [ip, host, pool] of cases) {
    assertEquals(find(ip, host).pool, pool, `${ip} ${host}`);
  }
  const [, ...others] = POOLS!;
  const { pool } = find("198.51.100.7", "mx.four.example", others);
  assertEquals(pool, "two", "a file of the very first pool");
  const single = find("203.0.113.7", undefined, POOLS!.slice(2, 3));
  assertEquals(single.pool, "three", "the only file");
});

Deno.test("pools: files behind the pool that was found are not read", () => {
  assertEquals(find("192.0.2.7").read, []);
  assertEquals(find("198.51.100.7").read, ["/two"]);
  assertEquals(find("10.0.0.1").read, ["/two", "/three"]);
});

Deno.test("pools: a file that is missing is warned of, the others count", () => {
  const { "/two": text } = FILES;
  delete FILES["/two"];
  try {
    assertEquals(find("203.0.113.7"), {
      pool: "three",
      read: ["/two", "/three"],
      warnings: [
        "pools file /two: No such file: create it, or take it out of " +
        "pools.files",
      ],
    });
  } finally {
    FILES["/two"] = text;
  }
});

Deno.test("pools: names", () => {
  for (const name of ["a", "google", "Big-1.example", "7", "x".repeat(64)]) {
    assertEquals(isPoolName(name), true, name);
  }
  for (
    const name of [
      "",
      "@a",
      ".a",
      "a.",
      "-a",
      "a/b",
      "a b",
      "a\n",
      "é",
      "x".repeat(65),
    ]
  ) assertEquals(isPoolName(name), false, name);
});
