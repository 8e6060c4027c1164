import { assert, assertEquals } from "@std/assert";
import { close, poll, POLLIN } from "../../lib/system/descriptor.ts";
import { Epoll } from "../../lib/system/epoll.ts";
import { localOf } from "../../lib/system/socket.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { Programs, type Starter } from "../../lib/serve/programs.ts";
import { Spawner } from "../../lib/system/spawn.ts";
import { childrenOf, DEADLINE, waitFor } from "../harness/process.ts";
import { ABI, isOpen, type Pair, pair } from "../harness/pair.ts";

const PATIENCE = 5000;
const EAGAIN = 11;

/** Programs that end when their clients hang up. */
class House {
  readonly poll = new Epoll(ABI);
  readonly programs: Programs;
  /** What was called, by whom. */
  readonly events: string[] = [];
  /** Clients whose program cannot be started. */
  readonly broken = new Set<number>();
  readonly #spawner = new Spawner(ABI, ["/bin/sh", "-c", "read x; exit 3"]);

  /** @param beside whether programs are started in another thread */
  constructor(limit: number, beside: boolean) {
    const starter: Starter = {
      start: (fd, variables, done) => {
        if (this.broken.has(fd)) done(new LibcError("start", EAGAIN));
        else if (beside) this.#spawner.spawnBeside(fd, variables, done);
        else done(this.#spawner.spawn(fd, variables));
      },
      settle: () => this.#spawner.settle(),
    };
    this.programs = new Programs(this.poll, starter, limit, PATIENCE);
  }

  /** Waits until all programs are there that have been started. */
  async run({ fd }: { fd: number }, name: string, now = 0): Promise<void> {
    const note = (event: string) => () => {
      this.events.push(`${name} ${event}`);
    };
    this.programs.run({
      fd,
      variables: {},
      starts: note("starts"),
      failed: ({ code }) => note(`failed ${code}`)(),
      ended: ({ code }) => note(`ended ${code}`)(),
      waited: note("waited"),
      left: note("left"),
    }, now);
    await waitFor("the start", () => {
      this.programs.settle();
      return this.programs.starting === 0;
    });
  }

  /** Sees to what happens until something was called. */
  async until(event: string): Promise<void> {
    const end = Date.now() + DEADLINE * 1000;
    while (!this.events.includes(event)) {
      if (Date.now() > end) throw new Error(`${event}: ${this.events}`);
      this.programs.settle();
      const count = await this.poll.wait(10);
      for (let i = 0; i < count; i++) {
        const ready = this.poll.event(i);
        if (ready !== undefined) this.programs.ready(ready.fd);
      }
    }
  }

  /** Ends programs, so that no other test finds them. */
  async finish(...running: (readonly [Pair, string])[]): Promise<void> {
    for (const [{ client }, name] of running) {
      client.close();
      await this.until(`${name} ended 3`);
    }
  }
}

/** What was a connection may be the descriptor of something else now. */
function isConnection(fd: number): boolean {
  return localOf(fd) !== undefined;
}

/** Whether programs are started in other threads or not, all is as it should. */
function test(name: string, run: (beside: boolean) => Promise<void>): void {
  for (const beside of [false, true]) {
    const how = beside ? "in another thread" : "here";
    Deno.test(`serve programs, started ${how}: ${name}`, () => run(beside));
  }
}

test("as many as may run, then in the order in which they came", async (beside) => {
  const house = new House(2, beside);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  using four = await pair();
  await house.run(one, "one");
  await house.run(two, "two");
  await house.run(three, "three");
  await house.run(four, "four");
  assertEquals(house.events, ["one starts", "two starts"]);
  assertEquals(house.programs.waiting, 2);
  // The program has the connection, this process has not.
  assert(!isConnection(one.fd) && !isConnection(two.fd));
  assert(isOpen(three.fd) && isOpen(four.fd));

  two.client.close();
  await house.until("three starts");
  assertEquals(house.events.slice(2), ["two ended 3", "three starts"]);
  assertEquals(house.programs.waiting, 1);
  await house.finish([one, "one"]);
  await house.until("four starts");
  assertEquals(house.programs.waiting, 0);
  assertEquals(house.programs.next(), Infinity);
  await house.finish([three, "three"], [four, "four"]);
});

test("who has waited too long gets the connection back", async (beside) => {
  const house = new House(1, beside);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  await house.run(one, "one");
  await house.run(two, "two", 100);
  await house.run(three, "three", 200);
  assertEquals(house.programs.next(), 100 + PATIENCE);
  house.programs.expire(99 + PATIENCE);
  assertEquals(house.events, ["one starts"]);
  house.programs.expire(100 + PATIENCE);
  assertEquals(house.events, ["one starts", "two waited"]);
  assert(isOpen(two.fd));
  assertEquals(house.programs.waiting, 1);
  // It is somebody else's now: its end is nothing here.
  two.client.close();
  await house.finish([one, "one"]);
  await house.until("three starts");
  assertEquals(house.events.some((event) => event === "two left"), false);
  close(two.fd);
  await house.finish([three, "three"]);
});

test("who hangs up while waiting is not started", async (beside) => {
  const house = new House(1, beside);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  await house.run(one, "one");
  await house.run(two, "two");
  await house.run(three, "three");
  two.client.close();
  await house.until("two left");
  assert(!isOpen(two.fd));
  assertEquals(house.programs.waiting, 1);
  assertEquals(house.programs.next(), PATIENCE);
  await house.finish([one, "one"]);
  await house.until("three starts");
  assertEquals(house.events, [
    "one starts",
    "two left",
    "one ended 3",
    "three starts",
  ]);
  await house.finish([three, "three"]);
});

test("words of who waits are the program's", async (beside) => {
  const house = new House(1, beside);
  using one = await pair();
  using two = await pair();
  await house.run(one, "one");
  await house.run(two, "two");
  await two.client.write(new TextEncoder().encode("a line\n"));
  // They have arrived here, and do not keep this process busy.
  await waitFor("the line", () => poll(two.fd, POLLIN, 0));
  assertEquals(house.poll.look(), 0);
  assertEquals(house.events, ["one starts"]);
  await house.finish([one, "one"]);
  // It has read the line, and ended.
  await house.until("two ended 3");
});

test("one that cannot be started takes no place", async (beside) => {
  const house = new House(1, beside);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  house.broken.add(one.fd);
  await house.run(one, "one");
  assertEquals(house.events, ["one starts", `one failed ${EAGAIN}`]);
  assert(isOpen(one.fd));
  await house.run(two, "two");
  assertEquals(house.events[2], "two starts");
  // Nor in the queue, where nobody would start the next one.
  house.broken.add(three.fd);
  using four = await pair();
  await house.run(three, "three");
  await house.run(four, "four");
  await house.finish([two, "two"]);
  await house.until("four starts");
  assertEquals(house.events.slice(3), [
    "two ended 3",
    "three starts",
    `three failed ${EAGAIN}`,
    "four starts",
  ]);
  assert(isOpen(three.fd));
  close(one.fd);
  close(three.fd);
  await house.finish([four, "four"]);
});

test("stopping gives back who waits, and nothing else", async (beside) => {
  const house = new House(1, beside);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  await house.run(one, "one");
  await house.run(two, "two");
  await house.run(three, "three");
  house.programs.shutDown();
  assertEquals(house.events, ["one starts", "two waited", "three waited"]);
  assertEquals(house.programs.waiting, 0);
  assert(isOpen(two.fd) && isOpen(three.fd));
  close(two.fd);
  close(three.fd);
  await house.finish([one, "one"]);
});

test("one that cannot be watched does not wait", async (beside) => {
  const house = new House(1, beside);
  using one = await pair();
  await house.run(one, "one");
  await house.run({ fd: 1_000_000 }, "two");
  assertEquals(house.events, ["one starts", "two waited"]);
  assertEquals(house.programs.waiting, 0);
  await house.finish([one, "one"]);
});

test("a program that nobody started is nobody's", async (beside) => {
  const house = new House(1, beside);
  using stray = await pair();
  const pid = new Spawner(ABI, ["true"]).spawn(stray.fd, {});
  close(stray.fd);
  // The end of the connection is the end of the program.
  assertEquals(await stray.rest(), "");
  using one = await pair();
  await house.run(one, "one");
  await waitFor("the end of the stray", () => {
    house.programs.expire(0);
    return !childrenOf(Deno.pid).includes(pid);
  });
  await house.finish([one, "one"]);
  assertEquals(house.events, ["one starts", "one ended 3"]);
});

test("one whose end nobody tells of is found", async (beside) => {
  const house = new House(1, beside);
  using one = await pair();
  using two = await pair();
  // Nothing can be watched by this, as if descriptors had run out.
  const { add } = house.poll;
  house.poll.add = () => {
    throw new LibcError("epoll_ctl", EAGAIN);
  };
  await house.run(one, "one");
  house.poll.add = add;
  await house.run(two, "two");
  one.client.close();
  await waitFor("the end of one", () => {
    house.programs.expire(0);
    return house.events.includes("one ended 3");
  });
  assertEquals(house.events.at(-1), "two starts");
  await house.finish([two, "two"]);
});

test("descriptors are given back", async (beside) => {
  const house = new House(2, beside);
  assertEquals(house.programs.descriptors, 0);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  await house.run(one, "one");
  await house.run(two, "two");
  await house.run(three, "three");
  // Two programs are watched, one client waits.
  assertEquals(house.programs.descriptors, 3);
  await house.finish([one, "one"], [two, "two"]);
  await house.until("three starts");
  await house.finish([three, "three"]);
  assertEquals(house.programs.descriptors, 0);
});
