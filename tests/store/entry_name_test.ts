import { assert, assertEquals } from "@std/assert";
import { networkOf, parseAddress, parseNetwork } from "../../lib/address.ts";
import { entryName, parseEntryName } from "../../lib/store/entry_name.ts";

Deno.test("store: the name of an entry", () => {
  const cases: [string, string][] = [
    ["192.0.2.17", "192.0.2.17"],
    ["192.0.2.17/32", "192.0.2.17"],
    ["192.0.2.0/24", "192.0.2.0_24"],
    ["0.0.0.0/0", "0.0.0.0_0"],
    ["0.0.0.0/1", "0.0.0.0_1"],
    ["192.0.2.16/31", "192.0.2.16_31"],
    ["2001:DB8::17", "2001:db8::17"],
    ["2001:db8:0:1::/64", "2001:db8:0:1::_64"],
    ["::/0", "::_0"],
    ["::1", "::1"],
    ["::", "::"],
    ["::ffff:192.0.2.17", "192.0.2.17"],
    ["::ffff:192.0.2.0/120", "192.0.2.0_24"],
  ];
  for (const [text, name] of cases) {
    const network = parseNetwork(text)!;
    assertEquals(entryName(network), name);
    assertEquals(parseEntryName(name), network, name);
  }
});

Deno.test("store: every prefix length has a name, and it means that", () => {
  for (
    const text of ["203.0.113.181", "2001:db8:5a5a:a5a5:dead:beef:1234:5b"]
  ) {
    const address = parseAddress(text)!;
    const names = new Set<string>();
    for (
      let prefix = 0;
      prefix <= (address.family === 4 ? 32 : 128);
      prefix++
    ) {
      const network = networkOf(address, prefix);
      const name = entryName(network);
      assertEquals(parseEntryName(name), network, name);
      assert(!names.has(name), name);
      assert(/^[0-9a-f.:_]+$/.test(name), name);
      names.add(name);
    }
  }
});

Deno.test("store: names that are no entries", () => {
  const names = [
    "",
    ".",
    "..",
    ".lock",
    "README",
    "lost+found",
    "192.0.2.17~",
    " 192.0.2.17",
    "192.0.2.17 ",
    "192.0.2.17\n",
    "192.0.2.17\0",
    "192.0.2",
    "192.0.2.0.24",
    "192.0.2.0-24",
    "192.0.2.0_",
    "_24",
    "192.0.2.0/24",
    "192.0.2.0_24_24",
    "192.0.2.0__24",
    "192.0.2.0_24/",
    "192.0.2.0_24 ",
    "192.0.2.0_33",
    "192.0.2.0_024",
    "192.0.2.0_+24",
    "192.0.2.0_-1",
    "192.0.2.256",
    "192.0.2.017",
    // Not the canonical name, so no connection would look for the file.
    "192.0.2.17_32",
    "192.0.2.17_24",
    "192.0.2.17/32",
    "2001:db8::17_128",
    "2001:db8::17/128",
    "2001:DB8::17",
    "2001:db8:0::17",
    "2001:db8:0:0:0:0:0:17",
    "2001:0db8::17",
    "2001:db8:0:1:0::_64",
    "2001:db8:0:1::17_64",
    "::ffff:192.0.2.17",
    "::ffff:c000:211",
    "::ffff:192.0.2.0_120",
    "::ffff:0:0_96",
    "::192.0.2.17",
    "::ffff:192.0.2.17_32",
    "fe80::1%eth0",
    "2001:db8::_129",
  ];
  for (const name of names) {
    assertEquals(parseEntryName(name), undefined, JSON.stringify(name));
  }
});
