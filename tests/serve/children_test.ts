import { assert, assertEquals, assertMatch } from "@std/assert";
import { E } from "../../lib/system/constants.ts";
import { close, poll, POLLIN } from "../../lib/system/descriptor.ts";
import { Epoll } from "../../lib/system/epoll.ts";
import { localOf } from "../../lib/system/socket.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { Children } from "../../lib/serve/children.ts";
import type { Notice } from "../../lib/serve/hang.ts";
import type { Spawn } from "../../lib/serve/child_processes.ts";
import { ChildProgram } from "../../lib/system/spawn.ts";
import { childrenOf, DEADLINE, waitFor } from "../harness/process.ts";
import { isOpen, type Pair, pair } from "../harness/pair.ts";

const PATIENCE = 5000;

/** The children under test: each ends when its client hangs up. */
class Fixture {
  readonly epoll = new Epoll();
  readonly children: Children;
  readonly spawn: Spawn;
  /** The callbacks so far, with the client's name. */
  readonly events: string[] = [];
  /** Clients whose child cannot be started. */
  readonly broken = new Set<number>();
  readonly #program = new ChildProgram([
    "/bin/sh",
    "-c",
    "read x; exit 3",
  ]);

  /** @param beside whether children are started in another thread */
  constructor(limit: number, beside: boolean, mostWaiting = Infinity) {
    this.spawn = {
      name: "sh",
      spawnBeside: (fd, variables, done) => {
        if (this.broken.has(fd)) done(new LibcError("start", E.EAGAIN));
        else if (beside) this.#program.spawnBeside(fd, variables, done);
        else done(this.#program.spawn(fd, variables));
      },
      settle: () => this.#program.settle(),
    };
    this.children = new Children(
      this.epoll,
      this.spawn,
      limit,
      PATIENCE,
      mostWaiting,
      ({ state }) => this.events.push(state),
    );
  }

  /** Adds clients, one after the other, by their names. */
  async runAll(clients: Record<string, Pair>): Promise<void> {
    for (const [name, client] of Object.entries(clients)) {
      await this.run(client, name);
    }
  }

  /** Adds a client, and waits until all starts are done. */
  async run({ fd }: { fd: number }, name: string, now = 0): Promise<void> {
    const note = (event: string) => () => {
      this.events.push(`${name} ${event}`);
    };
    this.children.add(
      {
        fd,
        served: { client: { ip: name }, network: name },
        variables: {},
        starting: note("starts"),
        failed: ({ code }) => note(`failed ${code}`)(),
        ended: ({ code }) => note(`ended ${code}`)(),
        timedOut: (reason) => note(`timed out ${reason}`)(),
        hungUp: note("hung up"),
      },
      now,
      () => true,
    );
    await this.started();
  }

  /** Waits until all starts are done. */
  async started(): Promise<void> {
    await waitFor("the start", () => {
      this.children.settle();
      return this.children.starting === 0;
    });
  }

  /** Handles events until a callback was called. */
  async until(event: string): Promise<void> {
    const end = Date.now() + DEADLINE * 1000;
    while (!this.events.includes(event)) {
      if (Date.now() > end) throw new Error(`${event}: ${this.events}`);
      this.children.settle();
      const count = await this.epoll.wait(10);
      for (let i = 0; i < count; i++) {
        const ready = this.epoll.event(i);
        if (ready !== undefined) this.children.ready(ready.fd);
      }
    }
  }

  /** Ends children, so that no other test finds them. */
  async finish(...running: (readonly [Pair, string])[]): Promise<void> {
    for (const [{ client }, name] of running) {
      client.close();
      await this.until(`${name} ended 3`);
    }
  }
}

/** Whether a descriptor is still a connection: it may be something else now. */
function isConnection(fd: number): boolean {
  return localOf(fd) !== undefined;
}

/** Three clients: the first one has a child, the others wait for it to end. */
interface Queue extends Disposable {
  readonly fixture: Fixture;
  readonly one: Pair;
  readonly two: Pair;
  readonly three: Pair;
}

/** @param times when the second and the third client came */
async function oneAndTwoWaiting(
  beside: boolean,
  ...times: number[]
): Promise<Queue> {
  const fixture = new Fixture(1, beside);
  const [one, two, three] = [await pair(), await pair(), await pair()];
  await fixture.run(one, "one");
  await fixture.run(two, "two", times[0]);
  await fixture.run(three, "three", times[1]);
  return {
    ...{ fixture, one, two, three },
    [Symbol.dispose]() {
      for (const each of [three, two, one]) each[Symbol.dispose]();
    },
  };
}

