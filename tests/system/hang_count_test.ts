import { assert, assertEquals } from "@std/assert";
import { HangCount, MOST_WAITING } from "../../lib/system/hang_count.ts";
import { Semaphores } from "../../lib/system/semaphore.ts";
import "../harness/libc.ts";

/** The set of a directory, which nobody waits for. */
function fresh(directory: string): Semaphores {
  const set = Semaphores.findOrMake(directory, 2)!;
  set.set(0, 0);
  set.set(1, 0);
  return set;
}

/** A test; the thread that keeps the time may end a part of the limit later. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: false });
}

/** What a wrapper may do that comes now, or at another time. */
function comes(directory: string, now = Date.now() / 1000) {
  const count = new HangCount(directory);
  return { count, isHigh: count.isHigh, mayAsk: count.mayAsk(now) };
}

Deno.test("hang count: with enough that wait, one at a time tries", () => {
  const dir = "/test/hang count/high";
  const set = fresh(dir);
  for (let i = 0; i < MOST_WAITING; i++) {
    const { count, isHigh, mayAsk } = comes(dir);
    assertEquals([isHigh, mayAsk], [false, true]);
    // A wrapper whose calls hang twice is one that waits.
    count.hangs();
    count.hangs();
    assertEquals(count.isFirst, i === 0);
    assertEquals(set.value(0), i + 1);
  }
  const tries = comes(dir);
  assertEquals([tries.isHigh, tries.mayAsk], [true, true]);
  for (let i = 0; i < 2; i++) {
    const { isHigh, mayAsk } = comes(dir);
    assertEquals([isHigh, mayAsk], [true, false]);
  }
  // It hangs as well: nobody else tries until it has ended.
  tries.count.hangs();
  assertEquals(tries.count.isFirst, false);
  assertEquals(comes(dir).mayAsk, false);
  assertEquals(comes(dir, set.lastAdded + 50).mayAsk, false);
  // If its call is lost for ever, others have to find out that new ones are answered.
  for (const seconds of [60, 120, 240]) {
    assertEquals(comes(dir, set.lastAdded + seconds - 5).mayAsk, false);
    const { count, mayAsk } = comes(dir, set.lastAdded + seconds + 5);
    assert(mayAsk);
    count.hangs();
  }

  // Many that have come at the same time, before it was known, have not tried.
  set.set(0, 40);
  set.set(1, 0);
  const first = comes(dir);
  assert(first.mayAsk);
  first.count.hangs();
  assertEquals(comes(dir, set.lastAdded + 55).mayAsk, false);
  assertEquals(comes(dir, set.lastAdded + 65).mayAsk, true);
  // The clock was set back.
  assertEquals(comes(dir, set.lastAdded - 3600).mayAsk, true);

  set.set(1, 0);
  const answered = comes(dir);
  assert(answered.mayAsk);
  answered.count.answered();
  assertEquals([set.value(0), set.value(1)], [0, 0]);
  assertEquals(comes(dir).isHigh, false);
});

Deno.test("hang count: an answer that took no write ends nothing", () => {
  const dir = "/test/hang count/writes";
  const set = fresh(dir);
  for (let i = 0; i < MOST_WAITING; i++) comes(dir).count.hangs();
  const early = comes(dir);
  assert(early.mayAsk);
  assertEquals(comes(dir).mayAsk, false);
  early.count.answered(false);
  assertEquals([set.value(0), set.value(1)], [MOST_WAITING, 0]);
  // The next one may try at once.
  const next = comes(dir);
  assertEquals([next.isHigh, next.mayAsk], [true, true]);
});

Deno.test("hang count: an answer ends what a few have counted", () => {
  const dir = "/test/hang count/few";
  const set = fresh(dir);
  const before = comes(dir);
  comes(dir).count.hangs();
  // It was asked before anybody waited, and says nothing about now.
  before.count.answered();
  assertEquals(set.value(0), 1);
  comes(dir).count.answered();
  assertEquals(set.value(0), 0);
});

test("hang count: a call that has hung returns", async () => {
  const dir = "/test/hang count/returns";
  const set = fresh(dir);
  for (const fails of [false, true]) {
    const { count } = comes(dir);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    assertEquals(await count.ask(promise, { left: 1 }), undefined);
    assertEquals(set.value(0), 1);
    if (fails) reject(new Error("x"));
    else resolve();
    await promise.catch(() => {});
    await undefined;
    assertEquals(set.value(0), 0);
  }
});

test("hang count: a call that is in time counts for nothing", async () => {
  const dir = "/test/hang count/in time";
  const set = fresh(dir);
  const { count } = comes(dir);
  const budget = { left: 1000 };
  assertEquals(await count.ask(Promise.resolve(7), budget), { value: 7 });
  assertEquals([set.value(0), count.isFirst], [0, false]);
});

Deno.test("hang count: directories have counts of their own", () => {
  const set = fresh("/test/hang count/one");
  const other = fresh("/test/hang count/other");
  comes("/test/hang count/one").count.hangs();
  assertEquals([set.value(0), other.value(0)], [1, 0]);
  set.set(0, 0);
});

Deno.test("hang count: without a set nobody waits", () => {
  const { isHigh, mayAsk, count } = comes("/test/hang count/none");
  assertEquals([isHigh, mayAsk], [false, true]);
  count.answered();
  assertEquals(Semaphores.find("/test/hang count/none", 2), undefined);
});
