import { assert, assertEquals } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import {
  exempts as exemptsBy,
  NO_RULE,
  parseRule,
  searchFile,
} from "../../lib/whitelist/file.ts";

/** The address if the text is one, else the host of that name. */
function caller(text: string) {
  const address = parseAddress(text);
  return { address, host: address ? undefined : text };
}

/** Whether the line exempts the caller; undefined if the line is no rule. */
function exempts(line: string, who: string): boolean | undefined {
  const rule = parseRule(line);
  return "fault" in rule ? undefined : exemptsBy(rule, caller(who));
}

Deno.test("whitelist file: a line's rule", () => {
  const cases: Record<string, { yes: string[]; no: string[] }> = {
    "192.0.2.1": {
      yes: ["192.0.2.1", "::ffff:192.0.2.1"],
      no: ["192.0.2.2", "::1", "192.0.2.1.example.org"],
    },
    "192.0.2.0/24": {
      yes: ["192.0.2.0", "192.0.2.255"],
      no: ["192.0.1.255", "192.0.3.0", "2001:db8::1"],
    },
    // Two and three numbers, with or without a dot behind.
    "192.0.2": {
      yes: ["192.0.2.0", "192.0.2.255"],
      no: ["192.0.1.255", "192.0.3.0", "192.0.20.1", "192.0.2"],
    },
    "192.0.2.": { yes: ["192.0.2.255"], no: ["192.0.3.0"] },
    "192.0": {
      yes: ["192.0.0.0", "192.0.255.255"],
      no: ["191.255.255.255", "192.1.0.0", "192.01.0.0"],
    },
    "10.": { yes: ["10.0.0.0", "10.255.255.255"], no: ["11.0.0.0"] },
    "192.0.": { yes: ["192.0.255.255"], no: ["192.1.0.0"] },
    "2001:db8::/32": {
      yes: ["2001:db8::", "2001:db8:ffff::1"],
      no: ["2001:db9::", "192.0.2.1"],
    },
    "2001:DB8:0::1": { yes: ["2001:db8::1"], no: ["2001:db8::2"] },
    "::ffff:192.0.2.0/120": { yes: ["192.0.2.9"], no: ["192.0.3.9"] },
    // A host is itself and, as in postgrey, every name below.
    "example.org": {
      yes: ["example.org", "mx.example.org", "a.b.example.org"],
      no: ["badexample.org", "example.org.evil", "example.or", "org", "::1"],
    },
    "Example.ORG": { yes: ["mx.example.org"], no: ["example.com"] },
    ".example.org": {
      yes: ["mx.example.org", "a.b.example.org"],
      no: ["example.org", "badexample.org"],
    },
    // As sqlgrey writes it.
    "*.Example.org": {
      yes: ["mx.example.org", "a.b.example.org"],
      no: ["example.org", "badexample.org"],
    },
    "localhost": { yes: ["localhost"], no: ["localhost2"] },
    // Names of dial-up lines, with the digits of an address in them.
    "1.2.3.4.dyn.example.net": {
      yes: ["1.2.3.4.dyn.example.net"],
      no: ["dyn.example.net", "1.2.3.4"],
    },
    "192-0-2-1.dsl.example": { yes: ["192-0-2-1.dsl.example"], no: [] },
    "1.2.3.xn--p1ai": { yes: ["a.1.2.3.xn--p1ai"], no: [] },
    "3.xxx": { yes: ["3.xxx"], no: [] },
    "mx.example.de": { yes: ["mx.example.de"], no: ["mx.example.d"] },
    "example.x": { yes: ["mx.example.x"], no: [] },
    "com": { yes: ["example.com"], no: ["example.org"] },
    "3.org": { yes: ["3.org", "a.3.org"], no: ["13.org"] },
    "1.2.3.4.in-addr.arpa": {
      yes: ["1.2.3.4.in-addr.arpa"],
      no: ["1.2.3.4"],
    },
    // A regular expression is for host names, in either case.
    "/^mail\\d+\\.example\\.com$/": {
      yes: ["mail1.example.com"],
      no: ["mail.example.com", "xmail1.example.com", "mail1.example.com.x"],
    },
    "/EXAMPLE/": { yes: ["mx.example.org"], no: ["mx.exempel.org"] },
    "/a b|c/": { yes: ["c"], no: ["a"] },
    "/^192/": { yes: ["192-0-2-1.example.org"], no: ["192.0.2.1"] },
    "/a/b/": { yes: ["a/b"], no: ["a"] },
    "/./": { yes: ["x"], no: ["::1"] },
  };
  for (const [line, { yes, no }] of Object.entries(cases)) {
    for (const who of yes) assertEquals(exempts(line, who), true, line + who);
    for (const who of no) assertEquals(exempts(line, who), false, line + who);
    const nobody = { address: undefined, host: undefined };
    const rule = parseRule(line);
    assert(!("fault" in rule) && !exemptsBy(rule, nobody), line);
  }
});

