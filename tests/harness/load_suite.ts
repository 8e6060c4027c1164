/**
 * Many connections: all at once, and one after the other.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { bytesIn } from "../../lib/build/bench/proc.ts";
import {
  age,
  clean,
  clientLines,
  compile,
  emptyLog,
  entries,
  logLines,
  SERVE,
} from "./binary.ts";
import { namesIn } from "./entry.ts";
import { type Deferred, deferred, type Passed, passed } from "./logged.ts";
import { e2e } from "./need.ts";
import { greeter, NEXT } from "./next_program.ts";
import {
  areAtRest,
  childrenOf,
  descriptorsOf,
  hungUp,
  processesOf,
  waitFor,
} from "./process.ts";
import { BASE, emptyDir, writeFile } from "./root.ts";
import { HELPER_LIFE } from "./serving.ts";
import { assertOnlySmtp, ATTEMPT, Client } from "./smtp.ts";
import type { Listener, WayIn } from "./way_in.ts";

/** How many at once. */
const CLIENTS = 200;

/** How long a client waits for its turn, in seconds: they all start together. */
const PATIENCE = 180;

/** Where the clients of one test call from. */
interface Origin {
  readonly name: string;
  /** The address of client number `n`. */
  address(n: number): string;
  /** How many networks that many clients call from. */
  networks(clients: number): number;
}

const ORIGINS: Origin[] = [
  {
    name: `${CLIENTS} networks`,
    address: (n) => `127.20.${n}.7`,
    networks: (clients) => clients,
  },
  {
    name: "one network",
    address: (n) => `127.21.0.${n + 1}`,
    networks: () => 1,
  },
];

/** Registers the tests of clients that come all at once. */
export function loadSuite(way: WayIn): void {
  for (const origin of ORIGINS) {
    e2e(
      `${way.name}: ${CLIENTS} at once from ${origin.name}`,
      way,
      () => atOnce(way, origin),
    );
  }
}

/**
 * Registers the test of many clients, of which few come at a time.
 *
 * @param count how many come with CI=true; elsewhere it is a tenth of them
 */
export function rowSuite(way: WayIn, count: number): void {
  const number = Deno.env.get("CI") === "true" ? count : count / 10;
  e2e(`${way.name}: ${number}, ${AT_A_TIME} at a time`, way, async () => {
    const { memory: [before, after] } = await inARow(way, number);
    console.log(`memory: ${before} bytes before, ${after} after`);
  });
}

async function atOnce(way: WayIn, origin: Origin): Promise<void> {
  clean();
  const binary = await compile({
    timeouts: { delay: "1h" },
    // Each client waits until all have their banner.
    deferral: { idleTimeout: "10m", sessionTimeout: "15m" },
    serve: { ...SERVE, limit: CLIENTS + 10 },
  });
  await using server = await way.start({
    binary,
    next: greeter(),
    clients: CLIENTS + 10,
    life: 8 * PATIENCE,
  });
  const before = await steady(way, server, binary);
  const networks = origin.networks(CLIENTS);
  const round = async (deferring: boolean) => {
    await crowd(server, origin, deferring);
    await hungUp(server.port);
  };
  const counts = () => Object.values(entries());

  // Twice deferred.
  await round(true);
  assertEquals(counts(), Array(networks).fill(0));
  let lines: (Deferred | Passed)[] = await deferred(CLIENTS, PATIENCE);
  assertEquals(tally(lines), reasons("new", networks, "early"));
  assertEquals(networksIn(lines, "new"), networks);
  await round(true);
  assertEquals(counts(), Array(networks).fill(0));
  lines = (await deferred(2 * CLIENTS, PATIENCE)).slice(CLIENTS);
  assertEquals(tally(lines), { early: CLIENTS });

  // Twice let in.
  emptyLog();
  for (const name of Object.keys(entries())) age(name, 4000);
  await round(false);
  const first = counts();
  lines = await passed(CLIENTS, PATIENCE);
  assertEquals(networksIn(lines, "retried"), networks);
  assertEquals(networksIn(lines), networks);
  await round(false);
  lines = (await passed(2 * CLIENTS, PATIENCE)).slice(CLIENTS);
  assertEquals(tally(lines), { known: CLIENTS });
  const second = counts();
  assertEquals([first.length, second.length], [networks, networks]);
  // Of two connections at once one count may be lost, but no entry and no pass.
  const each = CLIENTS / networks;
  for (const accepted of first) assert(accepted >= 1 && accepted <= each);
  second.forEach((accepted, i) => {
    assert(accepted > first[i] && accepted <= first[i] + each, `${accepted}`);
  });

  assertEquals(server.stderr(), "");
  await unchanged(server, binary, before);
}

/** All clients at once: each waits until all have the banner. */
async function crowd(server: Listener, origin: Origin, deferring: boolean) {
  let waiting = CLIENTS;
  const everybody = Promise.withResolvers<void>();
  await Promise.all(Array.from({ length: CLIENTS }, async (_, n) => {
    const options = { from: origin.address(n), patience: PATIENCE };
    try {
      using client = await Client.connectFrom(server.port, options);
      const banner = await client.reply();
      if (deferring) assertMatch(banner ?? "none", /^220 mx\.example ESMTP$/);
      else assertEquals(banner, NEXT);
      if (--waiting === 0) everybody.resolve();
      await everybody.promise;
      await client.send(`${ATTEMPT.join("\r\n")}\r\n`);
      const text = await client.rest();
      assertOnlySmtp(text);
      assertMatch(text, deferring ? /\r\n451 4\.7\.1 .*\r\n221 / : /250 QUIT/);
      assert(!client.wasReset);
    } catch (error) {
      everybody.reject(error);
      throw error;
    }
  }));
}

