import { assertEquals } from "@std/assert";
import { domainOf } from "../../lib/report/pools.ts";

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
