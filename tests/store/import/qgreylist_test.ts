import { assertEquals } from "@std/assert";
import { formatNetwork } from "../../../lib/address.ts";
import { qgreylist } from "../../../lib/store/import/qgreylist.ts";

const NAMES: Record<string, string | undefined> = {
  "192.0.2.": "192.0.2.0/24",
  "1.2.3.": "1.2.3.0/24",
  "192.0.2.17": "192.0.2.17/32",
  "2001:db8::17": "2001:db8::17/128",
  "::ffff:192.0.2.17": "192.0.2.17/32",
  "192.0.": undefined,
  "192.0.2": undefined,
  "192.0.2.0_24": undefined,
  "192.0.2.256": undefined,
  "192.0.02.": undefined,
  "192.0.2.17.": undefined,
  ".": undefined,
  "": undefined,
  "README": undefined,
  "2001:db8::.": undefined,
};

for (const [name, network] of Object.entries(NAMES)) {
  Deno.test(`qgreylist: the name "${name}"`, () => {
    const found = qgreylist.network([name]);
    assertEquals(found && formatNetwork(found), network);
  });
}

Deno.test("qgreylist: no directory holds entries", () => {
  assertEquals(qgreylist.holdsEntries(["192"]), false);
});

Deno.test("qgreylist: atime is the last accepted mail, mtime alone is none", () => {
  assertEquals(qgreylist.lastAccepted(1000, 1000), undefined);
  assertEquals(qgreylist.lastAccepted(1000, 1121), 1121);
});
