import { assert, assertEquals, assertRejects } from "@std/assert";
import { lookAt } from "../../lib/system/file_call.ts";
import { within, withinBudget } from "../../lib/system/within.ts";
import "../harness/libc.ts";
import { standStill } from "../harness/still.ts";

/** A test; the thread that keeps the time may end a part of the limit later. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: false });
}

test("within: a value and a rejection that come in time", async () => {
  assertEquals(await within(Promise.resolve(1), 1000), { value: 1 });
  const failing = Promise.reject(new TypeError("no"));
  await assertRejects(() => within(failing, 1000), TypeError, "no");
});

test("within: what does not come in time is undefined", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const start = performance.now();
  assertEquals(await within(promise, 120), undefined);
  assertEquals(performance.now() - start >= 119, true);
  assertEquals(await within(promise, 0), undefined);
  resolve();
});

test("within: several waits share one budget", async () => {
  const budget = { left: 60_000 };
  const never = new Promise<void>(() => {});
  const later = new Promise<string>((done) => setTimeout(done, 120, "there"));
  assertEquals(await withinBudget(later, budget), { value: "there" });
  // A part of the time may count for little.
  const { left } = budget;
  assert(left <= 60_000 - 50, `${left} ms`);
  const failing = Promise.reject(new TypeError("no"));
  await assertRejects(() => withinBudget(failing, budget), TypeError, "no");
  assert(budget.left <= left);
  budget.left = 120;
  assertEquals(await withinBudget(never, budget), undefined);
  assert(budget.left <= 0, `${budget.left} ms`);
  // There is no time for another one.
  assertEquals(await withinBudget(never, budget), undefined);
});

test("within: an answer counts though this process did not run for the limit", async () => {
  const looks = async () => {
    // As many calls in another thread as a decision about a client makes.
    for (let i = 0; i < 4; i++) await lookAt("/").later();
    return "there";
  };
  const found = within(looks(), 1000);
  standStill(1200);
  assertEquals(await found, { value: "there" });
});