const BAD = [
  "10.0.0.1/33",
  "10.0.0.1/8",
  "10.0.0.0/24 ok",
  "256.1.2",
  "999.999",
  "1.2.3.4.5",
  "10",
  "10..",
  "256.",
  "01.2",
  ".1.2.3",
  // Networks in other notations: tcprules(1), a range, an entry's name, the letter
  // for any number.
  "192.0.2.37-53",
  "192.0.2.1-192.0.2.9",
  "192.0.2.0_24",
  "10.0.0.0_8",
  "192.0.2.x",
  "example.12",
  "192.0.X.X",
  "10.x.x.x",
  ".192.0.2.n",
  "1..2",
  "2001:db8::1/64",
  "2001:db8::/129",
  "2001:db8",
  "fe80::1%eth0",
  "example..org",
  "..example.org",
  ".",
  "-",
  "*",
  "*.",
  "*example.org",
  "mail*.example.org",
  "a.*.example.org",
  "*..example.org",
  "*.*.example.org",
  "example.org mx.example.org",
  "user@example.org",
  "é.example.org",
  "a".repeat(256),
  "/",
  "//",
  "/(/",
  "/[/",
  "/*/",
  "/a",
  "a/",
  "192.0.2.0/",
  "mx.example.org/",
  "/a/i",
  "/a{2,1}/",
  "/\\Amail/",
  "/(a)\\1/",
  "a\0b",
  "a\\.b",
  "<html>",
  ";",
];

/** Why the expressions among them are none. */
const BAD_EXPRESSIONS: Record<string, string> = {
  "/(/": "unterminated group",
  "/[/": "unterminated character class",
  "/*/": "nothing to repeat",
  "/a{2,1}/": "numbers out of order in {} quantifier",
  "/\\Amail/": "\\A: write ^",
  "/(a)\\1/": "\\1: a back-reference cannot be matched in linear time",
};

Deno.test("whitelist file: lines that are no rule", () => {
  for (const line of BAD) {
    const fault = BAD_EXPRESSIONS[line] ?? NO_RULE.fault;
    assertEquals(parseRule(line), { fault }, line);
  }
});

Deno.test("whitelist file: bad lines are named by number and content", () => {
  // What has a number sign in it could not be one line.
  const text = ["# first", "", ...BAD].join("\n");
  const { line, bad } = searchFile(text, caller("192.0.2.1"));
  assertEquals(line, undefined);
  assertEquals(
    bad,
    BAD.map((content, i) => ({
      number: i + 3,
      content,
      ...content in BAD_EXPRESSIONS && { fault: BAD_EXPRESSIONS[content] },
    })),
  );
});

/** The line that exempts, and the numbers of the bad ones before it. */
function search(text: string, who: string) {
  const { line, bad } = searchFile(text, caller(who));
  return [line, bad.map(({ number }) => number)];
}

Deno.test("whitelist file: the first rule that matches is named", () => {
  const text = "192.0.2.9\n192.0.2.0/24\n192.0.2.1\n192.0.2.1\n";
  assertEquals(search(text, "192.0.2.1"), [2, []]);
  assertEquals(search(text, "192.0.2.9"), [1, []]);
  assertEquals(search(text, "192.0.3.1"), [undefined, []]);
  // Bad lines behind it are not looked at.
  assertEquals(search("bad!\n192.0.2.1\nbad!\n", "192.0.2.1"), [2, [1]]);
  // Address and host of one caller.
  const both = { address: parseAddress("192.0.2.1"), host: "mx.example.org" };
  assertEquals(searchFile("example.org\n192.0.2.1", both).line, 1);
  assertEquals(searchFile("192.0.2.1\nexample.org", both).line, 1);
});

