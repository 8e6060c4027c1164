import { assertEquals, assertThrows } from "@std/assert";
import { formatNetwork } from "../../lib/address.ts";
import {
  expandMacros,
  isSpf,
  parseRecord,
  printable,
  RecordError,
} from "../../lib/spf/record.ts";

/** The only mechanism of a record, a network in it as text. */
function mechanism(term: string): Record<string, unknown> {
  const { directives } = parseRecord(`v=spf1 ${term}`);
  assertEquals(directives.length, 1);
  const parsed: Record<string, unknown> = { ...directives[0].mechanism };
  if ("network" in parsed) {
    parsed.network = formatNetwork(parsed.network as never);
  }
  return parsed;
}

Deno.test("spf record: which TXT records are SPF records", () => {
  for (const text of ["v=spf1", "v=spf1 ", "v=spf1 -all", "V=SPF1 -all"]) {
    assertEquals(isSpf(text), true, text);
  }
  for (
    const text of [
      "",
      "v=spf10 -all",
      "v=spf1-all",
      "v=spf1\t-all",
      " v=spf1 -all",
      "v=spf2.0/pra -all",
      "spf1 -all",
      "google-site-verification=x",
    ]
  ) assertEquals(isSpf(text), false, text);
});

Deno.test("spf record: qualifiers, order, and spaces", () => {
  const { directives, redirect } = parseRecord(
    "v=spf1  +mx -ptr   ~a ?exists:x.example all ",
  );
  assertEquals(
    directives.map(({ qualifier, mechanism }) => qualifier + mechanism.kind),
    ["+mx", "-ptr", "~a", "?exists", "+all"],
  );
  assertEquals(directives[2].text, "~a");
  assertEquals(redirect, undefined);
  assertEquals(parseRecord("v=spf1"), { directives: [] });
});

Deno.test("spf record: each mechanism's arguments", () => {
  const cases: [string, Record<string, unknown>][] = [
    ["all", { kind: "all" }],
    ["ALL", { kind: "all" }],
    ["include:_spf.Example.COM.", {
      kind: "include",
      domain: "_spf.example.com",
    }],
    ["exists:%{i}._spf.example", {
      kind: "exists",
      domain: "%{i}._spf.example",
    }],
    ["exists:%{ir}.x.%{d2}", { kind: "exists", domain: "%{ir}.x.%{d2}" }],
    ["exists:a%%b%_c%-", { kind: "exists", domain: "a%%b%_c%-" }],
    ["ptr", { kind: "ptr" }],
    ["ptr:example.com", { kind: "ptr", domain: "example.com" }],
    ["a", { kind: "a", prefix4: 32, prefix6: 128 }],
    ["a/24", { kind: "a", prefix4: 24, prefix6: 128 }],
    ["a//64", { kind: "a", prefix4: 32, prefix6: 64 }],
    ["a/0//0", { kind: "a", prefix4: 0, prefix6: 0 }],
    ["mx:b.example/24//64", {
      kind: "mx",
      domain: "b.example",
      prefix4: 24,
      prefix6: 64,
    }],
    // A slash may stand in a name; only the end counts as prefix length.
    ["a:x/y.example/30", {
      kind: "a",
      domain: "x/y.example",
      prefix4: 30,
      prefix6: 128,
    }],
    ["ip4:192.0.2.1", { kind: "ip4", network: "192.0.2.1/32" }],
    ["ip4:192.0.2.77/24", { kind: "ip4", network: "192.0.2.0/24" }],
    ["IP4:0.0.0.0/0", { kind: "ip4", network: "0.0.0.0/0" }],
    ["ip6:2001:DB8::1", { kind: "ip6", network: "2001:db8::1/128" }],
    ["ip6:2001:db8::1/32", { kind: "ip6", network: "2001:db8::/32" }],
    ["ip6:::ffff:192.0.2.1/128", { kind: "ip6" }],
  ];
  for (const [term, expected] of cases) {
    assertEquals(mechanism(term), expected, term);
  }
});

Deno.test("spf record: modifiers", () => {
  const record = parseRecord(
    "v=spf1 Redirect=_SPF.example exp=why.%{d} x-new=a/%{s}/b moo= moo=",
  );
  assertEquals(record, { directives: [], redirect: "_spf.example" });
});

