import { assert, assertEquals, assertMatch } from "@std/assert";
import { close, poll, POLLIN } from "../../lib/system/descriptor.ts";
import {
  Fixture,
  oneAndTwoWaiting,
  PATIENCE,
  test,
} from "../harness/children.ts";
import { isOpen, pair } from "../harness/pair.ts";
import { waitFor } from "../harness/process.ts";

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
