import { assertEquals } from "@std/assert";
import type { Verdict } from "../../lib/store/policy.ts";
import type { Notice } from "../../lib/serve/hang.ts";
import { StoreQueue, type Unchecked } from "../../lib/serve/store_queue.ts";
import { SLOTS, StoreSlots } from "../../lib/serve/store_slots.ts";

const LIMIT = 2000;

const NEW: Verdict = {
  action: "defer",
  reason: "new",
  wait: 60,
  write: "create",
};

/** A queue whose workers do only what the test has them do. */
function make() {
  const workers: StoreSlots[] = [];
  const notices: Notice[] = [];
  const queue = new StoreQueue({
    limit: LIMIT,
    canStart: () => true,
    start: (memory) => {
      workers.push(new StoreSlots(memory));
      return 20;
    },
    failed: () => {},
    say: (notice) => notices.push(notice),
  });
  const told: [string, Verdict | Unchecked][] = [];
  const ask = (entry: string, now: number) => {
    queue.ask(entry, now, now, (result) => told.push([entry, result]));
    queue.flush();
  };
  /** Has a worker take what it was asked, in the order of its slots. */
  const take = (worker: StoreSlots) =>
    Array.from({ length: SLOTS }, (_, slot) => ({
      slot,
      entry: worker.takeQuestion(slot)?.entry,
    })).filter(({ entry }) => entry !== undefined);
  const answer = (worker: StoreSlots, took = 0.1) => {
    const taken = take(worker);
    for (const { slot } of taken) worker.answer(slot, { result: NEW, took });
    return taken.length;
  };
  return { queue, workers, notices, told, ask, take, answer };
}

Deno.test("StoreQueue: on a fast disk one worker gets all questions at once", () => {
  const { queue, workers, told, ask, answer } = make();
  for (let i = 0; i < 2 * SLOTS; i++) ask(`c${i}`, 0);
  assertEquals(answer(workers[0]), SLOTS);
  queue.settle(1);
  queue.flush();
  assertEquals(answer(workers[0]), SLOTS);
  queue.settle(2);
  assertEquals(
    told.map(([entry]) => entry).sort(),
    Array.from({ length: 2 * SLOTS }, (_, i) => `c${i}`).sort(),
  );
  assertEquals(told.every(([, result]) => "action" in result), true);
  assertEquals([workers.length, queue.isIdle], [1, true]);
  assertEquals(queue.next(), Infinity);
});

Deno.test("StoreQueue: a late verdict does not count, and the next are in time", () => {
  const { queue, workers, notices, told, ask, take } = make();
  ask("slow", 0);
  const [{ slot }] = take(workers[0]);
  queue.expire(LIMIT - 1);
  assertEquals(told, []);
  queue.expire(LIMIT);
  assertEquals(told, [["slow", {
    message: "no answer from the base directory within 2 s",
    isLogged: true,
  }]]);
  assertEquals(notices, [{ state: "begins", clients: 1 }]);
  workers[0].answer(slot, { result: NEW, took: LIMIT + 1 });
  queue.settle(LIMIT + 1);
  assertEquals(told.length, 1);
});

Deno.test("StoreQueue: after a stall of the machine an answer may still come", () => {
  const { queue, workers, notices, told, ask, take } = make();
  ask("a", 0);
  ask("b", 1);
  ask("hangs", 2);
  // The machine stands still for 5 s, and the event loop runs first.
  queue.expire(5000);
  assertEquals([told, notices, queue.next()], [[], [], 5100]);
  const slots = new Map(
    take(workers[0]).map(({ slot, entry }) => [entry, slot]),
  );
  for (const entry of ["a", "b"]) {
    workers[0].answer(slots.get(entry)!, { result: NEW, took: 0.2 });
  }
  queue.settle(5010);
  assertEquals(told, [["a", NEW], ["b", NEW]]);
  // A second stall saves nobody.
  queue.expire(9000);
  assertEquals(
    told.slice(2).map(([entry, result]) => [entry, "action" in result]),
    [
      ["hangs", false],
    ],
  );
  assertEquals(queue.next(), Infinity);
  // Only that one counts as late, so the store is asked again.
  ask("next", 9001);
  ask("next", 9001);
  assertEquals(told.length, 3);
});