/** Runs a test with children that are started here, and in another thread. */
function test(
  name: string,
  run: (beside: boolean) => Promise<void>,
  options: { sanitizeOps?: boolean } = {},
): void {
  for (const beside of [false, true]) {
    const how = beside ? "in another thread" : "here";
    Deno.test(
      `children, started ${how}: ${name}`,
      options,
      () => run(beside),
    );
  }
}

test("of the clients that wait, no more than may", async (beside) => {
  const fixture = new Fixture(1, beside, 1);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  await fixture.runAll({ one, two, three });
  assertEquals(fixture.events, ["one starts", "three timed out limit"]);
  assertEquals(fixture.children.waiting, 1);
  // The connection is the caller's again.
  assert(isOpen(three.fd));
  close(three.fd);

  await fixture.finish([one, "one"]);
  await fixture.until("two starts");
  assertEquals(fixture.children.waiting, 0);
  await fixture.finish([two, "two"]);
});

test("children up to the limit, then clients in the order in which they came", async (beside) => {
  const fixture = new Fixture(2, beside);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  using four = await pair();
  await fixture.runAll({ one, two, three, four });
  assertEquals(fixture.events, ["one starts", "two starts"]);
  assertEquals(fixture.children.waiting, 2);
  // The child has the connection, and this process has closed it.
  assert(!isConnection(one.fd) && !isConnection(two.fd));
  assert(isOpen(three.fd) && isOpen(four.fd));

  two.client.close();
  await fixture.until("three starts");
  assertEquals(fixture.events.slice(2), ["two ended 3", "three starts"]);
  assertEquals(fixture.children.waiting, 1);
  await fixture.finish([one, "one"]);
  await fixture.until("four starts");
  assertEquals(fixture.children.waiting, 0);
  await fixture.started();
  assertEquals(fixture.children.next(), Infinity);
  await fixture.finish([three, "three"], [four, "four"]);
});

test("the caller gets back a client that has waited too long", async (beside) => {
  using queue = await oneAndTwoWaiting(beside, 100, 200);
  const { fixture, one, two, three } = queue;
  assertEquals(fixture.children.next(), 100 + PATIENCE);
  fixture.children.expire(99 + PATIENCE);
  assertEquals(fixture.events, ["one starts"]);
  fixture.children.expire(100 + PATIENCE);
  assertEquals(fixture.events, ["one starts", "two timed out limit"]);
  assert(isOpen(two.fd));
  assertEquals(fixture.children.waiting, 1);
  // The caller has this connection now, so its end is no event here.
  two.client.close();
  await fixture.finish([one, "one"]);
  await fixture.until("three starts");
  assertEquals(fixture.events.some((event) => event === "two hung up"), false);
  close(two.fd);
  await fixture.finish([three, "three"]);
});

test("one that was taken over has a place, and is handed on", async (beside) => {
  const before = new Fixture(1, beside);
  using one = await pair();
  using two = await pair();
  await before.run(one, "one");
  const handed = [...before.children.served];
  assertEquals(handed.map(([, served]) => served), [
    { client: { ip: "one" }, network: "one" },
  ]);
  // As after execve(2): another epoll, and the same child.
  const fixture = new Fixture(1, beside);
  const [[pid, served]] = handed;
  fixture.children.adopt(pid, served, (status) => {
    fixture.events.push(`${status.pid} ended ${status.code}`);
  });
  assertEquals([...fixture.children.served], handed);
  await fixture.run(two, "two");
  assertEquals(fixture.events, []);
  one.client.close();
  await fixture.until("two starts");
  assertEquals(fixture.events, [`${pid} ended 3`, "two starts"]);
  await fixture.finish([two, "two"]);
  assertEquals([...fixture.children.served], []);
});

