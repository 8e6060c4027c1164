import { assertEquals, assertRejects } from "@std/assert";
import { formatNetwork } from "../../lib/address.ts";
import { expand, type Expansion, PermError } from "../../lib/spf/expand.ts";
import { TempError } from "../../lib/spf/resolver.ts";
import { type Records, type Zone, Zones } from "../harness/zones.ts";

function lines({ networks }: Expansion): string[] {
  return networks.map(({ network, origins }) =>
    `${formatNetwork(network)} ${origins.join(" | ")}`
  );
}

/** Expands `d.example`, whose record is the first argument. */
async function spf(record: string | Records, zone: Zone = {}) {
  const resolver = new Zones({ "d.example": record, ...zone });
  const expansion = await expand("d.example", resolver);
  return { ...expansion, lines: lines(expansion), asked: resolver.asked };
}

async function fails(
  kind: typeof PermError | typeof TempError,
  message: string,
  record: string | Records | "SERVFAIL",
  zone: Zone = {},
) {
  const error = await assertRejects(() => spf(record, zone), kind);
  assertEquals(error.message, message);
}

Deno.test("spf expand: literals in their order, with the record of each", async () => {
  const { lines, lookups, warnings } = await spf(
    "v=spf1 ip6:2001:db8::/32 ip4:192.0.2.9/24 ip4:198.51.100.1 -all",
  );
  assertEquals(lines, [
    "2001:db8::/32 d.example > ip6",
    "192.0.2.0/24 d.example > ip4",
    "198.51.100.1/32 d.example > ip4",
  ]);
  assertEquals([lookups, warnings], [0, []]);
});

Deno.test("spf expand: a and mx, both families, prefix lengths", async () => {
  const { lines, lookups } = await spf({
    txt: ["unrelated", "v=spf1 a mx/24//64 A:H.example/30 ?all"],
    mx: ["m1.example", "m2.example", ""],
    hosts: ["192.0.2.1", "2001:db8::1"],
  }, {
    "h.example": { hosts: ["203.0.113.7"] },
    "m1.example": { hosts: ["198.51.100.1", "198.51.100.200"] },
    "m2.example": { hosts: ["2001:db8:1:2:3::4"] },
  });
  assertEquals(lines, [
    "192.0.2.1/32 d.example > a",
    "2001:db8::1/128 d.example > a",
    "198.51.100.0/24 d.example > mx/24//64 (m1.example)",
    "198.51.100.0/24 d.example > mx/24//64 (m1.example)",
    "2001:db8:1:2::/64 d.example > mx/24//64 (m2.example)",
    "203.0.113.4/30 d.example > A:H.example/30",
  ]);
  assertEquals(lookups, 3);
});

Deno.test("spf expand: include and redirect, with the way there", async () => {
  const { lines, lookups } = await spf(
    "v=spf1 include:I.example. redirect=R.example",
    {
      "i.example": "v=spf1 ip4:192.0.2.1 include:j.example -all",
      "j.example": "v=spf1 ip4:192.0.2.2 ~all",
      "r.example": "v=spf1 ip4:192.0.2.3 -all",
    },
  );
  assertEquals(lines, [
    "192.0.2.1/32 d.example > include:i.example > ip4",
    "192.0.2.2/32 d.example > include:i.example > include:j.example > ip4",
    "192.0.2.3/32 d.example > redirect=r.example > ip4",
  ]);
  assertEquals(lookups, 3);
});

Deno.test("spf expand: terms after all do not count, nor does redirect", async () => {
  const { lines, asked } = await spf(
    "v=spf1 ip4:192.0.2.1 ?all ip4:192.0.2.2 include:i.example " +
      "redirect=r.example",
  );
  assertEquals(lines, ["192.0.2.1/32 d.example > ip4"]);
  assertEquals(asked, ["d.example TXT"]);
});