/** How often each reason was given. */
function tally(lines: readonly (Deferred | Passed)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { reason } of lines) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
}

/** The expected tally: `count` clients with one reason, the rest with another. */
function reasons(some: string, count: number, other: string) {
  const rest = CLIENTS - count;
  return rest === 0 ? { [some]: count } : { [some]: count, [other]: rest };
}

/** How many networks the lines name. */
function networksIn(lines: readonly (Deferred | Passed)[], reason?: string) {
  const chosen = lines.filter((line) =>
    reason === undefined || line.reason === reason
  );
  return new Set(chosen.map(({ net }) => net)).size;
}

/** The resources that must not grow. */
interface Holdings {
  /** Processes of the binary. */
  readonly processes: number;
  /** Children of the server, zombies included. */
  readonly children: number;
  /** The server's descriptors. */
  readonly descriptors: number;
}

function holdings(server: Listener, binary: string): Holdings {
  return {
    processes: processesOf(binary).length,
    children: childrenOf(server.pid).length,
    descriptors: descriptorsOf(server.pid).length,
  };
}

/**
 * The holdings of a server that has started, once they have not changed for half a
 * second.
 */
async function steady(
  way: WayIn,
  server: Listener,
  binary: string,
): Promise<Holdings> {
  if (way.resident > 0) {
    await waitFor(
      "the first line",
      () => logLines().some((line) => / serve on=/.test(line)),
    );
  }
  let before: Holdings;
  let now = holdings(server, binary);
  do {
    before = now;
    await new Promise((done) => setTimeout(done, 500));
    now = holdings(server, binary);
  } while (
    JSON.stringify(now) !== JSON.stringify(before) ||
    way.resident > 0 && !areAtRest(binary)
  );
  return now;
}

async function unchanged(server: Listener, binary: string, before: Holdings) {
  let now = before;
  try {
    await waitFor("what there was before", () => {
      now = holdings(server, binary);
      return Object.entries(before).every(([what, count]) =>
        now[what as keyof Holdings] <= count
      );
    }, HELPER_LIFE);
  } catch (error) {
    assertEquals(now, before, (error as Error).message);
  }
}

/** The result of {@linkcode inARow}. */
interface Row {
  /** The server's own memory before and after, in bytes. */
  readonly memory: [before: number, after: number];
}

/** How many networks the clients come from; the first half of them is let in. */
const HOMES = 50;

/** Enough to keep two cores busy, and too few for two of one network. */
const AT_A_TIME = 3;

/** How much the server's memory may grow, in bytes, whatever the number. */
const GROWTH = 16e6;

/**
 * Clients of every kind in turn, half of them let in.
 *
 * @throws {Error} if a client is not served, or if anything is left afterwards
 */
async function inARow(way: WayIn, count: number): Promise<Row> {
  clean();
  const binary = await compile({ timeouts: { delay: "1h" } });
  const scratch = emptyDir("scratch");
  await using server = await way.start({
    binary,
    // The shell writes an error for each client that has gone.
    next: greeter("exec 2>/dev/null"),
    env: { TMPDIR: scratch },
    life: 120 + count,
  });
  for (let n = 0; n < HOMES / 2; n++) {
    writeFile(`base/127.30.${n}.0_24`, "x", 0o600);
  }
  // These clients make the server load everything that it loads once.
  for (let n = 0; n < HOMES; n++) await one(server, n);
  // serve prunes two seconds after its start.
  await waitFor("the bookmark", () => namesIn(BASE).includes(".prune"));
  await server.idle();
  const before = holdings(server, binary);
  const memory = memoryOf(server.pid);
  const files = namesIn(BASE);
  for (let n = HOMES; n < count; n += AT_A_TIME) {
    await Promise.all(
      Array.from(
        { length: Math.min(AT_A_TIME, count - n) },
        (_, i) => one(server, n + i),
      ),
    );
    // A pause, so that the test does not meet the kernel's own limits.
    if (n % 100 < AT_A_TIME) await hungUp(server.port);
  }
  await server.idle();
  await unchanged(server, binary, before);
  const after = memoryOf(server.pid);
  assert(after - memory < GROWTH, `grown from ${memory} to ${after} bytes`);
  assertEquals(namesIn(BASE), files);
  assertEquals(namesIn(scratch), []);
  assertEquals(server.stderr(), "");
  assertEquals(clientLines().length, count);
  const known = Array.from({ length: count }, (_, n) => n).filter(isLetIn);
  const accepted = Object.values(entries()).reduce((sum, n) => sum + n);
  assertEquals(accepted, HOMES / 2 + known.length);
  return { memory: [memory, after] };
}

/** Whether client number `n` calls from a network that is known. */
function isLetIn(n: number): boolean {
  return n % HOMES < HOMES / 2;
}

/** One client. */
async function one(server: Listener, n: number): Promise<void> {
  const place = n % HOMES;
  const known = isLetIn(n);
  const options = { from: `127.30.${place}.9` };
  using client = await Client.connectFrom(server.port, options);
  const banner = await client.reply();
  assertEquals(banner, known ? NEXT : "220 mx.example ESMTP");
  // From each network every kind in turn.
  const kind = (n + Math.floor(n / HOMES)) % 4;
  if (kind === 0) return;
  await client.send(`${ATTEMPT.slice(0, 3).join("\r\n")}\r\n`);
  if (kind === 1) return client.reset();
  if (kind === 2) await client.half();
  else await client.send("QUIT\r\n");
  const text = await client.rest();
  assertOnlySmtp(text);
  assertMatch(text, known ? /^250 .*\r\n250 / : /\r\n451 4\.7\.1 .*\r\n/);
}

/** The private memory of a process, in bytes. */
function memoryOf(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return bytesIn(status, "RssAnon");
}
