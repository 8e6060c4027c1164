import { assertEquals } from "@std/assert";
import { formatNetwork } from "../../../lib/address.ts";
import { listingReader } from "../../../lib/store/import/listing.ts";

/** What each line gives: network, first contact, last accepted mail, count. */
function read(lines: string[]) {
  const reader = listingReader();
  return lines.map((line) => {
    const found = reader(line);
    return typeof found === "object"
      ? [
        typeof found.network === "string"
          ? found.network
          : formatNetwork(found.network),
        found.firstSeen,
        found.lastAccepted,
        found.accepted,
      ]
      : found;
  });
}

Deno.test("listing: what info --json writes", () => {
  assertEquals(
    read([
      '{"network":"192.0.2.0/24","state":"known","accepted":14,"first":100,"last":900,"letInFrom":null,"letInUntil":null,"forgottenAt":3111300}',
      '{"network":"2001:db8:0:1::/64","state":"grey","accepted":0,"first":800,"last":850,"letInFrom":910,"letInUntil":87250,"forgottenAt":87250}',
      '{"network":"@google","state":"known","accepted":3,"first":null,"last":7,"letInFrom":null,"letInUntil":null,"forgottenAt":3110407}',
      '{"network":"192.0.2.17/32","state":"expired","accepted":1,"first":null,"last":5,"letInFrom":null,"letInUntil":null,"forgottenAt":3110405}',
    ]),
    [
      ["192.0.2.0/24", 100, 900, 14],
      // A stale entry begins anew: the file is older than the first contact.
      ["2001:db8:0:1::/64", 850, undefined, 0],
      ["@google", 7, 7, 3],
      ["192.0.2.17/32", 5, 5, 1],
    ],
  );
});

Deno.test("listing: what info --csv writes", () => {
  assertEquals(
    read([
      "network,state,accepted,first,last,letInFrom,letInUntil,forgottenAt",
      "192.0.2.0/24,known,14,100,900,,,3111300",
      "2001:db8:0:1::/64,grey,0,,850,910,87250,87250",
    ]),
    [
      "other",
      ["192.0.2.0/24", 100, 900, 14],
      ["2001:db8:0:1::/64", 850, undefined, 0],
    ],
  );
});

Deno.test("listing: anything else", () => {
  const entry = { network: "192.0.2.0/24", accepted: 1, first: 1, last: 1 };
  const bad = [
    { ...entry, network: "192.0.2.1/24" },
    { ...entry, network: "@" },
    { ...entry, network: "@a/b" },
    { ...entry, network: "@../x" },
    { ...entry, network: 7 },
    { ...entry, accepted: -1 },
    { ...entry, accepted: 1.5 },
    { ...entry, accepted: "1" },
    { ...entry, accepted: undefined },
    { ...entry, last: null },
    { ...entry, last: 1e300 },
    [],
    null,
  ].map((value) => JSON.stringify(value));
  for (const line of [...bad, "", "{", "NETWORK  STATE", "1,2,3"]) {
    assertEquals(read([line]), [undefined], line);
  }
  const heading = "network,accepted,first,last";
  for (
    const line of [
      "192.0.2.0/24,1,1",
      "192.0.2.0/24,1,1,1,1",
      "192.0.2.0/24,x,1,1",
      "192.0.2.0/24,,1,1",
      "192.0.2.0/24,1,1,",
      "192.0.2.7/24,1,1,1",
    ]
  ) assertEquals(read([heading, line]), ["other", undefined], line);
});
