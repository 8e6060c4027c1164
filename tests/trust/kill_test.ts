import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Entry, isForgotten, judge } from "../../lib/store/policy.ts";
import { age, compile, entries, logLines } from "../harness/binary.ts";
import { makeEntry } from "../harness/entry.ts";
import {
  assertDeferred,
  assertNext,
  connect,
  empty,
  ENTRY,
  HOUR,
  NAME,
  NOBODY,
  script,
  SESSION,
  type StateName,
  STATES,
  TIMEOUTS,
} from "../harness/fault.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { gone, waitFor } from "../harness/process.ts";
import { BASE, ROOT, writeFile } from "../harness/root.ts";
import { assertOnlySmtp, burst } from "../harness/smtp.ts";
import { killedAt } from "../harness/strace.ts";
import { type Listener, tcpserver } from "../harness/way_in.ts";

// A killed process leaves nothing that would make the next connection fail.

e2e("killed at any call on the entry, the next connection goes on", {
  programs: ["tcpserver", "strace", "setpriv"],
  root: true,
}, async (t) => {
  const binary = await compile();
  const deaths: [StateName, string, left: number | undefined][] = [
    ["none", "statx", undefined],
    ["none", "mknodat", undefined],
    ["none", "openat", undefined],
    ["none", "fchmod", 0],
    ["none", "close", 0],
    ["grey", "openat", 0],
    ["grey", "ftruncate", 0],
    ["grey", "close", 1],
    ["stale", "utimensat", 0],
    ["known", "openat", 3],
    ["known", "ftruncate", 3],
    ["known", "close", 4],
    ["expired", "ftruncate", 3],
    ["expired", "close", 0],
  ];
  for (const [state, call, left] of deaths) {
    await t.step(`${state}: at ${call}`, async () => {
      empty();
      STATES[state]();
      Deno.chownSync(BASE, 65534, 65534);
      for (const name of Object.keys(entries())) {
        Deno.chownSync(`${BASE}/${name}`, 65534, 65534);
      }
      // Between open and fchmod an entry then has no permissions at all.
      const umask = script("umask.sh", 'umask 777; exec "$@"\n');
      const usual = call === "mknodat" ? NOBODY : [...NOBODY, ...umask];
      assertEquals(
        await connect(binary, [...usual, ...killedAt(ENTRY, call)]),
        "",
      );
      assertEquals(logLines(), []);
      assertEquals(entries()[NAME], left);
      const second = await connect(binary, usual);
      if (second.startsWith(NEXT)) {
        assertNext(second);
      } else {
        assertDeferred(second, "4.7.1");
        age(NAME, 100);
        assertNext(await connect(binary, usual));
      }
      for (const line of logLines()) assert(!line.includes(" error "), line);
    });
  }
});

