import { assert, assertEquals } from "@std/assert";
import { close, poll, POLLIN } from "../lib/descriptor.ts";
import { LibcError } from "../lib/libc.ts";
import { Poll } from "../lib/serve/kernel.ts";
import { Programs } from "../lib/serve/programs.ts";
import { Spawner } from "../lib/serve/spawn.ts";
import { DEADLINE, waitFor } from "./harness/process.ts";
import { ABI, isOpen, type Pair, pair } from "./harness/pair.ts";

const PATIENCE = 5000;
const EAGAIN = 11;

/** Programs that end when their clients hang up. */
class House {
  readonly poll = new Poll(ABI);
  readonly programs: Programs;
  /** What was called, by whom. */
  readonly events: string[] = [];
  /** Clients whose program cannot be started. */
  readonly broken = new Set<number>();
  readonly #spawner = new Spawner(ABI, ["/bin/sh", "-c", "read x; exit 3"]);

  constructor(limit: number) {
    const start = (
      fd: number,
      variables: Record<string, string | undefined>,
    ) => {
      if (this.broken.has(fd)) throw new LibcError("start", EAGAIN);
      return this.#spawner.spawn(fd, variables);
    };
    this.programs = new Programs(this.poll, start, limit, PATIENCE);
  }

  run({ fd }: { fd: number }, name: string, now = 0): void {
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
  }

  /** Sees to what happens until something was called. */
  async until(event: string): Promise<void> {
    const end = Date.now() + DEADLINE * 1000;
    while (!this.events.includes(event)) {
      if (Date.now() > end) throw new Error(`${event}: ${this.events}`);
      this.programs.reap();
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

Deno.test("serve programs: as many as may run, then in the order in which they came", async () => {
  const house = new House(2);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  using four = await pair();
  house.run(one, "one");
  house.run(two, "two");
  house.run(three, "three");
  house.run(four, "four");
  assertEquals(house.events, ["one starts", "two starts"]);
  assertEquals(house.programs.waiting, 2);
  // The program has the connection, this process has not.
  assert(!isOpen(one.fd) && !isOpen(two.fd));
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

Deno.test("serve programs: who has waited too long gets the connection back", async () => {
  const house = new House(1);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  house.run(one, "one");
  house.run(two, "two", 100);
  house.run(three, "three", 200);
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

Deno.test("serve programs: who hangs up while waiting is not started", async () => {
  const house = new House(1);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  house.run(one, "one");
  house.run(two, "two");
  house.run(three, "three");
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

Deno.test("serve programs: words of who waits are the program's", async () => {
  const house = new House(1);
  using one = await pair();
  using two = await pair();
  house.run(one, "one");
  house.run(two, "two");
  await two.client.write(new TextEncoder().encode("a line\n"));
  // They have arrived here, and do not keep this process busy.
  await waitFor("the line", () => poll(two.fd, POLLIN, 0));
  assertEquals(house.poll.look(), 0);
  assertEquals(house.events, ["one starts"]);
  await house.finish([one, "one"]);
  // It has read the line, and ended.
  await house.until("two ended 3");
});

Deno.test("serve programs: one that cannot be started takes no place", async () => {
  const house = new House(1);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  house.broken.add(one.fd);
  house.run(one, "one");
  assertEquals(house.events, ["one starts", `one failed ${EAGAIN}`]);
  assert(isOpen(one.fd));
  house.run(two, "two");
  assertEquals(house.events[2], "two starts");
  // Nor in the queue, where nobody would start the next one.
  house.broken.add(three.fd);
  using four = await pair();
  house.run(three, "three");
  house.run(four, "four");
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

Deno.test("serve programs: stopping gives back who waits, and nothing else", async () => {
  const house = new House(1);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  house.run(one, "one");
  house.run(two, "two");
  house.run(three, "three");
  house.programs.shutDown();
  assertEquals(house.events, ["one starts", "two waited", "three waited"]);
  assertEquals(house.programs.waiting, 0);
  assert(isOpen(two.fd) && isOpen(three.fd));
  close(two.fd);
  close(three.fd);
  await house.finish([one, "one"]);
});

Deno.test("serve programs: one that cannot be watched does not wait", async () => {
  const house = new House(1);
  using one = await pair();
  house.run(one, "one");
  house.run({ fd: 1_000_000 }, "two");
  assertEquals(house.events, ["one starts", "two waited"]);
  assertEquals(house.programs.waiting, 0);
  await house.finish([one, "one"]);
});

Deno.test("serve programs: a program that nobody started is nobody's", async () => {
  const house = new House(1);
  using stray = await pair();
  new Spawner(ABI, ["true"]).spawn(stray.fd, {});
  close(stray.fd);
  // The end of the connection is the end of the program.
  assertEquals(await stray.rest(), "");
  using one = await pair();
  house.run(one, "one");
  await house.finish([one, "one"]);
  assertEquals(house.events, ["one starts", "one ended 3"]);
});