Deno.test("StoreQueue: what a silent worker has not begun with goes to others", () => {
  const { queue, workers, told, ask, take, answer } = make();
  for (const entry of ["a", "b", "c"]) ask(entry, 0);
  const hanging = workers[0].takeQuestion(SLOTS - 1);
  assertEquals(hanging?.entry, "a");
  assertEquals(queue.next(), 100);
  queue.expire(100);
  assertEquals([workers.length, queue.next()], [2, 220]);
  queue.expire(220);
  assertEquals(workers.length, 3);
  answer(workers[1], 125);
  answer(workers[2], 25);
  queue.settle(225);
  assertEquals(told.map(([entry]) => entry).sort(), ["b", "c"]);
  assertEquals(take(workers[0]), []);
  // A minute later the workers that have no work end.
  queue.expire(60_225);
  assertEquals([1, 2].map((i) => workers[i].wait(-1)), [undefined, undefined]);
});

Deno.test("StoreQueue: only expire starts workers, one at a time", () => {
  const { queue, workers, ask, take } = make();
  for (let i = 0; i < 10; i++) ask(`c${i}`, 0);
  workers[0].takeQuestion(SLOTS - 1);
  // A turn of the event loop that takes as long as seven spaces.
  for (let now = 100; now < 800; now += 100) {
    ask(`late${now}`, now);
    queue.settle(now);
  }
  assertEquals(workers.length, 1);
  queue.expire(800);
  assertEquals([workers.length, take(workers[1]).length], [2, 1]);
  queue.expire(850);
  assertEquals([workers.length, queue.next()], [2, 920]);
});

Deno.test("StoreQueue: no worker is started for questions that were given up", () => {
  const { queue, workers, told, ask } = make();
  ask("a", 0);
  workers[0].takeQuestion(SLOTS - 1);
  queue.settle(1900);
  ask("b", 1);
  queue.expire(LIMIT + 1);
  assertEquals([told.length, workers.length], [2, 1]);
});

Deno.test("StoreQueue: calls that hang are bounded in number", () => {
  const { queue, workers, told, ask, take } = make();
  for (let i = 0; i < 50; i++) ask(`c${i}`, i);
  workers[0].takeQuestion(SLOTS - 1);
  for (let now = 0; now <= LIMIT + 50; now += 10) {
    queue.expire(now);
    for (const worker of workers.slice(1)) take(worker);
  }
  assertEquals(workers.length, 8);
  // All have been told, each once.
  assertEquals(told.length, 50);
  assertEquals(new Set(told.map(([entry]) => entry)).size, 50);
});

Deno.test("StoreQueue: a store that hangs is not asked, but for one client at a time", () => {
  const { queue, workers, notices, told, ask, take } = make();
  for (let i = 0; i < 3; i++) ask(`c${i}`, 0);
  workers[0].takeQuestion(SLOTS - 1);
  queue.expire(LIMIT);
  assertEquals(notices, [{ state: "begins", clients: 1 }]);
  ask("alone", LIMIT + 1);
  assertEquals(told.at(-1), ["alone", {
    message: "the base directory does not answer",
    isLogged: true,
  }]);
  ask("probe", LIMIT + 5000);
  assertEquals(told.length, 4);
  ask("beside", LIMIT + 5001);
  assertEquals(told.length, 5);
  queue.expire(LIMIT + 5001);
  const probed = workers.findLast((worker) => {
    const [taken] = take(worker);
    if (taken === undefined) return false;
    worker.answer(taken.slot, { result: NEW, took: 1 });
    return true;
  });
  assertEquals(probed === undefined, false);
  queue.settle(LIMIT + 5002);
  assertEquals(told.at(-1), ["probe", NEW]);
  assertEquals(queue.next(), LIMIT + 5002 + 5000);
  queue.expire(LIMIT + 5002 + 5000);
  assertEquals(notices.at(-1), { state: "ended", clients: 4 });
});

