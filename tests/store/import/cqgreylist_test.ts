import { assertEquals } from "@std/assert";
import { formatNetwork } from "../../../lib/address.ts";
import { cqgreylist } from "../../../lib/store/import/cqgreylist.ts";

const PATHS: [string[], string | undefined][] = [
  [["192", "192.0.2.17"], "192.0.2.17/32"],
  [["0", "0.0.0.1"], "0.0.0.1/32"],
  // inet_aton(3) knows no IPv6, and leaves 0.
  [["0", "2001:db8::17"], "2001:db8::17/128"],
  [["0", "::ffff:192.0.2.17"], "192.0.2.17/32"],
  [["10", "192.0.2.17"], undefined],
  [["192", "2001:db8::17"], undefined],
  [["192", "192.0.2."], undefined],
  [["192", "README"], undefined],
  [["192.0.2.17"], undefined],
];

for (const [path, network] of PATHS) {
  Deno.test(`cqgreylist: the file ${path.join("/")}`, () => {
    const found = cqgreylist.network(path);
    assertEquals(found && formatNetwork(found), network);
  });
}

Deno.test("cqgreylist: directories are the first numbers of addresses", () => {
  for (const name of ["0", "1", "192"]) {
    assertEquals(cqgreylist.holdsEntries([name]), true);
  }
  for (const path of [["01"], ["1920"], ["x"], ["192", "0"]]) {
    assertEquals(cqgreylist.holdsEntries(path), false);
  }
});

Deno.test("cqgreylist: accepted mail is not recorded", () => {
  assertEquals(cqgreylist.lastAccepted(1000, 9000), undefined);
});
