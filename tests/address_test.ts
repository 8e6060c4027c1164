import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Address,
  clientNetwork,
  contains,
  covers,
  formatAddress,
  formatNetwork,
  isSameAddress,
  networkOf,
  parseAddress,
  parseBracketed,
  parseNetwork,
  parseNetworkRule,
  width,
} from "../lib/address.ts";

/** The canonical text of what was parsed, undefined if it is no address. */
function canonical(text: string): string | undefined {
  const address = parseAddress(text);
  return address && formatAddress(address);
}

/** The address, which the test knows to be one. */
function ip(text: string): Address {
  const address = parseAddress(text);
  assert(address !== undefined, `${text} is no address`);
  return address;
}

/** Numbers below 2^32 that look random and are the same each time. */
function* numbers(seed: number): Generator<bigint> {
  for (let state = seed;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    // The low bits of such a generator are poor.
    yield BigInt((state ^ (state >>> 16)) >>> 0);
  }
}

/** Addresses of every shape: random, and with groups of zeros. */
function* addresses(count: number): Generator<Address> {
  const random = numbers(1);
  const next = () => random.next().value as bigint;
  for (let i = 0; i < count; i++) {
    yield { family: 4, value: next() };
    let value = 0n;
    const shape = next();
    for (let group = 0n; group < 8n; group++) {
      const zero = (shape >> group & 1n) === 1n;
      value = value << 16n | (zero ? 0n : next() & 0xffffn);
    }
    if (value >> 32n !== 0xffffn) yield { family: 6, value };
  }
}

const CANONICAL: Record<string, string> = {
  // IPv4.
  "0.0.0.0": "0.0.0.0",
  "255.255.255.255": "255.255.255.255",
  "192.0.2.1": "192.0.2.1",
  // RFC 4291 section 2.2.
  "ABCD:EF01:2345:6789:ABCD:EF01:2345:6789":
    "abcd:ef01:2345:6789:abcd:ef01:2345:6789",
  "2001:DB8:0:0:8:800:200C:417A": "2001:db8::8:800:200c:417a",
  "FF01:0:0:0:0:0:0:101": "ff01::101",
  "0:0:0:0:0:0:0:1": "::1",
  "0:0:0:0:0:0:0:0": "::",
  "::": "::",
  "::1": "::1",
  "1::": "1::",
  "0:0:0:0:0:0:13.1.68.3": "::d01:4403",
  "::13.1.68.3": "::d01:4403",
  "2001:0DB8:0:CD30::": "2001:db8:0:cd30::",
  // RFC 5952 section 1 and 2: all of one address.
  "2001:db8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
  "2001:0db8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
  "2001:db8::1:0:0:1": "2001:db8::1:0:0:1",
  "2001:db8::0:1:0:0:1": "2001:db8::1:0:0:1",
  "2001:0db8::1:0:0:1": "2001:db8::1:0:0:1",
  "2001:db8:0:0:1::1": "2001:db8::1:0:0:1",
  "2001:db8:0000:0:1::1": "2001:db8::1:0:0:1",
  "2001:DB8:0:0:1::1": "2001:db8::1:0:0:1",
  // Section 2.1: leading zeros.
  "2001:db8:aaaa:bbbb:cccc:dddd:eeee:0001":
    "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1",
  "2001:db8:aaaa:bbbb:cccc:dddd:eeee:001":
    "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1",
  "2001:db8:aaaa:bbbb:cccc:dddd:eeee:01": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1",
  "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1",
  // Section 2.2: one group of zeros, and several.
  "2001:db8:aaaa:bbbb:cccc:dddd::1": "2001:db8:aaaa:bbbb:cccc:dddd:0:1",
  "2001:db8:aaaa:bbbb:cccc:dddd:0:1": "2001:db8:aaaa:bbbb:cccc:dddd:0:1",
  "2001:db8:0:0:0::1": "2001:db8::1",
  "2001:db8:0:0::1": "2001:db8::1",
  "2001:db8:0::1": "2001:db8::1",
  "2001:db8::1": "2001:db8::1",
  "2001:db8::aaaa:0:0:1": "2001:db8::aaaa:0:0:1",
  "2001:db8:0:0:aaaa::1": "2001:db8::aaaa:0:0:1",
  // Section 2.3: upper case.
  "2001:db8:aaaa:bbbb:cccc:dddd:eeee:AaAa":
    "2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa",
  // Section 4.2.
  "2001:db8:0:0:0:0:2:1": "2001:db8::2:1",
  "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
  "2001:db8::1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
  "2001:0:0:1:0:0:0:1": "2001:0:0:1::1",
  // The run at either end, and of either of two.
  "0:0:1:0:0:0:0:0": "0:0:1::",
  "0:0:0:1:0:0:0:1": "::1:0:0:0:1",
  "1:0:0:0:0:0:0:0": "1::",
  "0:1:0:1:0:1:0:1": "0:1:0:1:0:1:0:1",
  "1:0:1:0:1:0:1:0": "1:0:1:0:1:0:1:0",
  "::2:3:4:5:6:7:8": "0:2:3:4:5:6:7:8",
  "1:2:3:4:5:6:7::": "1:2:3:4:5:6:7:0",
  "fe80::1": "fe80::1",
  // IPv4-mapped is IPv4, in every form (RFC 4291 section 2.5.5.2).
  "::ffff:192.0.2.1": "192.0.2.1",
  "::FFFF:192.0.2.1": "192.0.2.1",
  "::ffff:c000:201": "192.0.2.1",
  "0:0:0:0:0:ffff:192.0.2.1": "192.0.2.1",
  "0:0:0:0:0:ffff:c000:201": "192.0.2.1",
  "0000:0000:0000:0000:0000:ffff:255.255.255.255": "255.255.255.255",
  "::ffff:0:0": "0.0.0.0",
  "::ffff:0.0.0.0": "0.0.0.0",
  // Close to it, and not it.
  "::fffe:192.0.2.1": "::fffe:c000:201",
  "::1:ffff:192.0.2.1": "::1:ffff:c000:201",
  "::ffff:0:192.0.2.1": "::ffff:0:c000:201",
  "64:ff9b::192.0.2.33": "64:ff9b::c000:221",
};