test("a helper takes no place, and not too long", async (beside) => {
  const fixture = new Fixture(1, beside);
  using one = await pair();
  using two = await pair();
  using helped = await pair();
  const { children, spawn } = fixture;
  const help = (limit: number) => {
    let end: unknown = "runs";
    const { fd } = helped;
    let isOver = false;
    children.help(spawn, fd, {}, limit, () => isOver = true)
      .then((status) => {
        assertEquals(isOver, status !== undefined);
        end = status?.code;
      });
    return () => end;
  };
  const ended = help(1e6);
  await fixture.run(one, "one");
  assertEquals(fixture.events, ["one starts"]);
  assertEquals([...children.served].length, 1);
  await helped.client.write(new TextEncoder().encode("a line\n"));
  await waitFor("the helper", async () => {
    await turn(fixture);
    return ended() === 3;
  });
  const late = help(50);
  await waitFor("the end of its time", async () => {
    await turn(fixture);
    return late() === undefined;
  });
  await waitFor("its end", async () => {
    await turn(fixture);
    return childrenOf(Deno.pid).length === 1;
  });
  await fixture.run(two, "two");
  await fixture.finish([one, "one"]);
  await fixture.until("two starts");
  await fixture.finish([two, "two"]);
  close(helped.fd);
  // The thread that keeps the time may end later on a busy machine.
}, { sanitizeOps: false });

test(
  "a helper that is only being started ends with the rest",
  async (beside) => {
    const fixture = new Fixture(1, beside);
    using helped = await pair();
    const { children, spawn } = fixture;
    const overs: number[] = [];
    const status = children.help(
      spawn,
      helped.fd,
      {},
      1e6,
      () => overs.push(children.running),
    );
    assertEquals(children.starting, beside ? 1 : 0);
    children.shutDown();
    await waitFor("its end", async () => {
      await turn(fixture);
      return overs.length > 0;
    });
    assertEquals((await status)?.signal, 9);
    // The thread that keeps the time ends within 50 ms, or later on a busy machine.
    await new Promise((done) => setTimeout(done, 500));
    assertEquals(overs, [0]);
    assertEquals(childrenOf(Deno.pid), []);
    close(helped.fd);
  },
  { sanitizeOps: false },
);

/** One turn of the event loop. */
async function turn({ children, epoll }: Fixture): Promise<void> {
  children.settle();
  const count = await epoll.wait(10);
  for (let i = 0; i < count; i++) {
    const event = epoll.event(i);
    if (event !== undefined) children.ready(event.fd);
  }
}

test("a client that hangs up while it waits gets no child", async (beside) => {
  using queue = await oneAndTwoWaiting(beside);
  const { fixture, one, two, three } = queue;
  two.client.close();
  await fixture.until("two hung up");
  assert(!isOpen(two.fd));
  assertEquals(fixture.children.waiting, 1);
  assertEquals(fixture.children.next(), PATIENCE);
  await fixture.finish([one, "one"]);
  await fixture.until("three starts");
  assertEquals(fixture.events, [
    "one starts",
    "two hung up",
    "one ended 3",
    "three starts",
  ]);
  await fixture.finish([three, "three"]);
});

test("the program reads what a client has sent while it waited", async (beside) => {
  const fixture = new Fixture(1, beside);
  using one = await pair();
  using two = await pair();
  await fixture.runAll({ one, two });
  await two.client.write(new TextEncoder().encode("a line\n"));
  // The bytes have arrived, and cause no event.
  await waitFor("the line", () => poll(two.fd, POLLIN, 0));
  assertEquals(fixture.epoll.look(), 0);
  assertEquals(fixture.events, ["one starts"]);
  await fixture.finish([one, "one"]);
  // It has read the line, and ended.
  await fixture.until("two ended 3");
});

test("a child that cannot be started takes no place", async (beside) => {
  const fixture = new Fixture(1, beside);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  fixture.broken.add(one.fd);
  await fixture.run(one, "one");
  assertEquals(fixture.events, ["one starts", `one failed ${E.EAGAIN}`]);
  assert(isOpen(one.fd));
  await fixture.run(two, "two");
  assertEquals(fixture.events[2], "two starts");
  // Nor is it in the queue, where it would keep the next one from its start.
  fixture.broken.add(three.fd);
  using four = await pair();
  const now = performance.now();
  // So late that the next try is what comes first.
  const late = now + 1e6;
  await fixture.run(three, "three", late);
  await fixture.run(four, "four", late);
  await fixture.finish([two, "two"]);
  await fixture.until(`three failed ${E.EAGAIN}`);
  // The next one is tried somewhat later.
  const { children } = fixture;
  const retry = children.next();
  assert(
    retry > now && retry <= performance.now() + PATIENCE,
    `${retry - now}`,
  );
  children.expire(retry - 1);
  assertEquals(children.waiting, 1);
  children.expire(retry);
  await fixture.until("four starts");
  assertEquals(fixture.events.slice(3), [
    "two ended 3",
    "three starts",
    `three failed ${E.EAGAIN}`,
    "four starts",
  ]);
  assert(isOpen(three.fd));
  close(one.fd);
  close(three.fd);
  await fixture.finish([four, "four"]);
});

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

