import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Address,
  formatAddress,
  parseAddress,
} from "../../lib/address.ts";
import { type Client, searchFile } from "../../lib/whitelist/file.ts";
import { Index, type Reader } from "../../lib/whitelist/index.ts";
import { buildIndex } from "../../lib/whitelist/index_builder.ts";

const SEAL = "the file as it is";

function readerOf(bytes: Uint8Array): Reader {
  return (offset, length) => bytes.subarray(offset, offset + length);
}

/** What the index of a text says about a client. */
function search(text: string, client: Client) {
  const read = readerOf(buildIndex(text, SEAL));
  return Index.open(read, SEAL)?.search(client);
}

function client(ip: string | undefined, host?: string): Client {
  return { address: ip === undefined ? undefined : parseAddress(ip), host };
}

/** Numbers that are the same each time (mulberry32). */
function randomly(seed: number): (below: number) => number {
  return (below) => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) % below;
  };
}

Deno.test("whitelist index: a search finds the same as in the file", () => {
  const random = randomly(1);
  const pick = <T>(items: readonly T[]): T => items[random(items.length)];
  // Few values, so that rules and clients meet.
  const octet = () => pick(["0", "1", "128", "192", "255"]);
  const group = () => pick(["0", "1", "db8", "DB8", "0db8", "2001", "ffff"]);
  const label = () => pick(["a", "b-c", "EXAMPLE", "example", "org", "3", "x"]);
  const name = () =>
    Array.from({ length: 1 + random(4) }, label).join(pick([".", ".", ".."]));
  const ipv4 = () => [octet(), octet(), octet(), octet()].join(".");
  const ipv6 = () => {
    const parts = Array.from({ length: 1 + random(4) }, group).join(":");
    return pick([`${parts}::`, `${parts}::${group()}`, `::${parts}`]);
  };
  const line = () => {
    const rule = pick([
      ipv4,
      () => `${ipv4()}/${random(34)}`,
      () => `${octet()}.0.0.0/${random(9)}`,
      () => `${octet()}.${octet()}.0.0/16`,
      () => `${octet()}.${octet()}.${octet()}${pick(["", "."])}`,
      () => `${octet()}.${octet()}${pick(["", "."])}`,
      ipv6,
      () => `${ipv6()}/${random(130)}`,
      () => `2001:db8::/${pick([16, 31, 32, 33, 48])}`,
      () => `::ffff:${ipv4()}${pick(["", "/120", "/128"])}`,
      () => "::/0",
      name,
      () => `.${name()}`,
      () => `/${pick(["^a", "b-c", "org$", "(", "x", "^[a-c]+\\.", "é"])}/`,
      () => pick(["", "bad line", "10.0.0.1/33", "é.example", "a b", "-"]),
    ])();
    const before = pick(["", "", "", " ", "\t", "\ufeff", "\u00a0"]);
    return before + rule + pick(["", "", "", " ", "\r", " # x", "#x", "é"]);
  };
  const who = (): Client => ({
    address: parseAddress(
      pick([ipv4, ipv6, () => `::ffff:${ipv4()}`, () => ""])(),
    ),
    host: pick([
      () => name().toLowerCase(),
      () => `${name()}.${name()}`.toLowerCase(),
      () => `.${name()}`.toLowerCase(),
      () => pick(["", "\n", "example.org 1\n", "é.example", "192.0", "a."]),
      () => undefined,
    ])(),
  });
  let found = 0;
  for (let file = 0; file < 150; file++) {
    const text = Array.from({ length: random(40) }, line).join("\n") +
      pick(["", "\n"]);
    const read = readerOf(buildIndex(text, SEAL));
    for (let i = 0; i < 40; i++) {
      const caller = who();
      const expected = searchFile(text, caller);
      const shown = JSON.stringify([text, caller.host]) +
        (caller.address ? formatAddress(caller.address as Address) : "");
      assertEquals(Index.open(read, SEAL)?.search(caller), expected, shown);
      if (expected.line !== undefined) found++;
    }
  }
  assert(found > 500 && found < 5500, `${found} of 6000 found`);
});

