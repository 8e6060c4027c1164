/**
 * The rules of RFC 7208, by the section names of its test suite
 * (rfc7208-tests.yml). That suite asks for the result of one client; here the
 * result is the list of all clients that pass.
 */

import { assertEquals } from "@std/assert";
import { formatNetwork } from "../../lib/address.ts";
import { minimal } from "../../lib/spf/networks.ts";
import { expand, PermError } from "../../lib/spf/expand.ts";
import { TempError } from "../../lib/spf/resolver.ts";
import { type Records, type Zone, Zones } from "../harness/zones.ts";

/** What is checked, the record of d.example, the networks or the error. */
type Case = [
  what: string,
  record: string | Records | "SERVFAIL",
  expected: string[] | string,
  zone?: Zone,
];

/** The networks that pass, or the error, and the warnings behind either. */
async function result(record: Case[1], zone: Zone): Promise<string[] | string> {
  try {
    const resolver = new Zones({ "d.example": record, ...zone });
    const { networks, warnings } = await expand("d.example", resolver);
    return [
      ...minimal(networks).map(({ network }) => formatNetwork(network)),
      ...warnings,
    ];
  } catch (error) {
    const kind = error instanceof PermError
      ? "permerror"
      : error instanceof TempError
      ? "temperror"
      : "?";
    return `${kind}: ${(error as Error).message}`;
  }
}

function section(name: string, cases: Case[]): void {
  Deno.test(`spf rfc7208: ${name}`, async () => {
    for (const [what, record, expected, zone = {}] of cases) {
      assertEquals(await result(record, zone), expected, what);
    }
  });
}

const ONE = "192.0.2.1/32";
const PASS = "v=spf1 ip4:192.0.2.1 -all";
const BOTH: Records = { hosts: ["192.0.2.1", "2001:db8::1"] };
const MACRO = "left out: a macro stands for something else with each client";
const NO_NETWORKS = "left out: cannot be turned into networks";
const UNKNOWN = "not looked up: what it refuses may be listed all the same";

section("record lookup", [
  ["a domain with a record", PASS, [ONE]],
  ["no TXT record", {}, "permerror: no SPF record"],
  ["an answer that is an error", "SERVFAIL", "temperror: d.example: SERVFAIL"],
  ["a record without a term", "v=spf1", []],
]);

section("selecting records", [
  ["a space ends the version", "v=spf1 ", []],
  ["a longer version", "v=spf10", "permerror: no SPF record"],
  ["a tab behind the version", "v=spf1\t-all", "permerror: no SPF record"],
  ["a space before it", " v=spf1 -all", "permerror: no SPF record"],
  ["upper case", "V=SPF1 IP4:192.0.2.1", [ONE]],
  ["other TXT records", { txt: ["x", PASS, "v=spf2.0/pra +all"] }, [ONE]],
  [
    "the same record twice",
    { txt: [PASS, PASS] },
    "permerror: 2 SPF records, expected one",
  ],
]);

section("record evaluation", [
  [
    "an unknown mechanism behind one that matches",
    "v=spf1 all foo",
    "permerror: foo: unknown mechanism",
  ],
  [
    "an error before the end of the record",
    "v=spf1 ip4:192.0.2.1 include",
    "permerror: include: the domain is missing",
  ],
  ["an unknown modifier", "v=spf1 moo=cow ip4:192.0.2.1", [ONE]],
  [
    "a modifier's name begins with a letter",
    "v=spf1 1moo=cow",
    "permerror: 1moo=cow: unknown mechanism",
  ],
  [
    "a redirect counts after all mechanisms, wherever it stands",
    "v=spf1 redirect=r.example ip4:192.0.2.1",
    ["192.0.2.0/31"],
    { "r.example": "v=spf1 ip4:192.0.2.0 -all" },
  ],
  [
    "a redirect is not followed past all",
    "v=spf1 redirect=r.example ip4:192.0.2.1 -all",
    [ONE],
  ],
  [
    "a redirect to nothing is an error",
    "v=spf1 redirect=r.example",
    "permerror: r.example: no such domain",
  ],
  [
    "a domain without a dot",
    "v=spf1 redirect=localhost",
    "permerror: redirect=localhost: not a domain",
  ],
  [
    "a top label of digits",
    "v=spf1 include:a.example.3",
    "permerror: include:a.example.3: not a domain",
  ],
  [
    "a top label that ends with a hyphen",
    "v=spf1 include:a.example-",
    "permerror: include:a.example-: not a domain",
  ],
]);

