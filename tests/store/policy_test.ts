import { assert, assertEquals } from "@std/assert";
import {
  ageOf,
  type Entry,
  isForgotten,
  judge,
  type Timeouts,
  type Verdict,
} from "../../lib/store/policy.ts";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;
const TIMEOUTS: Timeouts = {
  delay: MINUTE,
  retryWindow: DAY,
  expireAfter: 36 * DAY,
};
const MS = 0.001;
const NOW = 1_800_000_000;

/** A verdict in one line. */
function shown(verdict: Verdict): string {
  const { action, reason, write } = verdict;
  return verdict.action === "defer"
    ? `${action} ${reason} wait=${verdict.wait} ${write}`
    : `${action} ${reason} age=${verdict.age} accepted=${verdict.accepted} ${write}`;
}

/** What an entry of this age, in seconds, means. */
function at(accepted: number, age: number, timeouts = TIMEOUTS): string {
  return shown(judge({ accepted, mtime: NOW - age }, NOW, timeouts));
}

Deno.test("policy: no entry", () => {
  assertEquals(
    shown(judge(undefined, NOW, TIMEOUTS)),
    "defer new wait=60 create",
  );
});

Deno.test("policy: a grey entry, both sides of each limit", () => {
  const cases: [number, string][] = [
    [0, "defer early wait=60 none"],
    [MS, "defer early wait=60 none"],
    [1, "defer early wait=59 none"],
    [1.5, "defer early wait=59 none"],
    [58.5, "defer early wait=2 none"],
    [59, "defer early wait=1 none"],
    [MINUTE - MS, "defer early wait=1 none"],
    [MINUTE, "pass retried age=60 accepted=1 accept"],
    [MINUTE + MS, "pass retried age=60 accepted=1 accept"],
    [312.9, "pass retried age=312 accepted=1 accept"],
    [DAY - MS, "pass retried age=86399 accepted=1 accept"],
    [DAY, "pass retried age=86400 accepted=1 accept"],
    [DAY + MS, "defer stale wait=60 touch"],
    [400 * DAY, "defer stale wait=60 touch"],
    [NOW, "defer stale wait=60 touch"],
  ];
  for (const [age, expected] of cases) {
    assertEquals(at(0, age), expected, `${age} s`);
  }
});

Deno.test("policy: a known entry, both sides of its limit", () => {
  const cases: [number, number, string][] = [
    [1, 0, "pass known age=0 accepted=2 accept"],
    [1, MS, "pass known age=0 accepted=2 accept"],
    // What limits a grey entry means nothing here.
    [1, MINUTE - MS, "pass known age=59 accepted=2 accept"],
    [1, DAY + MS, "pass known age=86400 accepted=2 accept"],
    [41, 36 * DAY - MS, "pass known age=3110399 accepted=42 accept"],
    [41, 36 * DAY, "pass known age=3110400 accepted=42 accept"],
    [41, 36 * DAY + MS, "defer expired wait=60 reset"],
    [1, NOW, "defer expired wait=60 reset"],
    [1e12, 5, "pass known age=5 accepted=1000000000001 accept"],
  ];
  for (const [accepted, age, expected] of cases) {
    assertEquals(at(accepted, age), expected, `${accepted} times, ${age} s`);
  }
});

Deno.test("policy: a clock that went back", () => {
  const cases: [number, number, string][] = [
    // A grey entry ahead of the clock becomes old enough `delay` after its
    // mtime; one that is further ahead than that begins anew.
    [0, MS, "defer early wait=61 none"],
    [0, 1, "defer early wait=61 none"],
    [0, 30, "defer early wait=90 none"],
    [0, MINUTE, "defer early wait=120 none"],
    [0, MINUTE + MS, "defer early wait=60 touch"],
    [0, HOUR, "defer early wait=60 touch"],
    [0, 36500 * DAY, "defer early wait=60 touch"],
    // A known one stays known.
    [1, MS, "pass known age=0 accepted=2 accept"],
    [1, HOUR, "pass known age=0 accepted=2 accept"],
    [9, 36500 * DAY, "pass known age=0 accepted=10 accept"],
  ];
  for (const [accepted, ahead, expected] of cases) {
    assertEquals(
      at(accepted, -ahead),
      expected,
      `${accepted}, ${ahead} s ahead`,
    );
  }
});