Deno.test("spf expand: +all is everything, also by way of an include", async () => {
  const everything = (how: string) => [`0.0.0.0/0 ${how}`, `::/0 ${how}`];
  const { lines } = await spf("v=spf1 all");
  assertEquals(lines, everything("d.example > all"));
  const included = await spf("v=spf1 include:i.example -all", {
    "i.example": "v=spf1 -ip4:192.0.2.1 +all",
  });
  assertEquals(included.lines, [
    "0.0.0.0/0 d.example > include:i.example > +all " +
    "(although -ip4:192.0.2.1)",
    "::/0 d.example > include:i.example > +all",
  ]);
});

const NOT_LOOKED_UP =
  "not looked up: what it refuses may be listed all the same";

Deno.test("spf expand: what does not pass gives no networks", async () => {
  const terms = [
    "~a",
    "?mx",
    "?include:i.example",
    "-ptr",
    "~exists:x.example",
  ];
  const { lines, lookups, warnings, asked } = await spf(
    `v=spf1 -ip4:192.0.2.1 ${terms.join(" ")} ip4:198.51.100.1 -all`,
  );
  assertEquals(lines, [
    `198.51.100.1/32 d.example > ip4 (although ${terms.join(" ")})`,
  ]);
  assertEquals(warnings, terms.map((term) => `${term}: ${NOT_LOOKED_UP}`));
  assertEquals(lookups, 5);
  assertEquals(asked, ["d.example TXT"]);
});

Deno.test("spf expand: a refusal that is not looked up gives a warning if a network follows", async () => {
  const refusing = [
    "-include:%{d}.x.example",
    "-exists:%{i}.x.example",
    "-a",
    "-a:h.example/24",
    "-mx",
    "-ptr:d.example",
  ];
  for (const term of refusing) {
    const { lines, warnings } = await spf(
      `v=spf1 ip4:192.0.2.1 ${term} ip4:192.0.2.2 include:i.example -all`,
      { "i.example": "v=spf1 ip4:192.0.2.3 -all" },
    );
    assertEquals(lines, [
      "192.0.2.1/32 d.example > ip4",
      `192.0.2.2/32 d.example > ip4 (although ${term})`,
      `192.0.2.3/32 d.example > include:i.example > ip4 (although ${term})`,
    ]);
    assertEquals(warnings, [`${term}: ${NOT_LOOKED_UP}`]);
    const last = await spf(`v=spf1 ip4:192.0.2.1 ${term} -all`);
    assertEquals([last.lines, last.warnings], [
      ["192.0.2.1/32 d.example > ip4"],
      [],
    ]);
  }
});

Deno.test("spf expand: a refusal within an include is about that record alone", async () => {
  const { lines, warnings } = await spf(
    "v=spf1 include:i.example ip4:192.0.2.2 redirect=r.example",
    {
      "i.example": "v=spf1 -exists:%{i}.x.example ip4:192.0.2.1 -all",
      "r.example": "v=spf1 ?a:h.example ip4:192.0.2.3 -all",
    },
  );
  assertEquals(lines, [
    "192.0.2.1/32 d.example > include:i.example > ip4 " +
    "(although -exists:%{i}.x.example)",
    "192.0.2.2/32 d.example > ip4",
    "192.0.2.3/32 d.example > redirect=r.example > ip4 (although ?a:h.example)",
  ]);
  assertEquals(warnings, [
    `i.example: -exists:%{i}.x.example: ${NOT_LOOKED_UP}`,
    `r.example: ?a:h.example: ${NOT_LOOKED_UP}`,
  ]);
});

Deno.test("spf expand: an earlier refusal removes networks or gives a warning", async () => {
  const { lines } = await spf(
    "v=spf1 -ip4:192.0.2.0/28 ip4:192.0.2.3 ip4:192.0.2.0/24 " +
      "include:i.example ip4:198.51.100.0/24 -ip4:198.51.100.1 -all",
    {
      // What this refuses only means that the include does not match.
      "i.example": "v=spf1 -ip4:198.51.100.0/25 ip4:192.0.2.4 -all",
    },
  );
  assertEquals(lines, [
    "192.0.2.0/24 d.example > ip4 (although -ip4:192.0.2.0/28)",
    "198.51.100.0/24 d.example > ip4",
  ]);
});

