import { assertEquals } from "@std/assert";
import { parseNetwork } from "../../../lib/address.ts";
import { jgreylist } from "../../../lib/store/import/jgreylist.ts";

const PATHS: Record<string, string | undefined> = {
  "000/255/000": "0.255.0.0/24",
  "192/000/002": "192.0.2.0/24",
  "192/000/002/017": "192.0.2.17/32",
  "ip4/192/000/002": "192.0.2.0/24",
  "ip4/192/000/002/017": "192.0.2.17/32",
  "ip6/20/01/04/70/1f/0f/03/50": "2001:470:1f0f:350::/64",
  "ip6/20/01/04/70/1f/0f/03/50/00/00/00/00/00/00/00/01":
    "2001:470:1f0f:350::1/128",
  "192/000": undefined,
  "192/0/2": undefined,
  "192/000/256": undefined,
  "192/000/002/017/001": undefined,
  "ip6/20/01/04/70/1f/0f/03": undefined,
  "ip6/20/01/04/70/1f/0f/03/5g": undefined,
  "ip4/ip6": undefined,
  "README": undefined,
};

for (const [path, network] of Object.entries(PATHS)) {
  Deno.test(`jgreylist: the file ${path}`, () => {
    const found = jgreylist.network(path.split("/"));
    assertEquals(found, network && parseNetwork(network));
  });
}

Deno.test("jgreylist: directories down to the last number and no further", () => {
  const holds = (path: string) => jgreylist.holdsEntries(path.split("/"));
  for (
    const path of [
      "192",
      "192/000",
      "255/000",
      "192/000/002",
      "ip4",
      "ip4/192/000/002",
      "ip6",
      "ip6/20",
      "ip6/20/01/04/70/1f/0f/03/50/00/00/00/00/00/00/00",
    ]
  ) assertEquals(holds(path), true, path);
  for (
    const path of [
      "300",
      "192/0",
      "300/000",
      "192/000/002/017",
      "ip4/192/000/002/017",
      "ip4/ip4",
      "ip6/200",
      "ip6/200/20",
      "ip6/20/01/04/70/1f/0f/03/50/00/00/00/00/00/00/00/01",
      "ip5",
    ]
  ) assertEquals(holds(path), false, path);
});

Deno.test("jgreylist: a connection within the hold time was not accepted", () => {
  assertEquals(jgreylist.lastAccepted(1000, 1000), undefined);
  assertEquals(jgreylist.lastAccepted(1000, 1119), undefined);
  assertEquals(jgreylist.lastAccepted(1000, 1120), 1120);
});
