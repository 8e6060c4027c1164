import { assertEquals } from "@std/assert";
import { Deadlines } from "../../lib/serve/deadlines.ts";

Deno.test("serve deadlines: due in the order in which they were started", () => {
  const deadlines = new Deadlines(100);
  assertEquals(deadlines.next(), Infinity);
  assertEquals([...deadlines.expired(1e9)], []);
  deadlines.start(7, 1000);
  deadlines.start(3, 1010);
  deadlines.start(5, 1020);
  assertEquals(deadlines.next(), 1100);
  assertEquals([...deadlines.expired(1099.9)], []);
  assertEquals([...deadlines.expired(1100)], [7]);
  assertEquals(deadlines.next(), 1110);
  assertEquals([...deadlines.expired(5000)], [3, 5]);
  assertEquals(deadlines.next(), Infinity);
});

Deno.test("serve deadlines: a second start gives the whole time again", () => {
  const deadlines = new Deadlines(100);
  deadlines.start(1, 0);
  deadlines.start(2, 10);
  deadlines.start(1, 50);
  assertEquals(deadlines.next(), 110);
  assertEquals([...deadlines.expired(149)], [2]);
  assertEquals([...deadlines.expired(150)], [1]);
});

Deno.test("serve deadlines: how many clients there are, and which is due first", () => {
  const deadlines = new Deadlines(100);
  const look = () => [deadlines.size, deadlines.first()];
  assertEquals(look(), [0, undefined]);
  deadlines.start(7, 0);
  deadlines.start(3, 10);
  assertEquals(look(), [2, 7]);
  deadlines.start(7, 20);
  assertEquals(look(), [2, 3]);
  deadlines.stop(3);
  assertEquals(look(), [1, 7]);
  assertEquals([...deadlines.expired(120), ...look()], [7, 0, undefined]);
});

Deno.test("serve deadlines: a client that is removed is never due", () => {
  const deadlines = new Deadlines(100);
  deadlines.start(1, 0);
  deadlines.start(2, 0);
  deadlines.stop(1);
  deadlines.stop(99);
  assertEquals([...deadlines.expired(100)], [2]);
});

Deno.test("serve deadlines: others may be removed during the loop", () => {
  const deadlines = new Deadlines(100);
  for (const client of [1, 2, 3]) deadlines.start(client, 0);
  const seen: number[] = [];
  for (const client of deadlines.expired(100)) {
    seen.push(client);
    deadlines.stop(client);
    deadlines.stop(2);
  }
  assertEquals(seen, [1, 3]);
  assertEquals(deadlines.next(), Infinity);
});

Deno.test("serve deadlines: a client that was given is removed, even if the loop ends there", () => {
  const deadlines = new Deadlines(100);
  deadlines.start(1, 0);
  deadlines.start(2, 0);
  for (const _ of deadlines.expired(100)) break;
  assertEquals([...deadlines.expired(100)], [2]);
});