Deno.test("whitelist index: the first line that exempts is named", () => {
  const text = [
    "bad line",
    "192.0.2.9",
    "192.0.2.0/24",
    "192.0.2.1",
    "another!",
    "/^mx/",
    "example.org",
    ".example.org",
    "mx.example.org",
    "192.0.2.1",
  ].join("\n");
  const cases: [Client, number | undefined, number][] = [
    [client("192.0.2.1"), 3, 1],
    [client("192.0.2.9"), 2, 1],
    [client("192.0.3.9"), undefined, 2],
    [client(undefined, "mx.example.org"), 6, 2],
    [client(undefined, "a.example.org"), 7, 2],
    [client("192.0.2.7", "mx.example.org"), 3, 1],
    [client("192.0.3.7", "mx"), 6, 2],
    [client(undefined), undefined, 2],
  ];
  for (const [who, line, bad] of cases) {
    const found = search(text, who);
    assertEquals(found?.line, line);
    assertEquals(found?.bad.length, bad);
    assertEquals(found, searchFile(text, who));
  }
});

Deno.test("whitelist index: many rules, and how little of them is read", () => {
  const lines = Array.from(
    { length: 20_000 },
    (_, i) =>
      [
        `198.${i >> 8 & 255}.${i & 255}.0/24`,
        `mx${i}.example`,
        `2001:db8:${i.toString(16)}::/48`,
      ][i % 3],
  );
  const text = lines.join("\n");
  const bytes = buildIndex(text, SEAL);
  let read = 0;
  const reader: Reader = (offset, length) => {
    const piece = readerOf(bytes)(offset, length);
    read += piece.length;
    return piece;
  };
  const cases: [Client, number | undefined][] = [
    [client("198.0.3.77"), 4],
    [client(undefined, "a.mx19998.example"), undefined],
    [client(undefined, "a.mx19996.example"), 19_997],
    [client("2001:db8:4e1d:1::5"), 19_998],
    [client("192.0.2.1", "client.example.net"), undefined],
  ];
  for (const [who, line] of cases) {
    assertEquals(Index.open(reader, SEAL)?.search(who), { line, bad: [] });
  }
  assert(read < bytes.length / 5, `${read} of ${bytes.length} bytes`);
});

Deno.test("whitelist index: a long name is looked for as far as the rules go", () => {
  /** The line that is found, and how often the index is read for it. */
  const look = (rule: string) => {
    const others = Array.from(
      { length: 20_000 },
      (_, i) =>
        rule.includes("example")
          ? `mx${i}.example`
          : `198.${i >> 8}.${i & 255}.0/24`,
    );
    const bytes = buildIndex([...others, rule].join("\n"), SEAL);
    let reads = 0;
    const index = Index.open((offset, length) => {
      reads++;
      return readerOf(bytes)(offset, length);
    }, SEAL)!;
    reads = 0;
    const host = `${"a.".repeat(120)}mail.example`;
    const { line } = index.search(client(undefined, host));
    return { line, reads };
  };
  assertEquals(look(".mail.example"), { line: 20_001, reads: 5 });
  assertEquals(look("mail.example"), { line: 20_001, reads: 3 });
  assertEquals(look("192.0.2.1"), { line: undefined, reads: 0 });
});

Deno.test("whitelist index: a long head, and long bad lines", () => {
  const text = Array.from({ length: 1000 }, (_, i) => `/^é${i}$/`).join("\n") +
    `\n${"x!".repeat(100)}\n192.0.2.1\n`;
  assertEquals(search(text, client(undefined, "é999"))?.line, 1000);
  const found = search(text, client("192.0.2.1"));
  assertEquals(found, {
    line: 1002,
    bad: [{ number: 1001, content: "x!".repeat(30) }],
  });
});

Deno.test("whitelist index: a part that is cut short is an error", () => {
  const bytes = buildIndex("mx.example\n", SEAL);
  const parts = new DataView(bytes.buffer).getUint32(0, true);
  const who = client(undefined, "mx.example");
  for (const length of [parts, bytes.indexOf(0x78, parts)]) {
    const index = Index.open(readerOf(bytes.subarray(0, length)), SEAL)!;
    assertThrows(() => index.search(who), Error, "cut short");
  }
  assertEquals(Index.open(readerOf(bytes), SEAL)?.search(who).line, 1);
});

Deno.test("whitelist index: an index of another file, or no index", () => {
  const bytes = buildIndex("192.0.2.1\n", SEAL);
  assertEquals(Index.open(readerOf(bytes), "changed"), undefined);
  const pieces = [
    new Uint8Array(),
    bytes.subarray(0, 100),
    bytes.subarray(0, 4150),
    new Uint8Array(10_000),
    new TextEncoder().encode("192.0.2.1\n".repeat(1000)),
  ];
  for (const piece of pieces) {
    assertEquals(Index.open(readerOf(piece), SEAL), undefined);
  }
});