section("ALL mechanism syntax", [
  ["a point", "v=spf1 -all.", "permerror: -all.: unknown mechanism"],
  ["an argument", "v=spf1 all:x", "permerror: all:x: all takes no argument"],
  ["a prefix", "v=spf1 ?all/8", "permerror: ?all/8: all takes no argument"],
  ["neutral", "v=spf1 ?all", []],
  ["the second all", "v=spf1 -all +all", []],
  ["upper case", "v=spf1 +ALL", ["0.0.0.0/0", "::/0"]],
]);

section("PTR mechanism syntax", [
  ["a prefix", "v=spf1 ptr/0", "permerror: ptr/0: ptr takes no prefix length"],
  ["an empty domain", "v=spf1 ptr:", "permerror: ptr:: not a domain"],
  ["with a domain", "v=spf1 ptr:x.example", [
    `ptr:x.example: ${NO_NETWORKS}`,
  ]],
  ["a refusal", "v=spf1 -ptr ip4:192.0.2.1", [ONE, `-ptr: ${UNKNOWN}`]],
]);

section("A mechanism syntax", [
  ["both families", { txt: ["v=spf1 a"], ...BOTH }, [ONE, "2001:db8::1/128"]],
  [
    "a prefix for each family",
    { txt: ["v=spf1 a/24//64"], ...BOTH },
    ["192.0.2.0/24", "2001:db8::/64"],
  ],
  [
    "IPv6 alone",
    { txt: ["v=spf1 a//0 -all"], hosts: ["2001:db8::1"] },
    ["::/0"],
  ],
  [
    "a prefix too long",
    "v=spf1 a/33",
    "permerror: a/33: the prefix length is too long",
  ],
  ["no prefix", "v=spf1 a/", "permerror: a/: not a prefix length"],
  [
    "an empty domain",
    "v=spf1 a:",
    "permerror: a:: not a domain",
  ],
  [
    "a colon in the domain",
    "v=spf1 a:h:x.example",
    [ONE],
    { "h:x.example": { hosts: ["192.0.2.1"] } },
  ],
  [
    "a NUL in the domain",
    "v=spf1 a:x.example\0",
    "permerror: a:x.example\\000: not a domain",
  ],
  ["no address", "v=spf1 a ip4:192.0.2.1", [ONE]],
  [
    "a refusal",
    { txt: ["v=spf1 -a ip4:192.0.2.1"], ...BOTH },
    [ONE, `-a: ${UNKNOWN}`],
  ],
  ["a macro", "v=spf1 a:%{l}.x.example", [`a:%{l}.x.example: ${MACRO}`]],
]);

section("include mechanism semantics and syntax", [
  ["pass", "v=spf1 include:i.example", [ONE], { "i.example": PASS }],
  [
    "fail, softfail, neutral: the next term",
    "v=spf1 include:i.example ip4:192.0.2.1",
    [ONE],
    {
      "i.example": "v=spf1 ~all",
    },
  ],
  [
    "temporary trouble",
    "v=spf1 include:i.example",
    "temperror: i.example: SERVFAIL",
    { "i.example": "SERVFAIL" },
  ],
  [
    "an error in the record",
    "v=spf1 include:i.example",
    "permerror: i.example: -foo: unknown mechanism",
    { "i.example": "v=spf1 -foo" },
  ],
  [
    "no record",
    "v=spf1 include:i.example",
    "permerror: i.example: no SPF record",
    { "i.example": {} },
  ],
  [
    "a prefix",
    "v=spf1 include:i.example/24",
    "permerror: include:i.example/24: not a domain",
  ],
  [
    "a refusal",
    "v=spf1 ~include:%{d}.x.example include:i.example",
    [ONE, `~include:%{d}.x.example: ${UNKNOWN}`],
    { "i.example": PASS },
  ],
  [
    "a redirect in an included record",
    "v=spf1 include:i.example",
    [ONE],
    { "i.example": "v=spf1 redirect=r.example", "r.example": PASS },
  ],
]);

section("MX mechanism syntax", [
  [
    "a prefix for each family",
    { txt: ["v=spf1 mx/30//126"], mx: ["h.example"] },
    ["192.0.2.0/30", "2001:db8::/126"],
    { "h.example": BOTH },
  ],
  [
    "no exchanger: the address of the domain does not count",
    { txt: ["v=spf1 mx -all"], ...BOTH },
    [],
  ],
  ["the null exchanger", { txt: ["v=spf1 mx"], mx: [""] }, []],
  [
    "a prefix too long",
    "v=spf1 mx//129",
    "permerror: mx//129: the prefix length is too long",
  ],
  [
    "a refusal",
    { txt: ["v=spf1 ?mx ip4:192.0.2.1"], mx: ["h.example"] },
    [ONE, `?mx: ${UNKNOWN}`],
  ],
]);

