import { assertEquals } from "@std/assert";
import { StartRetries } from "../../lib/serve/start_retries.ts";

Deno.test("start retries: any number while no start has failed", () => {
  const retries = new StartRetries();
  for (let i = 0; i < 100; i++) retries.take();
  assertEquals([retries.mayTry, retries.hasFailed], [true, false]);
  assertEquals(retries.next(), Infinity);
  assertEquals(retries.expire(1e9), false);
});

Deno.test("start retries: one client a second, and one for each end", () => {
  const retries = new StartRetries();
  retries.failed(5000);
  assertEquals([retries.mayTry, retries.hasFailed], [false, true]);
  // Another failure does not put it off.
  retries.failed(5400);
  assertEquals(retries.next(), 6000);
  assertEquals(retries.expire(5999), false);
  assertEquals(retries.expire(6000), true);
  assertEquals([retries.mayTry, retries.hasFailed], [true, false]);
  retries.take();
  assertEquals(retries.mayTry, false);
  retries.allowOne();
  retries.allowOne();
  retries.take();
  assertEquals(retries.mayTry, false);
});

Deno.test("start retries: a start that works lets all be tried", () => {
  const retries = new StartRetries();
  retries.failed(0);
  retries.succeeded();
  for (let i = 0; i < 100; i++) retries.take();
  assertEquals([retries.mayTry, retries.hasFailed], [true, false]);
  assertEquals(retries.next(), Infinity);
});