Deno.test("address: canonical text", () => {
  for (const [text, expected] of Object.entries(CANONICAL)) {
    assertEquals(canonical(text), expected, text);
  }
});

const NO_ADDRESS = [
  "",
  " ",
  // IPv4.
  "1",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.",
  ".1.2.3",
  "1..2.3",
  "1.2.3.4.",
  "256.0.0.1",
  "1.2.3.256",
  "1.2.3.1000",
  "01.2.3.4",
  "1.2.3.00",
  "1.2.3.+4",
  "1.2.3.-4",
  "1.2.3.0x4",
  "1.2.3.-0",
  "1.2.3.NaN",
  "1.2.3.Infinity",
  "1.2.3.2e1",
  "1.2.3. ",
  "1.2.3.4e0",
  "1,2,3,4",
  "16909060",
  "0x01020304",
  " 1.2.3.4",
  "1.2.3.4 ",
  "1.2.3.4\n",
  "1.2.3.4\0",
  "1.2. 3.4",
  "1.2.3.4/32",
  "1.2.3.4:25",
  "١.٢.٣.٤",
  "１.2.3.4",
  // IPv6.
  ":",
  ":::",
  "::::",
  "1",
  "1:",
  ":1",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:",
  ":1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7:8:",
  ":1:2:3:4:5:6:7:8",
  "1::2::3",
  "::1::",
  ":::1",
  "1:::",
  "1:::2",
  // "::" stands for a group at least.
  "1:2:3:4:5:6:7:8::",
  "1:2:3:4:5:6:7:8::9::a",
  "::1:2:3:4:5:6:7:8",
  "1:2:3:4::5:6:7:8",
  "1:2:3:4:5:6::1.2.3.4",
  "12345::",
  "00001::",
  "g::",
  "::-1",
  "::+1",
  "::0x1",
  "::1 ",
  " ::1",
  "::1\n",
  ":: 1",
  "[::1]",
  "::1%lo",
  "fe80::1%eth0",
  "fe80::1%25",
  "::1/128",
  "::1.2.3",
  "::1.2.3.4.5",
  "::1.2.3.256",
  "::01.2.3.4",
  "1.2.3.4::",
  "1.2.3.4::1",
  "::1.2.3.4:1",
  "1:2:3:4:5:6:7:1.2.3.4",
  "1:2:3:4:5:1.2.3.4",
  "::ffff:1.2.3.4:0",
  "2001:db8::1::",
  "../../etc/passwd",
  "%0a",
  "localhost",
  "undefined",
  // Long.
  "1".repeat(5000),
  "1.".repeat(2500),
  "1:".repeat(2500),
  ":".repeat(5000),
  "::" + "0".repeat(5000) + "1",
  "0".repeat(4998) + "::1",
  "::1" + " ".repeat(5000),
];