Deno.test("spf expand: a term that cannot be written as networks gives a warning", async () => {
  const { lines, lookups, warnings, asked } = await spf(
    "v=spf1 ptr exists:%{i}.x.example a:%{o}.x.example mx:%{h} " +
      "include:%{l}.x.example include:i.example ip6:::ffff:192.0.2.1 " +
      "redirect=%{o}.r.example",
    { "i.example": "v=spf1 ip4:192.0.2.1 exists:x.example -all" },
  );
  assertEquals(lines, ["192.0.2.1/32 d.example > include:i.example > ip4"]);
  assertEquals(lookups, 8);
  const macro = "left out: a macro stands for something else with each client";
  assertEquals(warnings, [
    "ptr: left out: cannot be turned into networks",
    "exists:%{i}.x.example: left out: cannot be turned into networks",
    `a:%{o}.x.example: ${macro}`,
    `mx:%{h}: ${macro}`,
    `include:%{l}.x.example: ${macro}`,
    "i.example: exists:x.example: left out: cannot be turned into networks",
    "ip6:::ffff:192.0.2.1: left out: no client has an IPv4-mapped address",
    `redirect=%{o}.r.example: ${macro}`,
  ]);
  assertEquals(asked, ["d.example TXT", "i.example TXT"]);
});

Deno.test("spf expand: no record, two, a broken one", async () => {
  await fails(PermError, "no SPF record", { txt: ["v=spf10", "x"] });
  await fails(PermError, "no SPF record", { hosts: ["192.0.2.1"] });
  await fails(PermError, "2 SPF records, expected one", {
    txt: ["v=spf1 -all", "V=SPF1"],
  });
  await fails(PermError, "foo: unknown mechanism", "v=spf1 -all foo");
  const include = "v=spf1 include:i.example -all";
  await fails(PermError, "i.example: no such domain", include);
  await fails(PermError, "j.example: no such domain", include, {
    "i.example": "v=spf1 include:j.example",
  });
  await fails(PermError, "i.example: no SPF record", include, {
    "i.example": {},
  });
  await fails(PermError, "i.example: no SPF record", include, {
    "i.example": "x",
  });
  await fails(PermError, "i.example: ip4: the address is missing", include, {
    "i.example": "v=spf1 ip4",
  });
  await fails(
    PermError,
    "r.example: no such domain",
    "v=spf1 redirect=r.example",
  );
  const gone = await assertRejects(
    () => expand("nowhere.example", new Zones({})),
    PermError,
  );
  assertEquals(gone.message, "no such domain");
});

Deno.test("spf expand: loops", async () => {
  await fails(
    PermError,
    "d.example > d.example: a loop",
    "v=spf1 include:D.example -all",
  );
  await fails(
    PermError,
    "d.example > i.example > d.example: a loop",
    "v=spf1 include:i.example -all",
    { "i.example": "v=spf1 redirect=d.example" },
  );
  // The same domain twice, one after the other, is no loop.
  const { lookups } = await spf(
    "v=spf1 include:i.example include:i.example -all",
    { "i.example": "v=spf1 -all" },
  );
  assertEquals(lookups, 2);
});

/** A chain of records, each of which includes the next. */
function chain(length: number, last: string): Zone {
  const zone: Zone = { [`n${length}.example`]: last };
  for (let i = 1; i < length; i++) {
    zone[`n${i}.example`] = `v=spf1 include:n${i + 1}.example -all`;
  }
  return zone;
}

