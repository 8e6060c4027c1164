import { assertEquals, assertMatch } from "@std/assert";
import { formatNetwork, parseNetwork } from "../../../lib/address.ts";
import type { PoolEntry } from "../../../lib/store/import/found.ts";
import { Intake } from "../../../lib/store/import/intake.ts";
import { namesIn } from "../../harness/entry.ts";
import "../../harness/libc.ts";
import { temporary } from "../../harness/temporary.ts";

const NOW = 1_700_000_000;
const RULES = {
  match: { ipv4: 24, ipv6: 64 },
  timeouts: { delay: 60, retryWindow: 1000, expireAfter: 10_000 },
};

/** Takes in a known entry, or with no accepted mail a grey one. */
function take(
  intake: Intake,
  name: PoolEntry | string,
  age: number,
  accepted: number,
): void {
  const network = name.startsWith("@")
    ? name as PoolEntry
    : parseNetwork(name)!;
  const lastAccepted = accepted > 0 ? NOW - age : undefined;
  intake.take({ network, firstSeen: NOW - age, lastAccepted, accepted });
}

/** The counts, without those that are 0. */
function counts(intake: Intake): Record<string, number> {
  const { read, known, grey, widened, kept, expired, wider, failed } = intake;
  const all = { read, known, grey, widened, kept, expired, wider, failed };
  return Object.fromEntries(
    Object.entries(all).filter(([, count]) => count !== 0),
  );
}

Deno.test("intake: what becomes of each network, and how often", () => {
  using dir = temporary();
  const intake = new Intake({ dir: dir.path }, RULES, NOW);
  assertEquals(counts(intake), {});
  take(intake, "192.0.2.0/24", 10, 3);
  take(intake, "198.51.100.0/24", 10, 0);
  take(intake, "2001:db8::17", 10, 1);
  take(intake, "@pool", 10, 7);
  assertEquals(counts(intake), { read: 4, known: 3, grey: 1, widened: 1 });
  // The same once more, and worse.
  take(intake, "192.0.2.0/24", 10, 3);
  take(intake, "192.0.2.9", 20, 2);
  // Both sides of both limits.
  take(intake, "203.0.113.0/24", 1000, 0);
  take(intake, "10.0.0.0/24", 1001, 0);
  take(intake, "10.0.1.0/24", 10_000, 1);
  take(intake, "10.0.2.0/24", 10_001, 1);
  take(intake, "@old", 10_001, 1);
  assertEquals(counts(intake), {
    read: 11,
    known: 4,
    grey: 2,
    widened: 1,
    kept: 2,
    expired: 3,
  });
  assertEquals(intake.firstWider, undefined);
  take(intake, "10.9.0.0/16", 10, 1);
  take(intake, "10.8.0.0/16", 10, 1);
  assertEquals(counts(intake).wider, 2);
  assertEquals(formatNetwork(intake.firstWider!), "10.9.0.0/16");
  const sizes = namesIn(dir.path).map((name) =>
    `${name} ${Deno.statSync(`${dir.path}/${name}`).size}`
  );
  assertEquals(sizes, [
    "10.0.1.0_24 1",
    "192.0.2.0_24 3",
    "198.51.100.0_24 0",
    "2001:db8::_64 1",
    "203.0.113.0_24 0",
    "@pool 7",
  ]);
  assertEquals([intake.failed, intake.failure], [0, undefined]);
});

Deno.test("intake: one that cannot be written does not stop the rest", () => {
  using dir = temporary();
  Deno.mkdirSync(`${dir.path}/192.0.2.0_24`);
  Deno.mkdirSync(`${dir.path}/192.0.3.0_24`);
  const intake = new Intake({ dir: dir.path }, RULES, NOW);
  for (const network of ["192.0.2.0/24", "192.0.3.0/24", "192.0.4.0/24"]) {
    take(intake, network, 10, 1);
  }
  assertEquals(counts(intake), { read: 3, known: 1, failed: 2 });
  assertMatch(`${intake.failure}`, /192\.0\.2\.0_24: a directory: expected/);
});