e2e("killed while it prunes, a later connection goes on with it", {
  programs: ["tcpserver", "strace"],
}, async (t) => {
  const binary = await compile();
  const bookmark = `${BASE}/.prune`;
  const forgotten = "192.0.2.0_24";
  const deaths: [path: string, call: string][] = [
    ...["openat", "flock", "pread64", "ftruncate", "utimensat"]
      .map((call): [string, string] => [bookmark, call]),
    // strace goes by the directory here.
    [BASE, "unlinkat"],
  ];
  for (const [path, call] of deaths) {
    await t.step(call, async () => {
      empty();
      makeEntry(forgotten, 0, 50 * HOUR);
      const killed = killedAt(path, call);
      assertDeferred(await connect(binary, killed), "4.7.1");
      assertEquals(NAME in entries(), true);
      // Pruning is complete by then.
      const done = call === "ftruncate" || call === "utimensat";
      assertEquals(forgotten in entries(), !done);
      if (call !== "openat") {
        assertEquals(Deno.readTextFileSync(bookmark), "");
        makeEntry(".prune", 0, 2 * HOUR);
      }
      // One connection prunes for a second, which is short on a busy machine.
      await waitFor("the end of the pruning", async () => {
        assertDeferred(await connect(binary, []), "4.7.1");
        return Deno.readTextFileSync(bookmark) === "";
      });
      assertEquals(entries(), { [NAME]: 0 });
      for (const line of logLines()) assertMatch(line, /^\S+Z defer /);
    });
  }
});

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An entry as the store reads it. */
function readEntry(name: string): Entry | undefined {
  try {
    const { size, mtime, isFile, mode } = Deno.lstatSync(`${BASE}/${name}`);
    assert(isFile && (mode! & 0o7777) === 0o600, `${name}: ${mode}`);
    return { accepted: size, mtime: mtime!.getTime() / 1000 };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether a connection that began at that time may have changed an entry so. */
function mayBe(
  before: Entry | undefined,
  after: Entry | undefined,
  began: number,
): boolean {
  const same = before?.accepted === after?.accepted &&
    before?.mtime === after?.mtime;
  if (same) return true;
  // The kernel's time stamps lag behind the clock by some milliseconds.
  const fresh = after !== undefined && after.mtime > began - 1;
  return [began, Date.now() / 1000].some((now) => {
    const verdict = judge(before, now, TIMEOUTS);
    if (verdict.write === "none") return false;
    if (verdict.write === "accept") {
      return fresh && after.accepted === verdict.accepted;
    }
    // Any of the processes may have pruned an expired entry.
    if (after === undefined) return isForgotten(before!, now, TIMEOUTS);
    return fresh && after.accepted === 0;
  });
}

/** How often a connection is killed. */
const KILLS = 500;
/** How many connections there are at once. */
const LANES = 2;
/** How many networks of a lane may be met once more. */
const RECENT = 8;

e2e(`kill -9 at random points of ${KILLS} connections`, {
  programs: ["tcpserver", "timeout"],
}, async () => {
  empty();
  const seed = Date.now() % 2 ** 31;
  const states = Object.keys(STATES) as StateName[];
  const binary = await compile({ prune: { every: 1 } });
  const forgotten = Array.from({ length: 50 }, (_, i) => `203.0.${i}.0_24`);
  for (const name of forgotten) makeEntry(name, 0, 50 * HOUR);

  /** One connection; a script reads its name and its time limit. */
  async function session(
    server: Listener,
    lane: number,
    ip: string,
    ms?: number,
  ) {
    writeFile(
      `lane${lane}`,
      `TCPREMOTEIP=${ip}; limit=${((ms ?? 60_000) / 1000).toFixed(4)}\n`,
    );
    return await burst(server.port, SESSION);
  }

  let killed = 0;
  /** How many networks each lane has used. */
  const used = Array<number>(LANES).fill(0);
  /** One of the last few networks of a lane. */
  const recent = (id: number, back: number) => Math.max(0, used[id] - 1 - back);
  /** Makes a number of connections, one after the other. */
  async function turn(
    id: number,
    runs: number,
    number: () => number,
  ): Promise<void> {
    const before = script(
      `lane${id}.sh`,
      `. ${ROOT}/lane${id}; export TCPREMOTEIP
exec timeout --foreground -s KILL $limit "$@"\n`,
    );
    const next = greeter();
    await using server = await tcpserver.start({ binary, before, next });
    const begin = performance.now();
    for (let i = 0; i < 3; i++) await session(server, id, `198.18.${id}.1`);
    const usual = (performance.now() - begin) / 3;
    for (let i = 0; i < runs; i++) {
      // One time in three, with the entry that an earlier connection left.
      const state = states[Math.floor(number() * states.length * 1.5)];
      const isOld = state === undefined && used[id] > 0;
      // No file takes the place of another one: a connection that prunes may have
      // found the first one expired, and then remove the second one.
      const host = isOld
        ? recent(id, Math.floor(number() * RECENT))
        : used[id]++;
      const name = `10.${id}.${host}.0_24`;
      if (state !== undefined && state !== "none") {
        const path = `${BASE}/${name}`;
        // An entry that is old may be pruned at once, so its mode comes first.
        Deno.writeFileSync(path, new Uint8Array(), { mode: 0o600 });
        STATES[state](name);
      }
      const found = readEntry(name);
      const began = Date.now() / 1000;
      const ms = 1 + number() * usual * 1.2;
      const text = await session(server, id, `10.${id}.${host}.9`, ms);
      // No client gets half of a reply, or anything but SMTP.
      if (text !== "") assertOnlySmtp(text);
      if (!/\r\n(221|250 QUIT)[^\r]*\r\n$/.test(text)) killed++;
      const left = readEntry(name);
      assert(
        mayBe(found, left, began),
        `${state}: ${JSON.stringify(found)} became ${JSON.stringify(left)}`,
      );
    }
    // The next connections work as usual.
    for (let back = 0; back < RECENT; back++) {
      const host = recent(id, back);
      const name = `10.${id}.${host}.0_24`;
      const entry = readEntry(name);
      const isDue = () =>
        judge(entry, Date.now() / 1000, TIMEOUTS).action === "pass";
      const before = isDue();
      const text = await session(server, id, `10.${id}.${host}.9`);
      // The delay may have ended during the session.
      const passes = isDue() === before ? before : text.startsWith(NEXT);
      if (passes) assertNext(text);
      else assertDeferred(text, "4.7.1");
    }
    assertEquals(server.stderr().replaceAll(/^.*Killed.*\n/gm, ""), "");
  }
  const lanes = await Promise.allSettled(
    Array.from({ length: LANES }, async (_, id) => {
      const number = random(seed + id);
      // No server of a test lives long enough for all of them.
      const turns = 5;
      for (let i = 0; i < turns; i++) {
        await turn(id, KILLS / LANES / turns, number);
      }
    }),
  );
  await gone(binary);
  console.log(`${killed} of ${KILLS} did not come to their end (seed ${seed})`);
  for (const lane of lanes) if (lane.status === "rejected") throw lane.reason;
  assert(killed >= KILLS / 5, `${killed}`);

  const known = /^(10\.[01]\.\d+|198\.18\.[01]|203\.0\.\d+)\.0_24$/;
  for (const name of Object.keys(entries())) {
    assertMatch(name, known);
    const entry = readEntry(name)!;
    if (forgotten.includes(name)) assertEquals(entry.accepted, 0);
  }
  assertMatch(Deno.readTextFileSync(`${BASE}/.prune`), /^\d*$/);
  const odd = /^\S+Z (pass|defer) ip=[\d.]+ net=[\d.]+\/24 reason=[a-z]+( |$)/;
  for (const line of logLines()) assertMatch(line, odd, `seed ${seed}`);
});
