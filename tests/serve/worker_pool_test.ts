import { assertEquals, assertThrows } from "@std/assert";
import type { Verdict } from "../../lib/store/policy.ts";
import {
  type Question,
  SLOTS,
  StoreSlots,
} from "../../lib/serve/store_slots.ts";
import { WorkerPool } from "../../lib/serve/worker_pool.ts";

const NEW: Verdict = {
  action: "defer",
  reason: "new",
  wait: 60,
  write: "create",
};

/** A pool whose workers do only what the test has them do. */
function make({ canStart = true, threads = Infinity, start = 20 } = {}) {
  const workers: StoreSlots[] = [];
  const failures: string[] = [];
  let attempts = 0;
  const answered: [string, number][] = [];
  const pool = new WorkerPool<Question>(
    {
      canStart: () => canStart,
      start: (memory) => {
        attempts++;
        if (workers.length >= threads) {
          throw new TypeError("Resource temporarily unavailable (os error 11)");
        }
        workers.push(new StoreSlots(memory));
        return start;
      },
      failed: (reason) => failures.push(reason),
    },
    ({ entry }, { took }) => answered.push([entry, took]),
  );
  const ask = (entry: string, now: number) => {
    const question = { entry, now, isNew: true };
    const isTaken = pool.ask(question, now) ||
      pool.grow(now) && pool.ask(question, now);
    pool.flush();
    return isTaken;
  };
  /** Has a worker begin with all that it was asked. */
  const take = (worker: StoreSlots) =>
    Array.from({ length: SLOTS }, (_, slot) => slot)
      .filter((slot) => worker.takeQuestion(slot) !== undefined);
  const answer = (worker: StoreSlots, took: number) => {
    for (const slot of take(worker)) worker.answer(slot, { result: NEW, took });
  };
  const attempted = () => attempts;
  return { pool, workers, answered, failures, attempted, ask, take, answer };
}

Deno.test("WorkerPool: each answer comes once, with its question", () => {
  const { pool, workers, answered, ask, answer } = make();
  assertEquals([ask("a", 0), ask("b", 0), pool.isIdle], [true, true, false]);
  pool.settle(1);
  assertEquals(answered, []);
  answer(workers[0], 0.25);
  pool.settle(2);
  pool.settle(3);
  assertEquals(answered.sort(), [["a", 0.25], ["b", 0.25]]);
  assertEquals([pool.isIdle, pool.next()], [true, Infinity]);
});

Deno.test("WorkerPool: a worker that is not slow gets as much as it has slots", () => {
  const { pool, workers, answered, ask, answer } = make();
  for (let i = 0; i < SLOTS; i++) assertEquals(ask(`c${i}`, 0), true);
  assertEquals(ask("late", 0), false);
  answer(workers[0], 0.25);
  pool.settle(1);
  assertEquals([answered.length, ask("late", 1)], [SLOTS, true]);
  assertEquals(workers.length, 1);
});

/**
 * How many workers there are, and how many questions they take, if each decision
 * takes so long, in milliseconds.
 */
function workersAt(took: number, isRemote: boolean, canStart = true) {
  const { pool, workers, ask, answer } = make({ canStart });
  for (let now = 0; now < 100; now++) {
    ask(`before ${now}`, now);
    if (isRemote) workers[0].tellRemote();
    answer(workers[0], took);
    pool.settle(now);
  }
  let taken = 0;
  for (let i = 0; i < 2 * SLOTS; i++) {
    taken += Number(ask(`c${i}`, 100 + 120 * i));
  }
  return [workers.length, taken];
}

Deno.test("WorkerPool: several workers ask other machines", () => {
  assertEquals(workersAt(1, false), [1, SLOTS]);
  assertEquals(workersAt(2, false), [8, 8]);
  // A FUSE daemon of this machine may be as fast as a disk.
  assertEquals(workersAt(1, true), [8, 8]);
  assertEquals(workersAt(0.2, true), [1, SLOTS]);
  assertEquals(workersAt(2, false, false), [1, 1]);
});

/** When workers are started while all wait for the disk, in milliseconds. */
function startTimes(start: number): number[] {
  const { pool, workers, ask } = make({ start });
  ask("a", 0);
  workers[0].takeQuestion(SLOTS - 1);
  const times: number[] = [];
  for (let now = 100; now < 3000; now++) {
    pool.settle(now);
    ask(`c${now}`, now);
    const started = workers[times.length + 1];
    if (started?.takeQuestion(SLOTS - 1) !== undefined) times.push(now);
    assertEquals(pool.ask({ entry: "other", now, isNew: true }, now), false);
    // The event loop has to come back for the question that none could take.
    assertEquals(pool.next() < Infinity, times.length < 7);
    assertEquals(pool.next() > now, true);
  }
  return times;
}

Deno.test("WorkerPool: workers are started one at a time", () => {
  assertEquals(startTimes(20), [100, 220, 340, 460, 580, 700, 820]);
  // As much time for clients as for starts.
  assertEquals(startTimes(150), [100, 400, 700, 1000, 1300, 1600, 1900]);
});

