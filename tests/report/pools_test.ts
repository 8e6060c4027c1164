import { assertEquals } from "@std/assert";
import { domainOf, Pools } from "../../lib/report/pools.ts";

Deno.test("registered domains", () => {
  const cases: [string, string | undefined][] = [
    ["mail.a.example.com", "example.com"],
    ["Example.COM.", "example.com"],
    ["a.b.example.co.uk", "example.co.uk"],
    ["mx.example.de", "example.de"],
    ["mx.example.com.au", "example.com.au"],
    ["mx.four.de", "four.de"],
    ["example.com>", "example.com"],
    ["localhost", undefined],
    ["192.0.2.1", undefined],
    ["[192.0.2.1]", undefined],
    ["", undefined],
    ["a..com", undefined],
    ["\\x00.com", undefined],
  ];
  for (const [host, domain] of cases) {
    assertEquals(domainOf(host), domain, host);
  }
});

Deno.test("the domain of a sender is behind the last @", () => {
  const cases = ["<@relay.example:a@b.example>", "<a@x@b.example>"];
  for (const from of cases) {
    const pools = new Pools();
    const mail = { helo: "localhost", from, to: "<c@d.example>" };
    pools.add(1, mail);
    pools.add(2, mail);
    const domains = pools.top(9, () => true).map(({ domain }) => domain);
    assertEquals(domains, ["b.example"], from);
  }
});

Deno.test("a mail without a recipient or a sender is none", () => {
  const mails = [
    { from: "<a@b.example>" },
    { to: "<c@d.example>" },
    { from: "<>", to: "<c@d.example>" },
  ];
  for (const mail of mails) {
    const pools = new Pools();
    for (const network of [1, 2]) {
      pools.add(network, { helo: "mx.b.example", ...mail });
    }
    assertEquals(pools.top(9, () => true), [], JSON.stringify(mail));
  }
});

/** The pools of one mail that came with these names in HELO, each a new network. */
function moved(...names: string[]) {
  const pools = new Pools();
  names.forEach((helo, network) => {
    pools.add(network, { helo, from: "<a@b.example>", to: "<c@d.example>" });
  });
  return pools.top(9, () => true).map(({ domain, hosts, moves, networks }) => [
    domain,
    hosts,
    moves,
    networks,
  ]);
}

Deno.test("a domain moves between its own networks only", () => {
  assertEquals(moved("mx.a.example", "mx.b.example", "mx.c.example"), []);
  assertEquals(moved("a1.a.example", "b1.b.example", "a2.a.example"), [
    ["a.example", ".a.example", 1, 2],
  ]);
});

Deno.test("the hosts of a pool are what the HELO names have in common", () => {
  const cases: [string[], string][] = [
    [["a.mail.c.example", "B.Mail.C.example.", "x.mail.c.example"], ".mail"],
    [["a.mail.c.example", "b.c.example"], ""],
    [["mx.c.example", "mx.c.example"], ""],
    [["a.mail.c.example", "mail.c.example"], "mail"],
    // Half a label is none.
    [["out1.c.example", "xout1.c.example"], ""],
  ];
  for (const [names, prefix] of cases) {
    const hosts = `${prefix}.c.example`;
    assertEquals(moved(...names).map(([, hosts]) => hosts), [hosts]);
  }
  assertEquals(moved("c.example", "a.c.example")[0][1], "c.example");
  assertEquals(moved("localhost", "localhost")[0].slice(0, 2), [
    "b.example",
    undefined,
  ]);
});