Deno.test("spf expand: 10 look-ups, not 11", async () => {
  const first = "v=spf1 include:n1.example -all";
  const ten = await spf(first, chain(10, "v=spf1 ip4:192.0.2.1 -all"));
  assertEquals([ten.lookups, ten.lines.length], [10, 1]);
  await fails(
    PermError,
    "n10.example: more than 10 terms that need DNS look-ups",
    first,
    chain(10, "v=spf1 redirect=n11.example"),
  );
  await fails(
    PermError,
    "n10.example: more than 10 terms that need DNS look-ups",
    first,
    chain(10, "v=spf1 -a"),
  );
  // Terms of all kinds count together, also those that do not pass.
  await fails(
    PermError,
    "d.example: more than 10 terms that need DNS look-ups",
    "v=spf1 -a -mx ptr exists:x.example a:%{i}.example ?include:x.example " +
      "~a ~mx ?ptr -exists:x.example redirect=%{d}.example",
  );
});

Deno.test("spf expand: 2 look-ups that find nothing, not 3", async () => {
  const hosts = (count: number) =>
    "v=spf1 " +
    Array.from({ length: count }, (_, i) => `a:h${i}.example`).join(" ");
  const two = await spf(`${hosts(2)} -all`);
  assertEquals(two.lines, []);
  await fails(
    PermError,
    "i.example: more than 2 look-ups that found nothing",
    `${hosts(2)} include:i.example`,
  );
  await fails(
    PermError,
    "h2.example: more than 2 look-ups that found nothing",
    `${hosts(3)} -all`,
  );
  // A mail exchanger without an address counts too, a host without IPv6 does not.
  await fails(
    PermError,
    "m.example: more than 2 look-ups that found nothing",
    { txt: ["v=spf1 a:x.example mx:y.example mx -all"], mx: ["m.example"] },
  );
  const old = { hosts: ["192.0.2.1"] };
  const { lines } = await spf(`${hosts(4)} -all`, {
    "h0.example": old,
    "h1.example": old,
    "h2.example": old,
    "h3.example": old,
  });
  assertEquals(lines.length, 4);
});

Deno.test("spf expand: a host with an IPv4-mapped address", async () => {
  // As text its network is all of IPv4.
  class Mapped extends Zones {
    override addresses(name: string, family: 4 | 6) {
      if (family === 4) return super.addresses(name, family);
      const records = [{ family, value: 0xffff_c000_0201n }];
      return Promise.resolve({ exists: true, records });
    }
  }
  const record = "v=spf1 a:x.example//96 mx:x.example//96 -all";
  const zone = { "d.example": record, "x.example": { mx: ["x.example"] } };
  const { networks, warnings } = await expand("d.example", new Mapped(zone));
  assertEquals(networks, []);
  assertEquals(warnings.length, 2);
});

Deno.test("spf expand: 10 mail exchangers, not 11", async () => {
  const zone: Zone = {};
  const names = Array.from({ length: 11 }, (_, i) => `m${i}.example`);
  names.forEach((name, i) => zone[name] = { hosts: [`192.0.2.${i}`] });
  const record = (mx: string[]) => ({ txt: ["v=spf1 mx -all"], mx });
  const ten = await spf(record(names.slice(0, 10)), zone);
  assertEquals(ten.lines.length, 10);
  await fails(
    PermError,
    "mx: 11 mail exchangers, more than 10",
    record(names),
    zone,
  );
});

Deno.test("spf expand: a failure of any look-up is temporary", async () => {
  const message = "x.example: SERVFAIL";
  const zone: Zone = { "x.example": "SERVFAIL" };
  for (
    const record of [
      "v=spf1 include:x.example -all",
      "v=spf1 redirect=x.example",
      "v=spf1 a:x.example -all",
      "v=spf1 mx:x.example -all",
    ]
  ) await fails(TempError, message, record, zone);
  await fails(TempError, message, {
    txt: ["v=spf1 mx -all"],
    mx: ["x.example"],
  }, zone);
});

Deno.test("spf expand: text of a foreign record is escaped", async () => {
  const { lines } = await spf(
    { txt: ["v=spf1 mx -all"], mx: ["\x1b[2J\n.example"] },
    { "\x1b[2J\n.example": { hosts: ["192.0.2.1"] } },
  );
  assertEquals(lines, [
    "192.0.2.1/32 d.example > mx (\\027[2J\\010.example)",
  ]);
});