Deno.test("whitelist file: blanks, comments, line ends", () => {
  const cases: [string, unknown[]][] = [
    ["", [undefined, []]],
    ["\n\n\n", [undefined, []]],
    ["192.0.2.1", [1, []]],
    ["192.0.2.1\n", [1, []]],
    ["\n\n192.0.2.1", [3, []]],
    ["  \t192.0.2.1\t  ", [1, []]],
    ["192.0.2.1\r\n", [1, []]],
    ["# x\r\n\r\n192.0.2.1\r\n", [3, []]],
    ["192.0.2.1 # mx1", [1, []]],
    ["192.0.2.1# mx1", [1, []]],
    ["192.0.2.1\t# mx1 # and more", [1, []]],
    ["#192.0.2.1", [undefined, []]],
    ["   # 192.0.2.1", [undefined, []]],
    ["##\n#\n 192.0.2.1", [3, []]],
    // A byte order mark, as some editors leave it.
    ["\ufeff192.0.2.1\n", [1, []]],
    ["\ufeff# x\n192.0.2.1\n", [2, []]],
    // NUL, and bytes that were no UTF-8.
    ["\0\n192.0.2.1\n", [2, [1]]],
    ["192.0.2.1\0\n192.0.2.1\n", [2, [1]]],
    ["\ufffd\ufffd\n192.0.2.1\n", [2, [1]]],
    // A lone CR does not end a line.
    ["192.0.2.9\r192.0.2.1", [undefined, [1]]],
  ];
  for (const [text, expected] of cases) {
    assertEquals(search(text, "192.0.2.1"), expected, JSON.stringify(text));
  }
});

Deno.test("whitelist file: a regular expression ends at a comment", () => {
  assertEquals(search("/x/ # why", "x"), [1, []]);
  assertEquals(search("/x#y/", "x#y"), [undefined, [1]]);
});

Deno.test("whitelist file: long lines and many", () => {
  const long = "x".repeat(1_000_000);
  assertEquals(search(`${long}\n192.0.2.1`, "192.0.2.1"), [2, [1]]);
  assertEquals(search(`${long}!\n192.0.2.1`, "192.0.2.1"), [2, [1]]);
  assertEquals(search(`# ${long}\n192.0.2.1`, "192.0.2.1"), [2, []]);
  const blanks = " ".repeat(200_000);
  assertEquals(search(`${blanks}192.0.2.1${blanks}`, "192.0.2.1"), [1, []]);
  const many = "198.51.100.1\n.example.org\n".repeat(10_000) + "192.0.2.1";
  assertEquals(search(many, "192.0.2.1"), [20_001, []]);
});

Deno.test("whitelist file: the forms of a postgrey client list", () => {
  const text = [
    "# postgrey whitelist for mail client hostnames",
    "# --------------------------------------------",
    "",
    "# example.net: wouldn't retry",
    "example.net",
    "outgoing.example.com",
    "/^mail[0-9]+\\.pool\\.example\\.edu$/",
    "/^(?:mx|smtp)-\\d{1,3}\\.example\\.org$/",
    "192.0.2.17",
    "198.51.100",
    "203.0.113.64/26",
    "2001:db8:40::/48",
  ].join("\n");
  const cases: [string, number | undefined][] = [
    ["relay.example.net", 5],
    ["OUTGOING.example.com".toLowerCase(), 6],
    ["mail042.pool.example.edu", 7],
    ["smtp-9.example.org", 8],
    ["192.0.2.17", 9],
    ["198.51.100.200", 10],
    ["203.0.113.100", 11],
    ["2001:db8:40:1::1", 12],
    ["203.0.113.1", undefined],
    ["example.org", undefined],
  ];
  for (const [who, line] of cases) {
    assertEquals(search(text, who), [line, []], who);
  }
  assert(!("fault" in parseRule("example.net")));
});
