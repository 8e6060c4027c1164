import { assert, assertEquals, assertThrows } from "@std/assert";
import { close } from "../../lib/system/descriptor.ts";
import { Epoll } from "../../lib/system/epoll.ts";
import { check, fromLibc, LibcError } from "../../lib/system/libc.ts";
import {
  DeferredClients,
  singleReply,
  type Speaker,
} from "../../lib/serve/deferred_clients.ts";
import { FAREWELL } from "../../lib/smtp/conversation.ts";
import { DEADLINE, waitFor } from "../harness/process.ts";
import { isOpen, type Pair, pair, reset } from "../harness/pair.ts";

// Opened before any test begins: see libc.ts.
const libc = fromLibc({
  // int dup(int oldfd);
  dup: { parameters: ["i32"], result: "i32" },
})();

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Repeats what it gets, until that contains QUIT. */
class Parrot implements Speaker {
  done = false;
  quit = false;
  readonly heard: string[] = [];
  readonly #greeting: string;

  constructor(greeting = "hello\n") {
    this.#greeting = greeting;
  }

  greeting(): string {
    return this.#greeting;
  }

  receive(bytes: Uint8Array): string {
    const text = decoder.decode(bytes);
    this.heard.push(text);
    this.done = text.includes("QUIT");
    return `<${text}>`;
  }

  timeout(): string {
    return "too late\n";
  }

  shutdown(): string {
    return "going down\n";
  }
}

/** DeferredClients, whose time is what a test says it is. */
class Desk {
  readonly poll = new Epoll();
  readonly deferrals: DeferredClients;
  now = 1000;
  hasCopies = false;
  /** The callbacks so far, with the client's name. */
  readonly events: string[] = [];

  constructor({ idleTimeout = 60, sessionTimeout = 300 } = {}) {
    this.deferrals = new DeferredClients(this.poll, {
      idleTimeout,
      sessionTimeout,
    }, () => this.hasCopies);
  }

  add({ fd }: { fd: number }, speaker: Speaker, name = ""): void {
    this.deferrals.add(fd, speaker, this.now, {
      finished: () => this.events.push(`${name}finished`),
      closed: () => this.events.push(`${name}closed`),
    });
  }

  /** Handles the events that are there. @returns how many there were */
  turn(count = this.poll.look()): number {
    for (let i = 0; i < count; i++) {
      const event = this.poll.event(i);
      if (event !== undefined) this.deferrals.ready(event.fd, this.now);
    }
    return count;
  }

  /** Handles events until a condition holds. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const end = Date.now() + DEADLINE * 1000;
    while (!condition()) {
      if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
      this.turn(await this.poll.wait(10));
    }
  }

  /** Reads something while the server goes on. */
  async read(from: Pair, length: number): Promise<string> {
    let text: string | undefined;
    const reading = from.read(length).then((all) => text = all);
    await this.until("an answer", () => text !== undefined);
    return await reading;
  }
}

Deno.test("deferred clients: a conversation to its end", async () => {
  const desk = new Desk();
  using client = await pair();
  const speaker = new Parrot();
  desk.add(client, speaker);
  assertEquals(desk.deferrals.size, 1);
  assert(desk.deferrals.has(client.fd));
  assert(!desk.deferrals.has(client.fd + 1));
  assertEquals(await client.read(6), "hello\n");
  await client.client.write(encoder.encode("a"));
  assertEquals(await desk.read(client, 3), "<a>");
  assertEquals(desk.events, []);
  await client.client.write(encoder.encode("QUIT"));
  assertEquals(await desk.read(client, Infinity), "<QUIT>");
  // The dialogue is over, but the client has not hung up yet.
  assertEquals(desk.events, ["finished"]);
  assertEquals(desk.deferrals.size, 1);
  client.client.close();
  await desk.until("the end", () => desk.deferrals.size === 0);
  assertEquals(desk.events, ["finished", "closed"]);
  assert(!isOpen(client.fd));
  assertEquals(desk.deferrals.next(), Infinity);
});

