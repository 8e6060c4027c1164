import { assertEquals } from "@std/assert";
import { formatNetwork, parseNetwork } from "../../../lib/address.ts";
import { clientOf, entryOf } from "../../../lib/store/import/found.ts";

const network = parseNetwork("192.0.2.0/24")!;
const NOW = 5000;

Deno.test("found: known since the last accepted mail, grey since first contact", () => {
  const entry = (
    firstSeen: number,
    last: number | undefined,
    accepted: number,
  ) => entryOf({ network, firstSeen, lastAccepted: last, accepted }, NOW);
  assertEquals(entry(1000, 2000, 7), { accepted: 7, mtime: 2000 });
  assertEquals(entry(1000, 2000, 0), { accepted: 1, mtime: 2000 });
  assertEquals(entry(1000, undefined, 0), { accepted: 0, mtime: 1000 });
  // Whole seconds, and nothing later than now.
  assertEquals(entry(1000.9, undefined, 0), { accepted: 0, mtime: 1000 });
  assertEquals(entry(1000, 9000, 1), { accepted: 1, mtime: NOW });
  assertEquals(entry(9000, undefined, 0), { accepted: 0, mtime: NOW });
});

Deno.test("found: the client that a network belongs to", () => {
  const match = { ipv4: 24, ipv6: 64 };
  const client = (text: string) => {
    const found = clientOf(parseNetwork(text)!, match);
    return found && formatNetwork(found);
  };
  assertEquals(client("192.0.2.0/24"), "192.0.2.0/24");
  assertEquals(client("192.0.2.17"), "192.0.2.0/24");
  assertEquals(client("192.0.0.0/16"), undefined);
  assertEquals(client("2001:db8::1"), "2001:db8::/64");
  assertEquals(client("2001:db8::/64"), "2001:db8::/64");
  assertEquals(client("2001:db8::/56"), undefined);
});
