import { assertEquals } from "@std/assert";
import { formatAddress } from "../../lib/address.ts";
import {
  LONGEST_HEADER,
  type NoHeader,
  parseProxyHeader,
  type ProxyHeader,
} from "../../lib/serve/proxy_header.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

function show(header: ProxyHeader | NoHeader): unknown {
  if (typeof header === "string") return header;
  const { length, ends } = header;
  if (ends === undefined) return { length };
  const end = ({ address, port }: typeof ends.peer) =>
    `${formatAddress(address)} ${port}`;
  return { length, peer: end(ends.peer), local: end(ends.local) };
}

const SIGNATURE = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10];

function version2(command: number, family: number, rest: number[]) {
  const { length } = rest;
  return Uint8Array.of(
    ...SIGNATURE,
    command,
    family,
    length >> 8,
    length & 0xff,
    ...rest,
  );
}

const IPV4 = [192, 0, 2, 1, 203, 0, 113, 9, 0xdc, 0x04, 0, 25];
const IPV6 = [
  ...[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  ...[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
  ...[0xff, 0xff, 0, 25],
];

Deno.test("parseProxyHeader: version 1 over IPv4 and IPv6", () => {
  const four = "PROXY TCP4 192.0.2.1 203.0.113.9 56324 25\r\n";
  assertEquals(show(parseProxyHeader(bytesOf(four + "EHLO a\r\n"))), {
    length: four.length,
    peer: "192.0.2.1 56324",
    local: "203.0.113.9 25",
  });
  const six = "PROXY TCP6 2001:db8::1 2001:db8::2 65535 25\r\n";
  assertEquals(show(parseProxyHeader(bytesOf(six))), {
    length: six.length,
    peer: "2001:db8::1 65535",
    local: "2001:db8::2 25",
  });
});

Deno.test("parseProxyHeader: UNKNOWN says nothing, whatever follows it", () => {
  for (const rest of ["", " ffff::1 ffff::2 65535 65535", " x"]) {
    const line = `PROXY UNKNOWN${rest}\r\n`;
    assertEquals(parseProxyHeader(bytesOf(line)), { length: line.length });
  }
});

Deno.test("parseProxyHeader: version 2, with and without TLVs behind it", () => {
  assertEquals(show(parseProxyHeader(version2(0x21, 0x11, IPV4))), {
    length: 28,
    peer: "192.0.2.1 56324",
    local: "203.0.113.9 25",
  });
  const withTlv = version2(0x21, 0x21, [...IPV6, 4, 0, 2, 1, 2]);
  assertEquals(show(parseProxyHeader(withTlv)), {
    length: 57,
    peer: "2001:db8::1 65535",
    local: "2001:db8::2 25",
  });
});

Deno.test("parseProxyHeader: IPv4 within IPv6 is IPv4", () => {
  const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
  const bytes = version2(0x21, 0x21, [...mapped, ...mapped, 0, 1, 0, 25]);
  assertEquals(show(parseProxyHeader(bytes)), {
    length: 52,
    peer: "192.0.2.1 1",
    local: "192.0.2.1 25",
  });
});

Deno.test("parseProxyHeader: a health check and another family name no client", () => {
  assertEquals(parseProxyHeader(version2(0x20, 0, [])), { length: 16 });
  assertEquals(parseProxyHeader(version2(0x20, 0x11, IPV4)), { length: 28 });
  // The family of LOCAL counts for nothing, not even if it is a reserved one.
  assertEquals(parseProxyHeader(version2(0x20, 0xff, [])), { length: 16 });
  assertEquals(parseProxyHeader(version2(0x21, 0, [])), { length: 16 });
  // UDP.
  assertEquals(parseProxyHeader(version2(0x21, 0x12, IPV4)), { length: 28 });
  assertEquals(parseProxyHeader(version2(0x21, 0x22, IPV6)), { length: 52 });
  assertEquals(parseProxyHeader(version2(0x21, 0x31, Array(216).fill(1))), {
    length: 232,
  });
});

Deno.test("parseProxyHeader: every beginning of a header is incomplete", () => {
  const headers = [
    bytesOf("PROXY TCP4 192.0.2.1 203.0.113.9 56324 25\r\n"),
    version2(0x21, 0x11, IPV4),
    version2(0x21, 0x21, IPV6),
  ];
  for (const header of headers) {
    for (let length = 0; length < header.length; length++) {
      assertEquals(parseProxyHeader(header.subarray(0, length)), "incomplete");
    }
    assertEquals(typeof parseProxyHeader(header), "object");
  }
});

Deno.test("parseProxyHeader: other bytes are invalid as soon as that is clear", () => {
  const invalid = [
    bytesOf("E"),
    bytesOf("EHLO a\r\n"),
    bytesOf("PROXX"),
    bytesOf("PROXY TCP4 192.0.2.1 203.0.113.9 56324 25\n"),
    bytesOf("PROXY TCP4 192.0.2.1 203.0.113.9 56324\r\n"),
    bytesOf("PROXY TCP4 192.0.2.1 203.0.113.9 56324 25 x\r\n"),
    bytesOf("PROXY TCP4 192.0.2.1 203.0.113.9 65536 25\r\n"),
    bytesOf("PROXY TCP4 192.0.2.1 203.0.113.9 -1 25\r\n"),
    bytesOf("PROXY TCP4 2001:db8::1 2001:db8::2 1 25\r\n"),
    bytesOf("PROXY TCP6 192.0.2.1 203.0.113.9 1 25\r\n"),
    bytesOf("PROXY UDP4 192.0.2.1 203.0.113.9 1 25\r\n"),
    bytesOf("PROXY UDP6 2001:db8::1 2001:db8::2 1 25\r\n"),
    bytesOf("PROXY TCP4 192.0.2.256 203.0.113.9 1 25\r\n"),
    bytesOf("PROXY TCP4 192.0.2.1 203.0.113.256 1 25\r\n"),
    bytesOf("PROXY TCP4 192.0.2.1 203.0.113.9 1 65536\r\n"),
    bytesOf("PROXY UNKNOWNX\r\n"),
    bytesOf("PROXY " + "x".repeat(101)),
    Uint8Array.of(13, 10, 13, 11),
    version2(0x11, 0x11, IPV4),
    version2(0x22, 0x11, IPV4),
    version2(0x21, 0x11, IPV4.slice(1)),
    version2(0x21, 0x21, IPV6.slice(1)),
    // Families and transport protocols that are reserved.
    version2(0x21, 0x41, IPV4),
    version2(0x21, 0x51, IPV4).subarray(0, 16),
    version2(0x21, 0xf0, []),
    version2(0x21, 0x13, IPV4),
    version2(0x21, 0x0f, []),
  ];
  for (const bytes of invalid) {
    assertEquals(parseProxyHeader(bytes), "invalid", String(bytes));
  }
});

Deno.test("parseProxyHeader: a line may have 107 bytes", () => {
  const line = (length: number) =>
    bytesOf("PROXY UNKNOWN ".padEnd(length - 2, "x") + "\r\n");
  assertEquals(parseProxyHeader(line(107)), { length: 107 });
  assertEquals(parseProxyHeader(line(108)), "invalid");
});

Deno.test("parseProxyHeader: a header may have 2,048 bytes", () => {
  assertEquals(LONGEST_HEADER, 2048);
  for (const command of [0x20, 0x21]) {
    const rest = Array(LONGEST_HEADER - 16).fill(0);
    const begun = (more: number[]) =>
      parseProxyHeader(version2(command, 0x11, more).subarray(0, 16));
    assertEquals(begun(rest), "incomplete");
    assertEquals(begun([...rest, 0]), "too long");
  }
});