Deno.test("deferred clients: a client that hangs up", async () => {
  const desk = new Desk();
  for (const how of ["whole", "half", "reset"]) {
    using client = await pair();
    desk.events.length = 0;
    desk.add(client, new Parrot());
    if (how === "whole") client.client.close();
    else if (how === "half") await client.client.closeWrite();
    else await reset(client);
    await desk.until(how, () => desk.deferrals.size === 0);
    assertEquals(desk.events, ["finished", "closed"], how);
    assert(!isOpen(client.fd), how);
    assertEquals(desk.deferrals.next(), Infinity, how);
  }
});

Deno.test("deferred clients: QUIT ends the stream though a child has a copy", async () => {
  const desk = new Desk();
  for (const hasCopies of [true, false]) {
    using client = await pair();
    desk.hasCopies = hasCopies;
    const speaker = new Parrot("");
    desk.add(client, speaker);
    speaker.quit = true;
    // As a child between fork and exec has.
    const copy = check("dup", libc.dup(client.fd));
    await client.client.write(encoder.encode("QUIT"));
    await desk.until("QUIT", () => desk.deferrals.size === 0);
    assert(!isOpen(client.fd));
    let early: string | undefined;
    const rest = client.rest().then((text) => early = text);
    if (hasCopies) await waitFor("the end", () => early);
    else await new Promise((done) => setTimeout(done, 50));
    assertEquals(early, hasCopies ? "<QUIT>" : undefined);
    close(copy);
    assertEquals(await rest, "<QUIT>");
  }
});

Deno.test("deferred clients: silence ends the dialogue, and each command puts that off", async () => {
  const desk = new Desk({ idleTimeout: 10, sessionTimeout: 100 });
  using client = await pair();
  const speaker = new Parrot("");
  desk.add(client, speaker);
  assertEquals(desk.deferrals.next(), 11_000);
  desk.now = 9000;
  await client.client.write(encoder.encode("a"));
  assertEquals(await desk.read(client, 3), "<a>");
  assertEquals(desk.deferrals.next(), 19_000);
  desk.deferrals.expire(18_999);
  assertEquals(desk.events, []);
  desk.deferrals.expire(19_000);
  assertEquals(desk.events, ["finished"]);
  assertEquals(await client.rest(), "too late\n");
});

Deno.test("deferred clients: no number of commands puts off the end of the session", async () => {
  const desk = new Desk({ idleTimeout: 10, sessionTimeout: 25 });
  using client = await pair();
  desk.add(client, new Parrot(""));
  for (desk.now of [9000, 17_000, 25_000]) {
    await client.client.write(encoder.encode("a"));
    assertEquals(await desk.read(client, 3), "<a>");
  }
  assertEquals(desk.deferrals.next(), 26_000);
  desk.deferrals.expire(26_000);
  assertEquals(await client.rest(), "too late\n");
  assertEquals(desk.events, ["finished"]);
});

Deno.test("deferred clients: each gets one piece of 512 bytes read in its turn", async () => {
  const desk = new Desk();
  using talker = await pair();
  using other = await pair();
  const speakers = [new Parrot(), new Parrot()];
  desk.add(talker, speakers[0], "talker ");
  desk.add(other, speakers[1], "other ");
  // QUIT ends with the second piece, and more has come behind it.
  const first = "x".repeat(1020);
  await talker.client.write(encoder.encode(`${first}QUIT${"y".repeat(5000)}`));
  await other.client.write(encoder.encode("NOOP"));
  await waitFor("both", () => desk.poll.look() === 2);
  desk.turn();
  assertEquals(speakers.map(({ heard }) => heard.map((one) => one.length)), [
    [512],
    [4],
  ]);
  speakers[0].quit = true;
  await desk.until("the end", () => speakers[0].done);
  assertEquals(speakers[0].heard, ["x".repeat(512), "x".repeat(508) + "QUIT"]);
  // A close would reset the connection, and the client might lose the reply.
  assertEquals(desk.events, ["talker finished"]);
  const rest = talker.rest();
  talker.client.closeWrite();
  await desk.until("the close", () => desk.events.length === 2);
  assertEquals(await rest, `hello\n<${speakers[0].heard.join("><")}>`);
  close(other.fd);
});