Deno.test("address: what is none", () => {
  for (const text of NO_ADDRESS) {
    assertEquals(parseAddress(text), undefined, text.slice(0, 60));
  }
});

Deno.test("address: values", () => {
  assertEquals(ip("1.2.3.4"), { family: 4, value: 0x01020304n });
  assertEquals(ip("::ffff:1.2.3.4"), { family: 4, value: 0x01020304n });
  assertEquals(ip("1:2:3:4:5:6:7:8"), {
    family: 6,
    value: 0x0001_0002_0003_0004_0005_0006_0007_0008n,
  });
  assertEquals([width(4), width(6)], [32, 128]);
});

Deno.test("address: its text is that address again", () => {
  for (const address of addresses(3000)) {
    const text = formatAddress(address);
    assertEquals(parseAddress(text), address, text);
    assertEquals(canonical(text.toUpperCase()), text);
  }
});

Deno.test("address: every form of one address means the same", () => {
  for (const { family, value } of addresses(300)) {
    if (family === 4) continue;
    const groups = [];
    for (let shift = 112n; shift >= 0n; shift -= 16n) {
      groups.push((value >> shift & 0xffffn).toString(16));
    }
    const forms = [
      groups.join(":"),
      groups.map((group) => group.padStart(4, "0")).join(":"),
      groups.slice(0, 6).join(":") + ":" +
      formatAddress({ family: 4, value: value & 0xffffffffn }),
    ];
    for (let start = 0; start < 8; start++) {
      for (let end = start + 1; end <= 8; end++) {
        if (groups.slice(start, end).some((group) => group !== "0")) break;
        forms.push(
          groups.slice(0, start).join(":") + "::" + groups.slice(end).join(":"),
        );
      }
    }
    for (const form of forms) {
      assertEquals(parseAddress(form)?.value, value, form);
    }
  }
});

