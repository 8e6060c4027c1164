import { assert, assertEquals } from "@std/assert";
import {
  contains,
  formatNetwork,
  type Network,
  parseNetwork,
} from "../../lib/address.ts";
import { excess, minimal } from "../../lib/spf/networks.ts";

function network(text: string): Network {
  const parsed = parseNetwork(text);
  assert(parsed !== undefined, text);
  return parsed;
}

/** Merges networks, each of which is its own origin unless one is given. */
function merge(...texts: (string | [string, ...string[]])[]) {
  const list = texts.map((entry) => {
    const [text, ...origins] = typeof entry === "string"
      ? [entry, entry]
      : entry;
    return { network: network(text), origins };
  });
  return minimal(list)
    .map(({ network, origins }) => [formatNetwork(network), ...origins]);
}

function names(...texts: string[]): string[] {
  return merge(...texts).map(([name]) => name);
}

Deno.test("spf networks: sorted, IPv4 first, as numbers", () => {
  assertEquals(
    names("2001:db8::/32", "192.0.2.0/24", "10.0.0.0/8", "9.0.0.0/8", "::1"),
    ["9.0.0.0/8", "10.0.0.0/8", "192.0.2.0/24", "::1/128", "2001:db8::/32"],
  );
  assertEquals(names(), []);
});

Deno.test("spf networks: a network inside another is left out, its origin stays", () => {
  assertEquals(
    merge(["192.0.2.7", "host"], ["192.0.2.0/24", "net"], ["192.0.2.9", "net"]),
    [["192.0.2.0/24", "net", "host"]],
  );
});

Deno.test("spf networks: two halves become one network, repeatedly", () => {
  assertEquals(
    merge("192.0.2.0/26", "192.0.2.64/26", "192.0.2.128/25"),
    [["192.0.2.0/24", "192.0.2.0/26", "192.0.2.64/26", "192.0.2.128/25"]],
  );
  const hosts = Array.from({ length: 256 }, (_, i) => `198.51.100.${255 - i}`);
  assertEquals(names(...hosts), ["198.51.100.0/24"]);
  assertEquals(names("2001:db8::/33", "2001:db8:8000::/33"), ["2001:db8::/32"]);
  assertEquals(names("0.0.0.0/1", "128.0.0.0/1", "::/0"), [
    "0.0.0.0/0",
    "::/0",
  ]);
});

Deno.test("spf networks: neighbours that are no halves of one stay two", () => {
  const neighbours = ["192.0.1.0/24", "192.0.2.0/24"];
  assertEquals(names(...neighbours), neighbours);
  const mixed = ["192.0.2.0/25", "192.0.2.128/26"];
  assertEquals(names(...mixed), mixed);
});

Deno.test("spf networks: more than an IPv4 /8 or an IPv6 /16 is too much", () => {
  const widest = (...texts: string[]) => {
    const list = texts.map((text) => ({ network: network(text), origins: [] }));
    const found = excess(minimal(list));
    return found && formatNetwork(found.network);
  };
  const eights = Array.from({ length: 112 }, (_, i) => `${2 * i + 1}.0.0.0/8`);
  const cases: [string[], string | undefined][] = [
    [[], undefined],
    [["10.0.0.0/8", "2001::/16"], undefined],
    [["10.0.0.0/9", "10.128.0.0/9"], undefined],
    [["10.0.0.0/8", "10.1.0.0/16"], undefined],
    [["10.0.0.0/7"], "10.0.0.0/7"],
    [["10.0.0.0/8", "11.0.0.0/8"], "10.0.0.0/7"],
    [["10.0.0.0/8", "192.0.2.1"], "10.0.0.0/8"],
    [["192.0.2.1", "10.0.0.0/9", "12.0.0.0/8"], "12.0.0.0/8"],
    [eights, "1.0.0.0/8"],
    [["0.0.0.0/0", "::/0"], "0.0.0.0/0"],
    [["192.0.2.1", "2000::/15"], "2000::/15"],
    [["2001::/16", "2003::1"], "2001::/16"],
  ];
  for (const [texts, expected] of cases) {
    assertEquals(widest(...texts), expected, texts.join(" "));
  }
});

Deno.test("spf networks: the same addresses in the fewest networks", () => {
  // Every set of networks inside a /28 is checked address by address against
  // what a search for the largest aligned blocks finds.
  let seed = 20_060_301;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor(seed / 2 ** 16) % below;
  };
  for (let round = 0; round < 500; round++) {
    const list = Array.from({ length: 1 + random(8) }, () => {
      const prefix = 28 + random(5);
      const size = 2 ** (32 - prefix);
      const start = random(16 / size) * size;
      return network(`192.0.2.${start}/${prefix}`);
    });
    const address = (i: number) => network(`192.0.2.${i}/32`);
    const inside = Array.from(
      { length: 16 },
      (_, i) => list.some((n) => contains(n, address(i))),
    );
    const expected: string[] = [];
    for (let at = 0; at < 16;) {
      let size = 16;
      while (
        size > 0 &&
        (at % size !== 0 || !inside.slice(at, at + size).every((x) => x))
      ) size = Math.floor(size / 2);
      if (size > 0) expected.push(`192.0.2.${at}/${32 - Math.log2(size)}`);
      at += Math.max(size, 1);
    }
    const got = minimal(list.map((network) => ({ network, origins: [] })))
      .map(({ network }) => formatNetwork(network));
    assertEquals(got, expected, list.map(formatNetwork).join(" "));
  }
});