section("EXISTS mechanism syntax", [
  ["no domain", "v=spf1 exists", "permerror: exists: the domain is missing"],
  ["an empty domain", "v=spf1 exists:", "permerror: exists:: not a domain"],
  [
    "a prefix",
    "v=spf1 exists:x.example/24",
    "permerror: exists:x.example/24: not a domain",
  ],
  ["with a macro", "v=spf1 exists:%{i}.x.example ip4:192.0.2.1", [
    ONE,
    `exists:%{i}.x.example: ${NO_NETWORKS}`,
  ]],
  ["a refusal", "v=spf1 -exists:%{i}.x.example ip4:192.0.2.1", [
    ONE,
    `-exists:%{i}.x.example: ${UNKNOWN}`,
  ]],
]);

section("IP4 mechanism syntax", [
  ["everything", "v=spf1 ip4:192.0.2.1/0", ["0.0.0.0/0"]],
  ["a host", "v=spf1 ip4:192.0.2.1/32", [ONE]],
  ["host bits", "v=spf1 ip4:192.0.2.77/24", ["192.0.2.0/24"]],
  [
    "a prefix too long",
    "v=spf1 ip4:192.0.2.1/33",
    "permerror: ip4:192.0.2.1/33: not a prefix length of 0 to 32",
  ],
  [
    "leading zero",
    "v=spf1 ip4:192.0.2.1/032",
    "permerror: ip4:192.0.2.1/032: not a prefix length of 0 to 32",
  ],
  [
    "two prefixes",
    "v=spf1 ip4:192.0.2.1//32",
    "permerror: ip4:192.0.2.1//32: not a prefix length of 0 to 32",
  ],
  ["no argument", "v=spf1 ip4", "permerror: ip4: the address is missing"],
  [
    "a port",
    "v=spf1 ip4:192.0.2.1:8080",
    "permerror: ip4:192.0.2.1:8080: not an IPv4 address",
  ],
  [
    "three numbers",
    "v=spf1 ip4:192.0.2",
    "permerror: ip4:192.0.2: not an IPv4 address",
  ],
  ["a refusal", "v=spf1 -ip4:192.0.2.1 ip4:192.0.2.0/31", ["192.0.2.0/31"]],
  ["a refusal of all of it", "v=spf1 -ip4:192.0.2.0/24 ip4:192.0.2.1", []],
]);

section("IP6 mechanism syntax", [
  ["everything", "v=spf1 ip6:::1/0", ["::/0"]],
  ["a host", "v=spf1 ip6:2001:DB8::1", ["2001:db8::1/128"]],
  [
    "a prefix too long",
    "v=spf1 ip6:::1/129",
    "permerror: ip6:::1/129: not a prefix length of 0 to 128",
  ],
  [
    "two prefixes",
    "v=spf1 ip6:::1//33",
    "permerror: ip6:::1//33: not a prefix length of 0 to 128",
  ],
  [
    "an IPv4 address",
    "v=spf1 ip6:192.0.2.1",
    "permerror: ip6:192.0.2.1: not an IPv6 address",
  ],
  ["no argument", "v=spf1 ip6:", "permerror: ip6:: not an IPv6 address"],
  ["an IPv4-mapped address", "v=spf1 ip6:::ffff:192.0.2.1 ip4:192.0.2.1", [
    ONE,
    "ip6:::ffff:192.0.2.1: left out: no client has an IPv4-mapped address",
  ]],
]);

section("semantics of exp and other modifiers", [
  ["exp is not looked up", "v=spf1 exp=x.example ip4:192.0.2.1", [ONE]],
  ["exp without a domain", "v=spf1 exp=", "permerror: exp=: not a domain"],
  [
    "exp twice",
    "v=spf1 exp=x.example exp=x.example",
    "permerror: exp=x.example: a second one",
  ],
  [
    "redirect twice",
    "v=spf1 redirect=a.example redirect=a.example",
    "permerror: redirect=a.example: a second one",
  ],
  ["an unknown one twice", "v=spf1 x=1 x=1 ip4:192.0.2.1", [ONE]],
  ["an unknown one, empty", "v=spf1 x= ip4:192.0.2.1", [ONE]],
  ["exp in the target of a redirect", "v=spf1 redirect=r.example", [ONE], {
    "r.example": "v=spf1 exp=%{d}.x.example ip4:192.0.2.1",
  }],
]);

