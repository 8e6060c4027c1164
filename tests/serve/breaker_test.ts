import { assertEquals } from "@std/assert";
import { Breaker, type Notice } from "../../lib/serve/breaker.ts";

function make() {
  const notices: Notice[] = [];
  return { notices, breaker: new Breaker((notice) => notices.push(notice)) };
}

Deno.test("Breaker: after three late answers in a row the store is not asked", () => {
  const { breaker, notices } = make();
  breaker.missed(0);
  breaker.missed(1);
  breaker.answered(2);
  breaker.missed(3);
  breaker.missed(4);
  assertEquals([breaker.isOpen, breaker.mayAsk(4)], [false, true]);
  breaker.missed(5);
  assertEquals([breaker.isOpen, breaker.mayAsk(5)], [true, false]);
  // Within a minute the log is told of a hang, and of no single late answer.
  assertEquals(notices, [
    { state: "begins", clients: 1 },
    { state: "ended", clients: 1 },
    { state: "begins", clients: 3 },
  ]);
});

Deno.test("Breaker: one client tries the store every five seconds", () => {
  const { breaker } = make();
  for (let i = 0; i < 3; i++) breaker.missed(0);
  assertEquals(breaker.mayAsk(4999), false);
  assertEquals(breaker.mayAsk(5000), true);
  assertEquals(breaker.mayAsk(5000), false);
  assertEquals(breaker.mayAsk(10_000), true);
});

Deno.test("Breaker: an answer in time ends the pause, and the log says so", () => {
  const { breaker, notices } = make();
  for (let i = 0; i < 4; i++) breaker.missed(0);
  breaker.answered(6000);
  assertEquals([breaker.isOpen, breaker.mayAsk(6000)], [false, true]);
  assertEquals(notices.slice(1), [{ state: "ended", clients: 3 }]);
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

Deno.test("Breaker: a disk that is late now and then is told of once a minute", () => {
  const { breaker, notices } = make();
  for (let now = 0; now < 120_000; now += 1000) {
    breaker.missed(now);
    breaker.answered(now + 1);
  }
  assertEquals(notices, [
    { state: "begins", clients: 1 },
    { state: "ended", clients: 0 },
    { state: "begins", clients: 61 },
    { state: "ended", clients: 0 },
  ]);
});
