import { assertEquals } from "@std/assert";
import { countedFor, NetworkCounts } from "../../lib/serve/network_counts.ts";

Deno.test("NetworkCounts: connections until they end", () => {
  const counts = new NetworkCounts();
  assertEquals(counts.of("192.0.2.0/24"), 0);
  const ends = [1, 2].map(() => counts.count("192.0.2.0/24"));
  counts.count("2001:db8::/64");
  assertEquals(counts.of("192.0.2.0/24"), 2);
  ends[0]();
  assertEquals(counts.of("192.0.2.0/24"), 1);
  ends[1]();
  assertEquals([counts.of("192.0.2.0/24"), counts.of("2001:db8::/64")], [0, 1]);
});

Deno.test("a program counts for its client's network as it is now", () => {
  const served = { client: { ip: "192.0.2.17" }, network: "192.0.2.0/24" };
  assertEquals(countedFor(served, { ipv4: 24, ipv6: 64 }), "192.0.2.0/24");
  assertEquals(countedFor(served, { ipv4: 32, ipv6: 64 }), "192.0.2.17/32");
  const unknown = { client: {}, network: "192.0.2.0/24" };
  assertEquals(countedFor(unknown, { ipv4: 32, ipv6: 64 }), "192.0.2.0/24");
});
