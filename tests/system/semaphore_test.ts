import { assert, assertEquals } from "@std/assert";
import { Semaphores } from "../../lib/system/semaphore.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import "../harness/libc.ts";

const MODULE = moduleUrl("lib/system/semaphore.ts");

// A set stays until the machine restarts, so each test has one name for ever.

/** Those of a name, all 0. */
function fresh(name: string, count: number): Semaphores {
  const set = Semaphores.findOrMake(name, count)!;
  for (let i = 0; i < count; i++) set.set(i, 0);
  return set;
}

Deno.test("semaphore: one that nobody has made is not found", () => {
  assertEquals(Semaphores.find("test: never made", 1), undefined);
});

Deno.test("semaphore: values", () => {
  const set = fresh("test: values", 2);
  set.add(0);
  set.add(0);
  assertEquals([set.value(0), set.value(1)], [2, 0]);
  assert(set.addToZero(1));
  assert(!set.addToZero(1));
  assert(!set.addToZero(0));
  assertEquals([set.value(0), set.value(1)], [2, 1]);
  const same = Semaphores.find("test: values", 2)!;
  assertEquals([same.value(0), same.value(1)], [2, 1]);
  same.set(0, 0);
  assertEquals(set.value(0), 0);
  assert(set.addToZero(0));
  set.set(0, 0);
  set.set(1, 0);
});

Deno.test("semaphore: one with fewer of them is another one", () => {
  fresh("test: fewer", 1);
  assertEquals(Semaphores.find("test: fewer", 2), undefined);
});

Deno.test("semaphore: what a process has added ends with it", async () => {
  const set = fresh("test: end", 2);
  set.add(0);
  const { stdout } = await evaluate(`
    import { Semaphores } from ${JSON.stringify(MODULE)};
    const set = Semaphores.find("test: end", 2);
    set.add(0);
    set.addToZero(1);
    console.log(set.value(0), set.value(1));
  `);
  assertEquals(stdout, "2 1\n");
  assertEquals([set.value(0), set.value(1)], [1, 0]);
  set.set(0, 0);
});
