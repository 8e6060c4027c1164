import { assertEquals } from "@std/assert";
import { Breaker } from "../../lib/serve/breaker.ts";
import type { Notice } from "../../lib/serve/hang.ts";

function make(limit = 2000) {
  const notices: Notice[] = [];
  const breaker = new Breaker(limit, (notice) => notices.push(notice));
  return { notices, breaker };
}

Deno.test("Breaker: after three late answers in a row the store is not asked", () => {
  const { breaker, notices } = make();
  breaker.missed(0);
  breaker.missed(1);
  assertEquals([breaker.mayAsk(1), breaker.isOpen], [true, false]);
  breaker.answered(2);
  breaker.missed(3);
  breaker.missed(4);
  // Each client until then is asked about.
  for (let i = 0; i < 3; i++) {
    assertEquals([breaker.mayAsk(4), breaker.isOpen], [true, false]);
  }
  breaker.missed(5);
  assertEquals([breaker.isOpen, breaker.mayAsk(5)], [true, false]);
  assertEquals(notices, [{ state: "begins", clients: 1 }]);
});

Deno.test("Breaker: one client tries the store every five seconds", () => {
  const { breaker } = make();
  for (let i = 0; i < 3; i++) breaker.missed(0);
  assertEquals(breaker.mayAsk(4999), false);
  assertEquals(breaker.mayAsk(5000), true);
  assertEquals(breaker.mayAsk(5000), false);
  assertEquals(breaker.mayAsk(10_000), true);
});

Deno.test("Breaker: the next client tries the store when the last one has its answer or none", () => {
  const { breaker } = make(8000);
  for (let i = 0; i < 3; i++) breaker.missed(0);
  assertEquals(breaker.mayAsk(7999), false);
  assertEquals(breaker.mayAsk(8000), true);
  assertEquals(breaker.mayAsk(15_999), false);
  assertEquals(breaker.mayAsk(16_000), true);
});

Deno.test("Breaker: an answer in time ends the pause at once", () => {
  const { breaker } = make();
  for (let i = 0; i < 4; i++) breaker.missed(0);
  breaker.answered(6000);
  assertEquals([breaker.isOpen, breaker.mayAsk(6000)], [false, true]);
});

Deno.test("Breaker: the end is told when nothing was late for five seconds", () => {
  const { breaker, notices } = make();
  for (let i = 0; i < 4; i++) breaker.missed(0);
  breaker.expire(6000);
  assertEquals([notices.length, breaker.next()], [1, Infinity]);
  breaker.answered(6000);
  // More answers put the end off no further.
  breaker.answered(8000);
  assertEquals(breaker.next(), 11_000);
  breaker.expire(10_999);
  assertEquals(notices.length, 1);
  breaker.expire(11_000);
  breaker.expire(20_000);
  assertEquals(notices.slice(1), [{ state: "ended", clients: 3 }]);
  assertEquals(breaker.next(), Infinity);
});

Deno.test("Breaker: a late answer within those five seconds is the same hang", () => {
  const { breaker, notices } = make();
  for (let i = 0; i < 3; i++) breaker.missed(0);
  breaker.answered(5000);
  breaker.missed(9999);
  assertEquals(breaker.next(), Infinity);
  breaker.expire(10_000);
  breaker.answered(10_500);
  assertEquals(breaker.next(), 15_500);
  breaker.expire(15_500);
  assertEquals(notices, [
    { state: "begins", clients: 1 },
    { state: "ended", clients: 3 },
  ]);
  // What comes later is another one.
  for (let i = 0; i < 3; i++) breaker.missed(15_501);
  assertEquals(notices.slice(2), [{ state: "begins", clients: 3 }]);
});

Deno.test("Breaker: one notice a minute, with the clients since the last one", () => {
  const { breaker, notices } = make();
  for (let i = 0; i < 3; i++) breaker.missed(0);
  for (let now = 0; now <= 120_000; now += 100) breaker.missed(now);
  assertEquals(notices, [
    { state: "begins", clients: 1 },
    { state: "lasts", clients: 603 },
    { state: "lasts", clients: 600 },
  ]);
});

Deno.test("Breaker: a store that is late by turns hangs once, and is told of once a minute", () => {
  const { breaker, notices } = make();
  let open = 0;
  for (let now = 0; now < 121_000; now += 1000) {
    for (let i = 0; i < 4; i++) breaker.missed(now + i);
    open += Number(breaker.isOpen);
    breaker.answered(now + 500);
    breaker.expire(now + 999);
  }
  assertEquals([open, notices], [121, [
    { state: "begins", clients: 1 },
    { state: "lasts", clients: 240 },
    { state: "lasts", clients: 240 },
  ]]);
  breaker.expire(breaker.next());
  assertEquals(notices[3], { state: "ended", clients: 3 });
});

Deno.test("Breaker: a disk that is late now and then is told of once a minute", () => {
  const { breaker, notices } = make();
  for (let now = 0; now < 120_000; now += 10_000) {
    breaker.missed(now);
    breaker.answered(now + 1);
    breaker.expire(now + 5001);
  }
  assertEquals(notices, [
    { state: "begins", clients: 1 },
    { state: "ended", clients: 0 },
    { state: "begins", clients: 7 },
    { state: "ended", clients: 0 },
  ]);
});
