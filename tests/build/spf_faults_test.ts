// `deno task spf` with each fault that a DNS can have.

import { assertEquals } from "@std/assert";
import { e2e } from "../harness/need.ts";
import { freePort } from "../harness/process.ts";
import { ROOT, writeFile } from "../harness/root.ts";
import { NEEDS, OLD, SPECIAL, spf, ZONE } from "../harness/spf_task.ts";
import { startUnbound } from "../harness/unbound.ts";

const WORLD = "would whitelist too much of the Internet: more addresses than ";

/** Each fault: the domain, the exit code, the line after the domain. */
const FAULTS: [string, 100 | 111, string][] = [
  ["nowhere.spf.example", 100, "no such domain"],
  ["none.spf.example", 100, "no SPF record"],
  ["two.spf.example", 100, "2 SPF records, expected one"],
  ["closed.spf.example", 100, "no networks"],
  ["bare.spf.example", 100, "no networks"],
  [
    "garbage.spf.example",
    100,
    "\\255\\027[2J\\010ip4: unknown mechanism",
  ],
  [
    "loop.spf.example",
    100,
    "loop.spf.example > loop2.spf.example > loop.spf.example: a loop",
  ],
  [
    "chain11.spf.example",
    100,
    "n11-10.spf.example: more than 10 terms that need DNS look-ups",
  ],
  [
    "void.spf.example",
    100,
    "none.nowhere.spf.example: more than 2 look-ups that found nothing",
  ],
  [
    "world.spf.example",
    100,
    `${WORLD}an IPv4 /8 has; the widest network is 0.0.0.0/0 ` +
    "(world.spf.example > +all)",
  ],
  [
    "halves.spf.example",
    100,
    `${WORLD}an IPv4 /8 has; the widest network is 0.0.0.0/0 ` +
    "(halves.spf.example > include:zero.spf.example > ip4)",
  ],
  [
    "six.spf.example",
    100,
    `${WORLD}an IPv6 /16 has; the widest network is 2000::/15 ` +
    "(six.spf.example > ip6)",
  ],
  [
    "eights.spf.example",
    100,
    `${WORLD}an IPv4 /8 has; the widest network is 10.0.0.0/8 ` +
    "(eights.spf.example > include:eights2.spf.example > ip4)",
  ],
  ["servfail.example", 111, "servfail.example TXT: SERVER: SERVFAIL"],
  ["toservfail.spf.example", 111, "x.servfail.example TXT: SERVER: SERVFAIL"],
  ["torefused.spf.example", 111, "x.refused.example A: SERVER: REFUSED"],
  [
    "todropped.spf.example",
    111,
    "x.dropped.example TXT: SERVER: it closed the connection",
  ],
];

e2e("spf: each fault is one line, and the old file stays", NEEDS, async (t) => {
  await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
  const file = writeFile("spf/old", OLD);
  const { ino } = Deno.statSync(file);
  const server = `127.0.0.1:${dns.port}`;
  const options = [`--output=${file}`, `--server=${server}`];
  const untouched = () => {
    assertEquals(Deno.readTextFileSync(file), OLD);
    assertEquals(Deno.statSync(file).ino, ino);
    const names = [...Deno.readDirSync(`${ROOT}/spf`)].map(({ name }) => name);
    assertEquals(names.filter((name) => name.startsWith(".")), []);
  };
  const line = ([domain, , message]: typeof FAULTS[number]) =>
    `greylist spf: ${domain}: ${message.replace("SERVER", server)}`;

  for (const kind of [100, 111] as const) {
    await t.step(`exit ${kind}`, async () => {
      const faults = FAULTS.filter(([, code]) => code === kind);
      const domains = faults.map(([domain]) => domain);
      const failed = await spf("good.spf.example", ...domains, ...options);
      assertEquals([failed.code, failed.stdout], [kind, ""], failed.stderr);
      assertEquals(failed.told, [
        "greylist spf: good.spf.example: 4 networks (3 of 10 look-ups)",
        ...faults.map(line),
      ]);
      untouched();
    });
  }

  await t.step(
    "exit 100 if trying again helps with only one of two domains",
    async () => {
      const names = ["toservfail.spf.example", "two.spf.example"];
      const failed = await spf(...names, ...options);
      assertEquals(failed.code, 100, failed.stderr);
      assertEquals(failed.told.length, 2);
      untouched();
    },
  );

  await t.step("two domains whose lists together are too large", async () => {
    const names = ["ten.spf.example", "eleven.spf.example"];
    const failed = await spf(...names, ...options);
    assertEquals(failed.code, 100, failed.stderr);
    assertEquals(failed.told, [
      "greylist spf: ten.spf.example: 1 network (0 of 10 look-ups)",
      "greylist spf: eleven.spf.example: 1 network (0 of 10 look-ups)",
      `greylist spf: all domains together: ${WORLD}an IPv4 /8 has; the ` +
      "widest network is 10.0.0.0/7 (ten.spf.example > ip4)",
    ]);
    untouched();
  });

  await t.step("a domain without networks, after its warnings", async () => {
    const failed = await spf("asks.spf.example", ...options);
    assertEquals([failed.code, failed.stdout], [100, ""], failed.stderr);
    assertEquals(failed.told, [
      "greylist spf: asks.spf.example: exists:%{i}.spf.example: left out: " +
      "cannot be turned into networks",
      "greylist spf: asks.spf.example: no networks",
    ]);
    untouched();
  });

  await t.step("no server listens there", async () => {
    const dead = `127.0.0.1:${freePort()}`;
    const failed = await spf(
      "good.spf.example",
      `--output=${file}`,
      `--server=${dead}`,
    );
    assertEquals(failed.code, 111, failed.stderr);
    assertEquals(failed.told, [
      "greylist spf: good.spf.example: good.spf.example TXT: " +
      `${dead}: connection refused`,
    ]);
    untouched();
  });
});