test("the ends of programs before they are taken over are found", async (beside) => {
  const before = new Fixture(2, beside);
  using one = await pair();
  using two = await pair();
  await before.run(one, "one");
  await before.run(two, "two");
  const programs = [...before.children.served];
  one.client.close();
  two.client.close();
  const isZombie = (pid: number) =>
    /^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  await waitFor("both ends", () => programs.every(([pid]) => isZombie(pid)));
  const fixture = new Fixture(2, beside);
  // As without pidfd_open(2).
  fixture.epoll.add = () => {
    throw new LibcError("epoll_ctl", E.EAGAIN);
  };
  const ended: number[] = [];
  for (const [pid, served] of programs) {
    fixture.children.adopt(pid, served, ({ pid }) => ended.push(pid));
  }
  fixture.children.expire(0);
  assertEquals(ended.toSorted(), programs.map(([pid]) => pid).toSorted());
  assertEquals(fixture.children.served.size, 0);
});

test("a client that closes its side while it waits is told 421", async (beside) => {
  using queue = await oneAndTwoWaiting(beside);
  const { fixture, one, two, three } = queue;
  await two.client.write(new TextEncoder().encode("QUIT\r\n".repeat(5000)));
  await two.client.closeWrite();
  await fixture.until("two hung up");
  assertMatch(await two.rest(), /^421 4\.3\.2 [^\r]+\r\n$/);
  assert(!isOpen(two.fd));
  await fixture.finish([one, "one"]);
  await fixture.until("three starts");
  await fixture.finish([three, "three"]);
});

test("a stop gives back the clients that wait, and no others", async (beside) => {
  using queue = await oneAndTwoWaiting(beside);
  const { fixture, one, two, three } = queue;
  fixture.children.shutDown();
  assertEquals(fixture.events, [
    "one starts",
    "two timed out limit",
    "three timed out limit",
  ]);
  assertEquals(fixture.children.waiting, 0);
  assert(isOpen(two.fd) && isOpen(three.fd));
  close(two.fd);
  close(three.fd);
  await fixture.finish([one, "one"]);
});

test("a client that cannot be watched does not wait", async (beside) => {
  const fixture = new Fixture(1, beside);
  using one = await pair();
  await fixture.run(one, "one");
  await fixture.run({ fd: 1_000_000 }, "two");
  assertEquals(fixture.events, ["one starts", "two timed out limit"]);
  assertEquals(fixture.children.waiting, 0);
  await fixture.finish([one, "one"]);
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

test("an orphan's exit status is taken, and is no client's", async (beside) => {
  const fixture = new Fixture(1, beside);
  using stray = await pair();
  const pid = new ChildProgram(["true"]).spawn(stray.fd, {});
  close(stray.fd);
  // The end of the connection is the end of the program.
  assertEquals(await stray.rest(), "");
  using one = await pair();
  await fixture.run(one, "one");
  await waitFor("the end of the stray", () => {
    fixture.children.expire(0);
    return !childrenOf(Deno.pid).includes(pid);
  });
  await fixture.finish([one, "one"]);
  assertEquals(fixture.events, ["one starts", "one ended 3"]);
});

test("the end of a child that is not watched is found", async (beside) => {
  const fixture = new Fixture(1, beside);
  using one = await pair();
  using two = await pair();
  // Watching fails, as if descriptors had run out.
  const { add } = fixture.epoll;
  fixture.epoll.add = () => {
    throw new LibcError("epoll_ctl", E.EAGAIN);
  };
  await fixture.run(one, "one");
  fixture.epoll.add = add;
  await fixture.run(two, "two");
  one.client.close();
  await waitFor("the end of one", () => {
    fixture.children.expire(0);
    return fixture.events.includes("one ended 3");
  });
  assertEquals(fixture.events.at(-1), "two starts");
  await fixture.finish([two, "two"]);
});

test("descriptors are given back", async (beside) => {
  const fixture = new Fixture(2, beside);
  assertEquals(fixture.children.descriptors, 0);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  await fixture.runAll({ one, two, three });
  // Two programs are watched, one client waits.
  assertEquals(fixture.children.descriptors, 3);
  await fixture.finish([one, "one"], [two, "two"]);
  await fixture.until("three starts");
  await fixture.finish([three, "three"]);
  assertEquals(fixture.children.descriptors, 0);
});
