import { assertEquals } from "@std/assert";
import { type Answer, SLOTS, StoreSlots } from "../../lib/serve/store_slots.ts";

/** Both sides of one memory. */
function pair() {
  const loop = new StoreSlots();
  return { loop, worker: new StoreSlots(loop.memory) };
}

Deno.test("StoreSlots: a question arrives once, in its slot", () => {
  const { loop, worker } = pair();
  const question = {
    entry: "192.0.2.0_24",
    now: 1_700_000_000.25,
    isNew: true,
  };
  loop.ask(5, question);
  assertEquals(worker.takeQuestion(4), undefined);
  assertEquals(worker.takeQuestion(5), question);
  assertEquals(worker.takeQuestion(5), undefined);
});

Deno.test("StoreSlots: the longest name of a file", () => {
  const { loop, worker } = pair();
  const question = { entry: "@" + "n".repeat(254), now: 0, isNew: false };
  loop.ask(SLOTS - 1, question);
  assertEquals(worker.takeQuestion(SLOTS - 1), question);
});

Deno.test("StoreSlots: every kind of answer comes back as it was", () => {
  const answers: Answer[] = [
    ...(["new", "early", "stale", "expired"] as const).flatMap((reason) =>
      (["create", "touch", "reset", "none"] as const).map((write) => ({
        result: { action: "defer", reason, wait: 59, write } as const,
        took: 0.25,
      }))
    ),
    ...(["retried", "known"] as const).map((reason) => ({
      result: {
        action: "pass",
        reason,
        age: 312,
        accepted: 2 ** 40,
        write: "accept",
      } as const,
      took: 4000,
    })),
    { result: "/base/192.0.2.0_24: open: Permission denied", took: 1 },
    { result: "", took: 0 },
  ];
  const { loop, worker } = pair();
  for (const answer of answers) {
    loop.ask(5, { entry: "x", now: 1_700_000_000, isNew: true });
    assertEquals(loop.takeAnswer(5), undefined);
    worker.takeQuestion(5);
    assertEquals(loop.takeAnswer(5), undefined);
    worker.answer(5, answer);
    assertEquals(loop.takeAnswer(5), answer);
    assertEquals(loop.takeAnswer(5), undefined);
  }
});

Deno.test("StoreSlots: a message that is too long is cut, and stays in its slot", () => {
  const { loop, worker } = pair();
  loop.ask(0, { entry: "first", now: 0, isNew: false });
  loop.ask(1, { entry: "second", now: 0, isNew: false });
  worker.takeQuestion(0);
  worker.answer(0, { result: "m".repeat(5000), took: 0 });
  assertEquals(worker.takeQuestion(1)?.entry, "second");
  const { result } = loop.takeAnswer(0)!;
  assertEquals(/^m{300,}$/.test(String(result)), true);
});

Deno.test("StoreSlots: what the worker has not begun with can be taken back", () => {
  const { loop, worker } = pair();
  loop.ask(0, { entry: "a", now: 0, isNew: false });
  loop.ask(1, { entry: "b", now: 0, isNew: false });
  worker.takeQuestion(0);
  assertEquals([loop.withdraw(0), loop.withdraw(1)], [false, true]);
  assertEquals(worker.takeQuestion(1), undefined);
});

Deno.test("StoreSlots: a call before the wait is not lost, and end() ends the wait", () => {
  const { loop, worker } = pair();
  loop.call();
  assertEquals(worker.wait(0), 1);
  loop.call();
  assertEquals(worker.wait(1), 2);
  loop.end();
  assertEquals(worker.wait(2), undefined);
});

Deno.test("StoreSlots: that calls go to another machine ends no wait", () => {
  const { loop, worker } = pair();
  assertEquals([loop.isRemote, worker.isRemote], [false, false]);
  worker.tellRemote();
  assertEquals([loop.isRemote, worker.isRemote], [true, true]);
  loop.call();
  assertEquals(worker.wait(0), 1);
  const other = pair();
  other.loop.end();
  assertEquals(other.loop.isRemote, false);
});