Deno.test("deferred clients: a client that does not hang up is disconnected", async () => {
  const desk = new Desk();
  using client = await pair();
  desk.add(client, new Parrot(""));
  await client.client.write(encoder.encode("QUIT"));
  assertEquals(await desk.read(client, Infinity), "<QUIT>");
  const due = desk.deferrals.next();
  assertEquals(due, desk.now + 1000 * FAREWELL);
  desk.deferrals.expire(due - 1);
  assertEquals(desk.deferrals.size, 1);
  desk.deferrals.expire(due);
  assertEquals(desk.deferrals.size, 0);
  assertEquals(desk.events, ["finished", "closed"]);
  assert(!isOpen(client.fd));
});

Deno.test("deferred clients: the last reply arrives though the client goes on sending", async () => {
  const desk = new Desk();
  using client = await pair();
  const speaker = new Parrot("");
  desk.add(client, speaker);
  await client.client.write(encoder.encode("QUIT"));
  await desk.until("QUIT", () => speaker.done);
  for (let i = 0; i < 20; i++) {
    await client.client.write(encoder.encode("chatter".repeat(1000)));
    desk.turn();
  }
  // A connection that was reset would be an error here.
  assertEquals(await desk.read(client, Infinity), "<QUIT>");
  assertEquals(speaker.heard, ["QUIT"]);
  assertEquals(desk.events, ["finished"]);
});

Deno.test("deferred clients: a client that does not read is not listened to", async () => {
  const desk = new Desk();
  using client = await pair();
  // More than the connection holds. No line of it is the same as another.
  const lines = Array.from({ length: 1 << 20 }, (_, i) => `${i}`.padStart(15));
  const much = lines.join("\n");
  const speaker = new Parrot(much);
  desk.add(client, speaker);
  await client.client.write(encoder.encode("QUIT"));
  // No event may be reported while nothing can be sent: that would be a busy loop.
  await desk.until("a full connection", () => desk.turn() === 0);
  assertEquals(speaker.heard, []);
  assertEquals(desk.events, []);
  assertEquals(await desk.read(client, much.length), much);
  assertEquals(await desk.read(client, Infinity), "<QUIT>");
  assertEquals(desk.events, ["finished"]);
});

Deno.test("deferred clients: a reply that was cut off is not followed by another", async () => {
  const desk = new Desk({ idleTimeout: 10 });
  using client = await pair();
  desk.add(client, new Parrot("0123456789abcdef".repeat(1 << 20)));
  await desk.until("a full connection", () => desk.turn() === 0);
  desk.deferrals.expire(desk.deferrals.next());
  assertEquals(desk.events, ["finished"]);
  const got = await desk.read(client, Infinity);
  assertEquals(got.includes("too late"), false);
  assert(got.length > 0 && got.length < 16 << 20);
});

Deno.test("deferred clients: a client that leaves in the middle of a reply", async () => {
  const desk = new Desk();
  using client = await pair();
  desk.add(client, new Parrot("0123456789abcdef".repeat(1 << 20)));
  await desk.until("a full connection", () => desk.turn() === 0);
  client.client.close();
  await desk.until("the end", () => desk.deferrals.size === 0);
  assertEquals(desk.events, ["finished", "closed"]);
});

Deno.test("deferred clients: a stop tells each client once", async () => {
  const desk = new Desk();
  using one = await pair();
  using two = await pair();
  using three = await pair();
  desk.add(one, new Parrot(""), "one ");
  desk.add(two, new Parrot(""), "two ");
  desk.add(three, singleReply("421 no\r\n"), "three ");
  desk.deferrals.shutDown(desk.now);
  desk.deferrals.shutDown(desk.now);
  assertEquals(await one.rest(), "going down\n");
  assertEquals(await two.rest(), "going down\n");
  assertEquals(await three.rest(), "421 no\r\n");
  for (const { client } of [one, two, three]) client.close();
  await desk.until("the end", () => desk.deferrals.size === 0);
  assertEquals(
    desk.events.toSorted(),
    ["one", "two", "three"].flatMap((
      who,
    ) => [`${who} closed`, `${who} finished`])
      .toSorted(),
  );
});

/** More clients than may stay connected after their last reply: 256. */
const CROWD = 260;

/** Lets many clients in, each of which sends something that is not read. */
async function crowd(desk: Desk, clients: DisposableStack): Promise<Pair[]> {
  const all: Pair[] = [];
  for (let i = 0; i < CROWD; i++) {
    const client = clients.use(await pair());
    desk.add(client, new Parrot(""));
    await client.client.write(encoder.encode("QUIT"));
    all.push(client);
  }
  return all;
}