section("macro expansion rules", [
  [
    "a percent sign at the end",
    "v=spf1 exists:x.example%",
    "permerror: exists:x.example%: not a domain",
  ],
  [
    "an unknown letter",
    "v=spf1 exists:%{x}.example",
    "permerror: exists:%{x}.example: not a domain",
  ],
  [
    "letters of exp alone",
    "v=spf1 include:%{t}.example",
    "permerror: include:%{t}.example: not a domain",
  ],
  [
    "a percent sign without a brace",
    "v=spf1 a:%abc.example",
    "permerror: a:%abc.example: not a domain",
  ],
  ["upper case, digits, reversal, delimiters", "v=spf1 include:%{L2R+-}.%{D}", [
    `include:%{l2r+-}.%{d}: ${MACRO}`,
  ]],
  ["%%, %_ and %-", "v=spf1 a:%%%_%-.example", [ONE], {
    "% %20.example": { hosts: ["192.0.2.1"] },
  }],
  ["in a redirect", "v=spf1 redirect=%{d}.x.example", [ONE], {
    "d.example.x.example": PASS,
  }],
  [
    "a percent sign in the domain of a record is none",
    "v=spf1 redirect=%%{i}.example",
    [ONE],
    {
      "%{i}.example": { txt: ["v=spf1 a"], hosts: ["192.0.2.1"] },
    },
  ],
  ["in what a redirect leads to", "v=spf1 redirect=r.example", [ONE], {
    "r.example": "v=spf1 include:_%{d}",
    "_r.example": PASS,
  }],
  [
    "in a redirect, the sender",
    "v=spf1 ip4:192.0.2.1 redirect=%{s}.x.example",
    [
      ONE,
      `redirect=%{s}.x.example: ${MACRO}`,
    ],
  ],
  [
    "a record that includes itself",
    "v=spf1 include:%{d}",
    "permerror: d.example > d.example: a loop",
  ],
  [
    "in an unknown modifier",
    "v=spf1 x=%{i ip4:192.0.2.1",
    "permerror: x=%{i: not a macro string",
  ],
]);

/** Names below example with an address each, and terms for them. */
function many(count: number, term: (name: string) => string) {
  const names = Array.from({ length: count }, (_, i) => `h${i}.example`);
  const zone: Zone = Object.fromEntries(names.map((name) => [name, BOTH]));
  return { terms: names.map(term).join(" "), names, zone };
}
const TEN = many(10, (name) => `a:${name}`);
const ELEVEN = many(11, (name) => `a:${name}`);
const REFUSED = many(11, (name) => `-a:${name}`);
const TOO_MANY =
  "permerror: d.example: more than 10 terms that need DNS look-ups";

section("processing limits", [
  ["ten look-ups", `v=spf1 ${TEN.terms}`, [ONE, "2001:db8::1/128"], TEN.zone],
  ["eleven", `v=spf1 ${ELEVEN.terms}`, TOO_MANY, ELEVEN.zone],
  ["eleven that refuse", `v=spf1 ${REFUSED.terms}`, TOO_MANY, REFUSED.zone],
  [
    "exists counts",
    `v=spf1 exists:%{i}.x.example ${TEN.terms}`,
    TOO_MANY,
    TEN.zone,
  ],
  ["ptr counts", `v=spf1 ptr ${TEN.terms}`, TOO_MANY, TEN.zone],
  ["redirect counts", `v=spf1 ${TEN.terms} redirect=r.example`, TOO_MANY, {
    ...TEN.zone,
    "r.example": PASS,
  }],
  [
    "all, ip4, ip6 and exp do not",
    `v=spf1 ${TEN.terms} ip4:192.0.2.1 ip6:::1 exp=x.example -all`,
    [
      ONE,
      "::1/128",
      "2001:db8::1/128",
    ],
    TEN.zone,
  ],
  [
    "look-ups of an included record count with those of the record",
    `v=spf1 include:i.example`,
    "permerror: i.example: more than 10 terms that need DNS look-ups",
    { ...TEN.zone, "i.example": `v=spf1 ${TEN.terms}` },
  ],
  [
    "ten mail exchangers",
    { txt: ["v=spf1 mx"], mx: TEN.names },
    [ONE, "2001:db8::1/128"],
    TEN.zone,
  ],
  [
    "eleven mail exchangers",
    { txt: ["v=spf1 mx"], mx: ELEVEN.names },
    "permerror: mx: 11 mail exchangers, more than 10",
    ELEVEN.zone,
  ],
  [
    "two void look-ups",
    "v=spf1 a:v1.example mx:v2.example ip4:192.0.2.1",
    [ONE],
  ],
  [
    "three void look-ups",
    "v=spf1 a:v1.example mx:v2.example a:v3.example ip4:192.0.2.1",
    "permerror: v3.example: more than 2 look-ups that found nothing",
  ],
  [
    "a record that includes itself",
    "v=spf1 include:d.example",
    "permerror: d.example > d.example: a loop",
  ],
]);

section("implementation bugs", [
  ["spaces at the end", "v=spf1 ip4:192.0.2.1   ", [ONE]],
  ["a trailing dot", "v=spf1 include:I.example.", [ONE], { "i.example": PASS }],
  [
    "bytes beyond ASCII",
    "v=spf1 a:\xe4.example",
    "permerror: a:\\228.example: not a domain",
  ],
]);