Deno.test("StoreQueue: an error of the store is told, and is an answer", () => {
  const { queue, workers, told, ask } = make();
  ask("a", 0);
  workers[0].takeQuestion(SLOTS - 1);
  workers[0].answer(SLOTS - 1, { result: "/base/a: open: no", took: 1 });
  queue.settle(1);
  assertEquals(told, [["a", {
    message: "/base/a: open: no",
    isLogged: false,
  }]]);
});

Deno.test("StoreQueue: a client that was not asked about before is most likely new", () => {
  const { queue, workers: [worker], ask } = make();
  const isNew = (entry: string) => {
    ask(entry, 0);
    const slots = Array.from({ length: SLOTS }, (_, slot) => slot);
    const found = slots.map((slot) =>
      [slot, worker.takeQuestion(slot)] as const
    )
      .find(([, question]) => question !== undefined)!;
    worker.answer(found[0], { result: NEW, took: 0.1 });
    queue.settle(0);
    return found[1]!.isNew;
  };
  assertEquals([isNew("a"), isNew("b"), isNew("a")], [true, true, false]);
  // The queue remembers a limited number of entries.
  for (let i = 0; i < 10_000; i++) isNew(`c${i}`);
  assertEquals([isNew("a"), isNew("a")], [true, false]);
});

Deno.test("StoreQueue: the same error is logged once a minute, for all clients together", () => {
  const { queue, workers: [worker], told, ask, take } = make();
  const fails = (entry: string, now: number, what: string) => {
    ask(entry, now);
    const [{ slot }] = take(worker);
    worker.answer(slot, { result: `/g/${entry}: ${what}`, took: 0.1 });
    queue.settle(now);
    return (told.at(-1)![1] as Unchecked).isLogged;
  };
  assertEquals(fails("a", 0, "statx: Input/output error"), false);
  assertEquals(fails("b", 1, "statx: Input/output error"), true);
  assertEquals(fails("b", 2, "open: Input/output error"), false);
  assertEquals(fails("c", 59_999, "statx: Input/output error"), true);
  assertEquals(fails("d", 60_000, "statx: Input/output error"), false);
});

Deno.test("StoreQueue: a limited number of errors is told apart", () => {
  const { queue, workers: [worker], told, ask, take } = make();
  const fails = (what: number) => {
    ask("a", 0);
    const [{ slot }] = take(worker);
    worker.answer(slot, { result: `/g/a: ${what}`, took: 0.1 });
    queue.settle(0);
    return (told.at(-1)![1] as Unchecked).isLogged;
  };
  for (let what = 1; what <= 16; what++) assertEquals(fails(what), false);
  assertEquals([fails(1), fails(16)], [true, true]);
  assertEquals([fails(17), fails(17), fails(1)], [false, true, false]);
});

Deno.test("StoreQueue: an error does not end the pause of a store that hung", () => {
  const { queue, workers: [worker], notices, told, ask, take } = make();
  for (let i = 0; i < 3; i++) ask(`c${i}`, 0);
  const taken = take(worker);
  queue.expire(LIMIT);
  assertEquals(notices.map(({ state }) => state), ["begins"]);
  for (const { slot } of taken) {
    worker.answer(slot, { result: NEW, took: LIMIT + 1 });
  }
  queue.settle(LIMIT + 1);
  ask("probe", LIMIT + 5000);
  const [{ slot }] = take(worker);
  worker.answer(slot, { result: "/g/probe: open: no", took: 1 });
  queue.settle(LIMIT + 5000);
  assertEquals(notices.length, 1);
  ask("next", LIMIT + 5001);
  assertEquals((told.at(-1)![1] as Unchecked).isLogged, true);
});