Deno.test("policy: a client that waits as long as told is let in", () => {
  for (let tenths = -1300; tenths < 1300; tenths++) {
    const mtime = NOW - tenths / 10;
    const first = judge({ accepted: 0, mtime }, NOW, TIMEOUTS);
    if (first.action === "pass") continue;
    const after = first.write === "touch" ? NOW : mtime;
    const entry = { accepted: 0, mtime: after };
    const second = judge(entry, NOW + first.wait, TIMEOUTS);
    assertEquals(second.action, "pass", `age ${tenths / 10}: ${shown(first)}`);
    // Nor is it told to wait a second longer than it has to.
    const sooner = judge(entry, NOW + first.wait - 1, TIMEOUTS);
    assertEquals(sooner.action, "defer", `age ${tenths / 10}: ${shown(first)}`);
  }
});

Deno.test("policy: other limits", () => {
  const timeouts = { delay: 2.5, retryWindow: 2.5, expireAfter: 1 };
  const cases: [number, number, string][] = [
    [0, 0, "defer early wait=3 none"],
    [0, 2.4, "defer early wait=1 none"],
    [0, 2.5, "pass retried age=2 accepted=1 accept"],
    [0, 2.6, "defer stale wait=3 touch"],
    [1, 1, "pass known age=1 accepted=2 accept"],
    [1, 1.1, "defer expired wait=3 reset"],
  ];
  for (const [accepted, age, expected] of cases) {
    assertEquals(
      at(accepted, age, timeouts),
      expected,
      `${accepted}, ${age} s`,
    );
  }
  // No client is told to come back in 0 seconds.
  const instant = { ...TIMEOUTS, delay: 0 };
  assertEquals(
    shown(judge(undefined, NOW, instant)),
    "defer new wait=1 create",
  );
  const never = { ...TIMEOUTS, expireAfter: Infinity };
  assertEquals(at(1, NOW, never), `pass known age=${NOW} accepted=2 accept`);
});

Deno.test("policy: the age and the end of an entry", () => {
  assertEquals(ageOf({ accepted: 0, mtime: NOW - 1.5 }, NOW), 1.5);
  assertEquals(ageOf({ accepted: 0, mtime: NOW + 1.5 }, NOW), 0);
  const cases: [number, number, boolean][] = [
    [0, -HOUR, false],
    [0, 0, false],
    [0, DAY, false],
    [0, DAY + MS, true],
    [1, DAY + MS, false],
    [1, 36 * DAY, false],
    [1, 36 * DAY + MS, true],
  ];
  for (const [accepted, age, expected] of cases) {
    const entry = { accepted, mtime: NOW - age };
    assertEquals(isForgotten(entry, NOW, TIMEOUTS), expected, `${age} s`);
    // `prune` removes no entry that would have let a client in.
    const { action } = judge(entry, NOW, TIMEOUTS);
    assert(!expected || action === "defer");
  }
});

/** One entry and a clock, which is moved by hand. */
class World {
  now = NOW;
  #entry?: Entry;

  /** Moves the clock on, then the client connects. */
  call(seconds: number): string {
    this.now += seconds;
    const verdict = judge(this.#entry, this.now, TIMEOUTS);
    const { write } = verdict;
    if (write !== "none") {
      const accepted = verdict.action === "pass" ? verdict.accepted : 0;
      this.#entry = { accepted, mtime: this.now };
    }
    return shown(verdict);
  }
}

Deno.test("policy: a whole story", () => {
  const world = new World();
  const story: [number, string][] = [
    [0, "defer new wait=60 create"],
    [0.5, "defer early wait=60 none"],
    [30, "defer early wait=30 none"],
    // Hammering has not restarted the clock.
    [29.5, "pass retried age=60 accepted=1 accept"],
    [0, "pass known age=0 accepted=2 accept"],
    [10 * DAY, "pass known age=864000 accepted=3 accept"],
    // Each mail starts the 36 days anew.
    [36 * DAY, "pass known age=3110400 accepted=4 accept"],
    [36 * DAY + 1, "defer expired wait=60 reset"],
    [59, "defer early wait=1 none"],
    [1, "pass retried age=60 accepted=1 accept"],
    // The clock is set back an hour: the known client is let in.
    [-HOUR, "pass known age=0 accepted=2 accept"],
    [36 * DAY + 1, "defer expired wait=60 reset"],
    [DAY + 1, "defer stale wait=60 touch"],
    [-HOUR, "defer early wait=60 touch"],
    [60, "pass retried age=60 accepted=1 accept"],
  ];
  for (const [seconds, expected] of story) {
    assertEquals(world.call(seconds), expected, `at ${world.now - NOW} s`);
  }
});