Deno.test("spf record: an error names the term that breaks the grammar", () => {
  const cases: [string, string][] = [
    ["foo", "foo: unknown mechanism"],
    ["-redirect=a.example", "-redirect=a.example: unknown mechanism"],
    ["+", "+: unknown mechanism"],
    ["all:x.example", "all takes no argument"],
    ["all/24", "all takes no argument"],
    ["include", "the domain is missing"],
    ["include:", "not a domain"],
    ["include:localhost", "not a domain"],
    ["include:192.0.2.1", "not a domain"],
    ["include:a.example/24", "not a domain"],
    ["include:a.-b", "not a domain"],
    ["exists", "the domain is missing"],
    ["exists:%{i}.example.%", "not a domain"],
    ["exists:%{c}.example", "not a domain"],
    ["exists:%(i).example", "not a domain"],
    ["ptr/24", "ptr takes no prefix length"],
    ["a/33", "the prefix length is too long"],
    ["a//129", "the prefix length is too long"],
    ["a/024", "not a prefix length"],
    ["a/", "not a prefix length"],
    ["mx//64/24", "not a prefix length"],
    ["mx:/24", "not a domain"],
    ["ip4", "the address is missing"],
    ["ip4:", "not an IPv4 address"],
    ["ip4:192.0.2", "not an IPv4 address"],
    ["ip4:192.0.2.256", "not an IPv4 address"],
    ["ip4:2001:db8::", "not an IPv4 address"],
    ["ip4:192.0.2.0/33", "not a prefix length of 0 to 32"],
    ["ip4:192.0.2.0/", "not a prefix length of 0 to 32"],
    ["ip4:192.0.2.0/+8", "not a prefix length of 0 to 32"],
    ["ip6:192.0.2.1", "not an IPv6 address"],
    ["ip6:2001:db8::/129", "not a prefix length of 0 to 128"],
    ["ip6:fe80::1%25eth0", "not an IPv6 address"],
    ["redirect=", "not a domain"],
    ["redirect=a.example redirect=b.example", "a second one"],
    ["exp=a.example exp=a.example", "a second one"],
    ["x=%abc", "not a macro string"],
    ["a\tmx", "unknown mechanism"],
    ["a:b.example\nmx", "a:b.example\\010mx: not a domain"],
    ["\xff\xfe", "\\255\\254: unknown mechanism"],
  ];
  for (const [term, message] of cases) {
    // The fault counts wherever it stands, even behind a term that always matches.
    assertThrows(
      () => parseRecord(`v=spf1 -all ${term}`),
      RecordError,
      message,
      term,
    );
  }
});

Deno.test("spf record: a term of any length ends soon and in a short line", () => {
  const long = "a".repeat(60_000);
  for (const term of [long, `include:x.${long}!`, `a:${"1.".repeat(30_000)}`]) {
    const error = assertThrows(
      () => parseRecord(`v=spf1 ${term}`),
      RecordError,
    );
    assertEquals(error.message.length < 100, true);
  }
  for (const [length, rest] of [[60, ""], [61, "..."]] as const) {
    assertThrows(
      () => parseRecord(`v=spf1 x${"-".repeat(length - 1)}`),
      RecordError,
      `x${"-".repeat(59)}${rest}: `,
    );
  }
});

Deno.test("spf record: macros that do not depend on the client", () => {
  // RFC 7208 section 7.4, of the domain there.
  const domain = "email.example.com";
  const cases: [string, string | undefined][] = [
    ["%{d}", "email.example.com"],
    ["%{d4}", "email.example.com"],
    ["%{d3}", "email.example.com"],
    ["%{d2}", "example.com"],
    ["%{d1}", "com"],
    ["%{dr}", "com.example.email"],
    ["%{d2r}", "example.email"],
    ["%{d-}", "email.example.com"],
    ["a%%b%_c%-d.example", "a%b c%20d.example"],
    ["%{d1}.%{d2r}._spf.%{d}", "com.example.email._spf.email.example.com"],
    ["%%{i}.example", "%{i}.example"],
    ["plain.example", "plain.example"],
    ["%{d0}", undefined],
    ["%{i}.%{d}", undefined],
    ["%{o}", undefined],
    ["%{h}.example", undefined],
  ];
  for (const [text, expected] of cases) {
    assertEquals(expandMacros(text, domain), expected, text);
  }
  const parts = "a-b+c,d/e_f=g.example";
  assertEquals(expandMacros("%{dr-+,/_=}", parts), "g.example.f.e.d.c.b.a");
  assertEquals(expandMacros("%{d2+-/}", parts), "c,d.e_f=g.example");
  // Labels on the left are dropped.
  const long = `${"a".repeat(60)}.`.repeat(4) + "example";
  assertEquals(expandMacros("x.%{d}", long), `x.${long}`);
  assertEquals(expandMacros("x.yz.%{d}", long), long);
  assertEquals(expandMacros("x.%{d}".repeat(10_000), long), long);
});

Deno.test("spf record: printable leaves no control character", () => {
  assertEquals(printable("a b\x1b[2J\n\x7f\xe9"), "a b\\027[2J\\010\\127\\233");
});