Deno.test("deferred clients: of those that do not hang up, 256 stay connected", async () => {
  const desk = new Desk();
  using clients = new DisposableStack();
  const all = await crowd(desk, clients);
  const { poll, deferrals } = desk;
  await desk.until("the first ends", () => {
    const over = desk.events.filter((event) => event === "finished").length;
    return over === CROWD;
  });
  assertEquals(deferrals.size, 256);
  assertEquals(all.filter(({ fd }) => isOpen(fd)).length, 256);
  for (const { fd } of all) if (deferrals.has(fd)) poll.close(fd);
});

Deno.test("deferred clients: a stop lets every last reply arrive, however many there are", async () => {
  const desk = new Desk();
  using clients = new DisposableStack();
  const all = await crowd(desk, clients);
  desk.deferrals.shutDown(desk.now);
  assertEquals(desk.deferrals.size, CROWD);
  // What the clients have sent is read before their connections are closed.
  await desk.until("quiet", () => desk.turn() === 0);
  desk.deferrals.expire(desk.deferrals.next());
  assertEquals(desk.deferrals.size, 0);
  // A connection that was reset would be an error here.
  for (const client of all) assertEquals(await client.rest(), "going down\n");
});

Deno.test("deferred clients: after a stop that was called off all is as before", async () => {
  const desk = new Desk();
  desk.deferrals.shutDown(desk.now);
  desk.deferrals.resume();
  using clients = new DisposableStack();
  await crowd(desk, clients);
  await desk.until("the first ends", () => desk.events.length >= CROWD + 4);
  assertEquals(desk.deferrals.size, 256);
  assertEquals(desk.deferrals.next(), desk.now + 1000 * FAREWELL);
  desk.deferrals.expire(desk.deferrals.next());
  assertEquals(desk.deferrals.size, 0);
});

Deno.test("deferred clients: events that mean nothing", async () => {
  const desk = new Desk();
  using client = await pair();
  desk.add(client, new Parrot(""));
  // Nothing has come, and a client that is not here.
  desk.deferrals.ready(client.fd, desk.now);
  desk.deferrals.ready(client.fd + 1, desk.now);
  assertEquals([desk.deferrals.size, desk.events], [1, []]);
  client.client.close();
  await desk.until("the end", () => desk.deferrals.size === 0);
  desk.deferrals.ready(client.fd, desk.now);
  assertEquals(desk.events, ["finished", "closed"]);
});

Deno.test("deferred clients: a dialogue of one reply", async () => {
  const desk = new Desk();
  using client = await pair();
  desk.add(client, singleReply("421 4.3.2 busy\r\n"));
  assertEquals(desk.events, ["finished"]);
  assertEquals(await client.rest(), "421 4.3.2 busy\r\n");
  await client.client.write(encoder.encode("EHLO client.example\r\n"));
  client.client.close();
  await desk.until("the end", () => desk.deferrals.size === 0);
  assertEquals(desk.events, ["finished", "closed"]);
});

Deno.test("deferred clients: a connection that cannot be watched is not taken", () => {
  const desk = new Desk();
  const nothing = { fd: 1_000_000 };
  assertThrows(() => desk.add(nothing, new Parrot()), LibcError);
  assertEquals(desk.deferrals.size, 0);
  assertEquals(desk.deferrals.next(), Infinity);
  assertEquals(desk.events, []);
});

Deno.test("deferred clients: a descriptor that is used again is another client", async () => {
  const desk = new Desk({ idleTimeout: 10 });
  using first = await pair();
  desk.add(first, new Parrot(""), "first ");
  first.client.close();
  await desk.until("the end", () => desk.deferrals.size === 0);
  desk.now += 9000;
  using second = await pair();
  assertEquals(second.fd, first.fd);
  desk.add(second, new Parrot(""), "second ");
  desk.deferrals.expire(11_000);
  assertEquals(desk.events, ["first finished", "first closed"]);
  desk.deferrals.expire(20_000);
  assertEquals(await second.rest(), "too late\n");
  close(second.fd);
});
