import { assert, assertEquals } from "@std/assert";
import type { Spawn } from "../../lib/serve/child_processes.ts";
import { Children } from "../../lib/serve/children.ts";
import type { Notice } from "../../lib/serve/hang.ts";
import { E } from "../../lib/system/constants.ts";
import { Epoll } from "../../lib/system/epoll.ts";
import { LibcError } from "../../lib/system/libc.ts";
import "../harness/libc.ts";

/**
 * Many clients without a connection, whose children are no processes.
 *
 * @param patience as in {@linkcode Children}
 */
function crowd(limit: number, patience = 1e9, mostWaiting = Infinity) {
  const woken = { times: 0 };
  const epoll = {
    add() {},
    remove() {},
    close() {},
    wake: () => woken.times++,
  } as unknown as Epoll;
  const starts: ((works: boolean) => void)[] = [];
  const mode = { isAtOnce: false, works: true };
  let pid = 1e9;
  const spawn: Spawn = {
    name: "program",
    spawnBeside(_fd, _variables, done) {
      const start = (works: boolean) =>
        done(works ? pid++ : new LibcError("start", E.ENOENT));
      if (mode.isAtOnce) start(mode.works);
      else starts.push(start);
    },
    settle() {},
  };
  const notices: Notice[] = [];
  const children = new Children(
    epoll,
    spawn,
    limit,
    patience,
    mostWaiting,
    (notice) => notices.push(notice),
  );
  const gaveUp: string[] = [];
  const started: number[] = [];
  const failed: number[] = [];
  let fd = 1e6;
  const come = (count: number, now = 0, mayWait = true) => {
    for (; count > 0; count--) {
      const name = fd++ - 1e6;
      children.add(
        {
          fd: 1e6 + name,
          served: { client: { ip: `${name}` }, network: `${name}` },
          variables: {},
          starting: () => started.push(name),
          failed: () => failed.push(name),
          ended() {},
          timedOut: (reason) => gaveUp.push(reason),
          hungUp() {},
        },
        now,
        () => mayWait,
      );
    }
  };
  /** Ends all starts that are under way. */
  const end = (works: boolean) => starts.splice(0).forEach((f) => f(works));
  return {
    ...{ children, mode, started, failed, woken, come, end },
    ...{ notices, gaveUp },
  };
}

/** More than the stack has room for, if one start is made within another. */
const CROWD = 5000;

for (const isAtOnce of [true, false]) {
  const how = isAtOnce ? "here" : "in another thread";
  Deno.test(`children, started ${how}: a start that fails costs one client`, () => {
    const { children, mode, failed, come, end } = crowd(1);
    come(1 + CROWD);
    Object.assign(mode, { isAtOnce, works: false });
    end(false);
    assertEquals(failed, [0]);
    for (let i = 1; i <= 3; i++) {
      children.expire(children.next());
      end(false);
      assertEquals(failed.length, 1 + i);
    }
    mode.works = true;
    children.expire(children.next());
    end(true);
    assertEquals(failed, [0, 1, 2, 3]);
    assertEquals([...children.served.values()].map((s) => s.network), ["4"]);
    assertEquals(children.waiting, CROWD - 4);
  });

  Deno.test(`children, started ${how}: a failure ends the wait, which does not know when the next try is`, () => {
    const { children, mode, woken, come, end } = crowd(1);
    come(2);
    Object.assign(mode, { isAtOnce });
    assertEquals(woken.times, 0);
    assert(children.next() > performance.now() + 5000);
    end(false);
    assertEquals(woken.times, 1);
    assert(children.next() <= performance.now() + 1000);
  });

  Deno.test(`children, started ${how}: after a failure all free places are taken again`, () => {
    const { children, mode, failed, come, end } = crowd(CROWD);
    come(300);
    // No more than 16 are started at once.
    assertEquals([children.starting, children.waiting], [16, 284]);
    end(false);
    assertEquals(failed.length, 16);
    assertEquals([children.starting, children.waiting], [0, 284]);
    Object.assign(mode, { isAtOnce });
    children.expire(children.next());
    assertEquals(children.starting, isAtOnce ? 0 : 1);
    do end(true); while (children.starting > 0);
    assertEquals([children.served.size, children.waiting], [284, 0]);
    assertEquals(failed.length, 16);
    assertEquals(children.next(), Infinity);
  });

  Deno.test(`children, started ${how}: a start that is done makes room for the next`, () => {
    const { children, mode, started, come, end } = crowd(2 * CROWD);
    come(CROWD);
    mode.isAtOnce = isAtOnce;
    while (children.starting > 0) end(true);
    assertEquals([children.served.size, children.waiting], [CROWD, 0]);
    assertEquals(started, Array.from({ length: CROWD }, (_, i) => i));
  });
}

/** How long a start may take, and how often the log says that it hangs. */
const LATE = 10_000;
const MINUTE = 60_000;

Deno.test("children: a start that hangs is told once, once a minute, and at its end", () => {
  const { children, notices, woken, come, end } = crowd(40);
  const now = performance.now();
  come(20);
  const late = children.next();
  assert(late >= now + LATE && late <= performance.now() + LATE, `${late}`);
  children.expire(late - 1);
  assertEquals(notices, []);
  children.expire(late);
  assertEquals(children.next(), late + MINUTE);
  for (let at = late; at < late + MINUTE; at += 1000) children.expire(at);
  // 16 are being started, and four wait.
  assertEquals(notices.splice(0), [{ state: "begins", clients: 20 }]);
  come(1);
  children.expire(late + MINUTE);
  children.expire(late + MINUTE + 1);
  assertEquals(notices.splice(0), [{ state: "lasts", clients: 21 }]);

  const { times } = woken;
  end(true);
  assert(woken.times > times);
  end(true);
  assertEquals([children.served.size, children.waiting], [21, 0]);
  const over = late + MINUTE + 2000;
  children.expire(over);
  assertEquals([notices.length, children.next()], [0, over + 5000]);
  children.expire(over + 5000);
  assertEquals(notices, [{ state: "ended", clients: 0 }]);
  assertEquals(children.next(), Infinity);
});

Deno.test("children: clients that wait for a start that hangs do not wait for the limit", () => {
  for (const limit of [1, 40]) {
    const { children, gaveUp, come } = crowd(limit, MINUTE, 3);
    const now = performance.now();
    come(Math.min(limit, 16));
    come(3, now);
    children.expire(children.next());
    // Too many wait.
    come(1, now);
    assertEquals(gaveUp.splice(0), ["start"]);
    children.expire(now + MINUTE);
    assertEquals(gaveUp, ["start", "start", "start"]);
  }
  const { children, gaveUp, come, end } = crowd(1, MINUTE);
  const now = performance.now();
  come(2, now);
  end(true);
  children.expire(now + MINUTE);
  assertEquals(gaveUp, ["limit"]);
});

Deno.test("children: a client that may not wait is refused, and those that wait stay", () => {
  const { children, started, gaveUp, come } = crowd(1);
  come(1, 0, false);
  come(1);
  come(1, 0, false);
  assertEquals([started, gaveUp, children.waiting], [[0], ["limit"], 1]);
});

Deno.test("children: while places are free, a client waits for a start in any case", () => {
  const { children, gaveUp, come, end } = crowd(18);
  come(18, 0, false);
  assertEquals([children.starting, children.waiting, gaveUp], [16, 2, []]);
  come(1, 0, false);
  assertEquals([children.waiting, gaveUp], [2, ["limit"]]);
  end(true);
  assertEquals([children.served.size, children.starting], [16, 2]);
});
