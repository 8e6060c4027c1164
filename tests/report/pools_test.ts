import { assertEquals } from "@std/assert";
import { domainOf, Pools } from "../../lib/report/pools.ts";

Deno.test("registered domains", () => {
  const cases: [string, string | undefined][] = [
    ["mail.a.example.com", "example.com"],
    ["Example.COM.", "example.com"],
    ["a.b.example.co.uk", "example.co.uk"],
    ["mx.example.de", "example.de"],
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
