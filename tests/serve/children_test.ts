import { assert, assertEquals } from "@std/assert";
import { E } from "../../lib/system/constants.ts";
import { close } from "../../lib/system/descriptor.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { ChildProgram } from "../../lib/system/spawn.ts";
import {
  Fixture,
  isConnection,
  PATIENCE,
  test,
  turn,
} from "../harness/children.ts";
import { isOpen, pair } from "../harness/pair.ts";
import { childrenOf, waitFor } from "../harness/process.ts";

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