Deno.test("WorkerPool: without descriptors for a worker it looks again", () => {
  const { pool, workers, ask } = make({ canStart: false });
  ask("a", 0);
  workers[0].takeQuestion(SLOTS - 1);
  pool.settle(100);
  assertEquals([ask("b", 100), pool.next()], [false, 200]);
  pool.settle(150);
  assertEquals([pool.next(), ask("b", 150), pool.next()], [
    Infinity,
    false,
    200,
  ]);
  pool.settle(200);
  assertEquals([ask("b", 200), pool.next()], [false, 300]);
});

Deno.test("WorkerPool: a silent worker gives back what it has not begun with", () => {
  const { pool, workers, ask, take } = make();
  for (const entry of ["a", "b", "c"]) ask(entry, 0);
  assertEquals(workers[0].takeQuestion(SLOTS - 1)?.entry, "a");
  assertEquals(pool.next(), 100);
  pool.settle(99);
  assertEquals([...pool.withdrawn()], []);
  pool.settle(100);
  const withdrawn = [...pool.withdrawn()].map(({ entry }) => entry);
  assertEquals(withdrawn.sort(), ["b", "c"]);
  assertEquals(take(workers[0]), []);
  // It waits for the disk with one question, and the next goes to another worker.
  assertEquals([pool.next(), ask("b", 100), workers.length], [
    Infinity,
    true,
    2,
  ]);
});

Deno.test("WorkerPool: a worker that is silent for a second hangs", () => {
  const { pool, workers, ask, answer } = make();
  assertEquals(pool.isHanging(5000), false);
  ask("a", 5000);
  assertEquals([pool.isHanging(5999), pool.isHanging(6000)], [false, true]);
  answer(workers[0], 1000);
  pool.settle(6000);
  assertEquals(pool.isHanging(9000), false);
});

Deno.test("WorkerPool: calls that are lost do not keep all others out", () => {
  const { pool, workers, answered, ask, answer } = make();
  const isTaken = (now: number) => {
    pool.settle(now);
    return ask(`c${now}`, now);
  };
  // Every worker begins with its first question, and never ends it.
  const times: number[] = [];
  for (let now = 0; now < 1_800_000; now += 1000) {
    if (!isTaken(now)) continue;
    times.push(now);
    workers.at(-1)!.takeQuestion(SLOTS - 1);
  }
  const last = times[7];
  assertEquals(times.slice(8).map((time) => (time - last) / 1000), [
    60,
    60 + 120,
    60 + 120 + 240,
    60 + 120 + 240 + 480,
  ]);
  // The next one finds that the directory answers, and is asked at once from then on.
  let now = 1_800_000;
  while (!isTaken(now)) now += 1000;
  const count = workers.length;
  assertEquals(count, 13);
  for (let i = 0; i < 100; i++) {
    answer(workers[count - 1], 0.2);
    now += 1000;
    assertEquals(isTaken(now), true);
  }
  assertEquals([workers.length, answered.length], [count, 100]);
});

Deno.test("WorkerPool: a worker without work ends after a minute, the first stays", () => {
  const { pool, workers, ask, answer } = make();
  ask("a", 0);
  workers[0].takeQuestion(SLOTS - 1);
  pool.settle(100);
  ask("b", 100);
  assertEquals(workers.length, 2);
  answer(workers[1], 25);
  workers[0].answer(SLOTS - 1, { result: NEW, took: 25 });
  pool.settle(130);
  assertEquals(pool.next(), 60_130);
  pool.dismiss(60_129);
  assertEquals(pool.next(), 60_130);
  pool.dismiss(60_130);
  assertEquals(workers[1].wait(-1), undefined);
  assertEquals(pool.next(), Infinity);
});

Deno.test("WorkerPool: if the system gives no thread, one worker goes on alone", () => {
  const { pool, workers, answered, failures, attempted, ask, answer } = make({
    threads: 1,
  });
  ask("a", 0);
  workers[0].takeQuestion(SLOTS - 1);
  pool.settle(100);
  const reason = "Resource temporarily unavailable";
  for (let now = 100; now < 1100; now += 10) {
    assertEquals(ask("b", now), false);
  }
  assertEquals([attempted(), failures], [2, [reason]]);
  // One attempt a second, and one line a minute.
  for (let now = 1100; now < 60_100; now += 10) ask("b", now);
  assertEquals([attempted(), failures], [61, [reason]]);
  ask("b", 60_100);
  assertEquals([attempted(), failures], [62, [reason, reason]]);

  workers[0].answer(SLOTS - 1, { result: NEW, took: 0.2 });
  pool.settle(60_200);
  assertEquals([ask("b", 60_200), answer(workers[0], 0.2)], [true, undefined]);
  pool.settle(60_210);
  assertEquals(answered, [["a", 0.2], ["b", 0.2]]);
  assertEquals([workers.length, pool.isIdle], [1, true]);
});

Deno.test("WorkerPool: without a first worker there is no pool", () => {
  assertThrows(() => make({ threads: 0 }), TypeError, "unavailable");
});