Deno.test("address: in brackets, or without", () => {
  const cases: [string, string | undefined][] = [
    ["[192.0.2.1]", "192.0.2.1"],
    ["192.0.2.1", "192.0.2.1"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["[192.0.2.10", undefined],
    ["1192.0.2.1]", undefined],
    ["[[192.0.2.1]]", undefined],
    ["[]", undefined],
  ];
  for (const [text, expected] of cases) {
    const address = parseBracketed(text);
    assertEquals(address && formatAddress(address), expected, text);
  }
});

const NETWORKS: Record<string, string> = {
  "192.0.2.0/24": "192.0.2.0/24",
  "192.0.2.1": "192.0.2.1/32",
  "192.0.2.1/32": "192.0.2.1/32",
  "0.0.0.0/0": "0.0.0.0/0",
  "128.0.0.0/1": "128.0.0.0/1",
  "10.0.0.0/8": "10.0.0.0/8",
  "255.255.255.254/31": "255.255.255.254/31",
  "::/0": "::/0",
  "8000::/1": "8000::/1",
  "2001:DB8::/32": "2001:db8::/32",
  "2001:db8::1": "2001:db8::1/128",
  "2001:db8::1/128": "2001:db8::1/128",
  // RFC 4291 section 2.3: forms of one 60 bit prefix.
  "2001:0DB8:0000:CD30:0000:0000:0000:0000/60": "2001:db8:0:cd30::/60",
  "2001:0DB8::CD30:0:0:0:0/60": "2001:db8:0:cd30::/60",
  "2001:0DB8:0:CD30::/60": "2001:db8:0:cd30::/60",
  // Mapped.
  "::ffff:192.0.2.1": "192.0.2.1/32",
  "::ffff:192.0.2.1/128": "192.0.2.1/32",
  "::ffff:192.0.2.0/120": "192.0.2.0/24",
  "::ffff:c000:200/120": "192.0.2.0/24",
  "::ffff:0:0/96": "0.0.0.0/0",
  "::ffff:0.0.0.0/96": "0.0.0.0/0",
  "::fffe:0:0/95": "::fffe:0:0/95",
};

Deno.test("network: canonical text", () => {
  for (const [text, expected] of Object.entries(NETWORKS)) {
    const network = parseNetwork(text);
    assertEquals(network && formatNetwork(network), expected, text);
  }
});

const NO_NETWORK = [
  "",
  "/",
  "/24",
  "192.0.2.0/",
  "192.0.2.0/33",
  "10.0.0.1/33",
  "192.0.2.0/-1",
  "192.0.2.0/+24",
  "192.0.2.0/024",
  "192.0.2.0/00",
  "192.0.2.0/24 ",
  "192.0.2.0 /24",
  "192.0.2.0/ 24",
  "192.0.2.0/24/24",
  "192.0.2.0//24",
  "192.0.2.0/2e1",
  "192.0.2.0/24.0",
  "192.0.2.0/255.255.255.0",
  "192.0.2.0_24",
  "192.0.2/24",
  "2001:db8::/129",
  "2001:db8::/1000",
  "2001:db8::/",
  "fe80::%eth0/64",
  "[2001:db8::]/32",
  // The 95 bits and fewer before the mapped part are no IPv4 network.
  "::ffff:0:0/95",
  "::ffff:192.0.2.0/24",
  "::ffff:0:0/0",
  "::ffff:192.0.2.0/129",
  // RFC 4291 section 2.3: these are not the same 60 bit prefix.
  "2001:0DB8:0:CD3/60",
  "2001:0DB8::CD3/60",
  // Host bits.
  "10.0.0.1/8",
  "10.0.0.1/0",
  "192.0.2.1/31",
  "2001:db8::1/64",
  "2001:db8::1/127",
  "::1/0",
  "::ffff:192.0.2.1/120",
  "1.2.3.4/" + "0".repeat(5000),
  "1.2.3.4/" + "9".repeat(5000),
];

Deno.test("network: what is none", () => {
  for (const text of NO_NETWORK) {
    assertEquals(parseNetwork(text), undefined, text.slice(0, 60));
  }
});

Deno.test("network: every prefix length, both edges", () => {
  for (
    const text of ["203.0.113.181", "2001:db8:5a5a:a5a5:dead:beef:1234:5b"]
  ) {
    const address = ip(text);
    const { family, value } = address;
    const bits = width(family);
    const all = (1n << BigInt(bits)) - 1n;
    for (let prefix = 0; prefix <= bits; prefix++) {
      const size = 1n << BigInt(bits - prefix);
      const network = networkOf(address, prefix);
      const name = formatNetwork(network);
      assertEquals(network.value, value - value % size, name);
      assertEquals(network.prefix, prefix);
      assertEquals(parseNetwork(name), network, name);
      assertEquals(networkOf(network, prefix), network, name);
      const has = (value: bigint) => contains(network, { family, value });
      const last = network.value + size - 1n;
      assert(has(value), name);
      assert(has(network.value), name);
      assert(has(last), name);
      assertEquals(network.value > 0n && has(network.value - 1n), false, name);
      assertEquals(last < all && has(last + 1n), false, name);
    }
  }
});

Deno.test("network: the prefix length of a client is that of its family", () => {
  const client = (text: string) =>
    formatNetwork(clientNetwork(ip(text), { ipv4: 24, ipv6: 56 }));
  assertEquals(client("192.0.2.7"), "192.0.2.0/24");
  assertEquals(client("::ffff:192.0.2.7"), "192.0.2.0/24");
  assertEquals(client("2001:db8:0:1ff::7"), "2001:db8:0:100::/56");
});

Deno.test("network: prefix lengths that do not fit", () => {
  const cases: [string, number][] = [
    ["192.0.2.1", -1],
    ["192.0.2.1", 33],
    ["192.0.2.1", 23.5],
    ["192.0.2.1", NaN],
    ["::1", 129],
    ["::1", Infinity],
  ];
  for (const [text, prefix] of cases) {
    const bits = text.includes(":") ? 128 : 32;
    const family = text.includes(":") ? 6 : 4;
    assertThrows(
      () => networkOf(ip(text), prefix),
      RangeError,
      `prefix length ${prefix}: expected 0 to ${bits} for IPv${family}`,
    );
  }
});

Deno.test("network: the families never mix", () => {
  const cases: [string, string, boolean][] = [
    ["0.0.0.0/0", "255.255.255.255", true],
    ["0.0.0.0/0", "::1", false],
    ["0.0.0.0/0", "::ffff:192.0.2.1", true],
    ["::/0", "::1", true],
    ["::/0", "0.0.0.1", false],
    ["::/0", "::ffff:192.0.2.1", false],
    ["::/96", "0.0.0.1", false],
    ["0.0.0.1", "::1", false],
    ["::1", "0.0.0.1", false],
    ["::ffff:0:0/96", "192.0.2.1", true],
    ["::ffff:0:0/96", "::1", false],
    ["::fffe:0:0/95", "192.0.2.1", false],
  ];
  for (const [network, address, expected] of cases) {
    const actual = contains(parseNetwork(network)!, ip(address));
    assertEquals(actual, expected, `${network} ${address}`);
  }
});

Deno.test("network rule: the first numbers of an IPv4 address", () => {
  const cases: [string, string | undefined][] = [
    ["10.", "10.0.0.0/8"],
    ["10.9", "10.9.0.0/16"],
    ["10.9.", "10.9.0.0/16"],
    ["10.9.8", "10.9.8.0/24"],
    ["10.9.8.", "10.9.8.0/24"],
    ["0.", "0.0.0.0/8"],
    // Anything else is what it is without this form.
    ["10.9.8.7", "10.9.8.7/32"],
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["2001:db8::/32", "2001:db8::/32"],
    ["10", undefined],
    ["10.9.8.7.", undefined],
    ["10.9/16", undefined],
    ["010.", undefined],
    ["256.", undefined],
    ["10..", undefined],
    [".10.", undefined],
    ["10.9.8.0/8", undefined],
    [" 10.", undefined],
    ["10.\n", undefined],
    ["", undefined],
    [".", undefined],
  ];
  for (const [text, expected] of cases) {
    const network = parseNetworkRule(text);
    assertEquals(network && formatNetwork(network), expected, text);
  }
});

Deno.test("addresses that are the same one", () => {
  const same = (one: string, other: string) =>
    isSameAddress(parseAddress(one), parseAddress(other));
  assertEquals(same("192.0.2.7", "192.0.2.7"), true);
  assertEquals(same("2001:db8::7", "2001:DB8:0:0:0:0:0:7"), true);
  assertEquals(same("192.0.2.7", "192.0.2.8"), false);
  // The same value of another family.
  assertEquals(same("0.0.0.7", "::7"), false);
  assertEquals(same("no address", "192.0.2.7"), false);
  assertEquals(same("no address", "no address"), false);
});

Deno.test("address: whether one network covers another", () => {
  const network = (text: string) => parseNetwork(text)!;
  const yes = [["10.0.0.0/8", "10.1.0.0/16"], ["10.0.0.0/8", "10.0.0.0/8"]];
  const no = [
    ["10.1.0.0/16", "10.0.0.0/8"],
    ["10.0.0.0/16", "10.0.0.0/8"],
    ["10.0.0.0/8", "11.0.0.0/16"],
    ["0.0.0.0/0", "::1"],
  ];
  for (const [a, b] of yes) assert(covers(network(a), network(b)));
  for (const [a, b] of no) assert(!covers(network(a), network(b)));
});
