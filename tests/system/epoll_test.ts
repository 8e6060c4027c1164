import { assert, assertEquals, assertThrows } from "@std/assert";
import { E } from "../../lib/system/constants.ts";
import { close } from "../../lib/system/descriptor.ts";
import {
  Epoll,
  PEER_CLOSED,
  READABLE,
  WRITABLE,
} from "../../lib/system/epoll.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { receive } from "../../lib/system/transfer.ts";
import { isOpen, listening, pair } from "../harness/pair.ts";
import { waitFor } from "../harness/process.ts";

function text(bytes: Uint8Array | undefined | "gone"): string | undefined {
  return bytes instanceof Uint8Array ? new TextDecoder().decode(bytes) : bytes;
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The descriptors that are ready, and their events. */
function ready(poll: Epoll): { fd: number; events: number }[] {
  const count = poll.look();
  return Array.from({ length: count }, (_, i) => poll.event(i))
    .filter((event) => event !== undefined);
}

Deno.test("epoll: watching for reads, for writes and for neither", async () => {
  const poll = new Epoll();
  using one = await pair();
  using two = await pair();
  poll.add(one.fd, READABLE);
  poll.add(two.fd, READABLE | WRITABLE);
  assertEquals(ready(poll), [{ fd: two.fd, events: WRITABLE }]);
  poll.change(two.fd, 0);
  assertEquals(ready(poll), []);

  await one.client.write(bytes("x"));
  const [event] = await waitFor("an event", () => {
    const events = ready(poll);
    return events.length > 0 && events;
  });
  assertEquals(event, { fd: one.fd, events: READABLE });
  // The event is reported again until the data is read.
  assertEquals(ready(poll), [event]);
  assertEquals(text(receive(one.fd)), "x");
  assertEquals(ready(poll), []);

  poll.change(one.fd, PEER_CLOSED);
  await one.client.write(bytes("more"));
  assertEquals(ready(poll), []);
  await one.client.closeWrite();
  await waitFor(
    "the hang-up",
    () =>
      ready(poll).some(({ fd, events }) =>
        fd === one.fd && (events & PEER_CLOSED) !== 0
      ),
  );
  poll.remove(one.fd);
  assertEquals(ready(poll), []);
  assert(isOpen(one.fd));

  // Closing ends it, too.
  poll.change(two.fd, WRITABLE);
  close(two.fd);
  assertEquals(ready(poll), []);
  close(one.fd);
});

Deno.test("epoll: descriptors that cannot be watched", async () => {
  const poll = new Epoll();
  using connection = await pair();
  const { fd } = connection;
  for (
    const work of [
      () => poll.add(-1, READABLE),
      () => poll.change(fd, READABLE),
      () => poll.remove(fd),
    ]
  ) {
    assertThrows(work, LibcError, "epoll_ctl: ");
  }
  poll.add(fd, READABLE);
  assertThrows(() => poll.add(fd, READABLE), LibcError);
  close(fd);
  assertEquals(
    assertThrows(() => poll.change(fd, 0), LibcError).code,
    E.EBADF,
  );
});

Deno.test("epoll: a wait ends for an event, a wake-up, or by itself", async () => {
  const poll = new Epoll();
  assertEquals(await poll.wait(1), 0);

  // The first of the two ends the wait.
  const woken = poll.wait(Infinity);
  poll.wake();
  assertEquals(await woken, 1);
  assertEquals(poll.event(0), undefined);
  assertEquals(poll.look(), 0);

  // A wake-up before the wait is not lost, and two wake-ups count as one.
  poll.wake();
  poll.wake();
  assertEquals(await poll.wait(Infinity), 1);
  assertEquals(poll.event(0), undefined);
  assertEquals(poll.look(), 0);

  using listener = listening();
  poll.add(listener.fd, READABLE);
  const waiting = poll.wait(Infinity);
  const { port } = listener;
  using _client = await Deno.connect({ hostname: "127.0.0.1", port });
  assertEquals(await waiting, 1);
  assertEquals(poll.event(0), { fd: listener.fd, events: READABLE });
});

Deno.test("epoll: more events than one look gives", async () => {
  const poll = new Epoll();
  const fds: number[] = [];
  for (let i = 0; i < 300; i++) {
    const { fd, client } = await pair();
    client.close();
    poll.add(fd, READABLE);
    fds.push(fd);
  }
  const seen = new Set<number>();
  await waitFor("all of them", () => {
    for (const { fd } of ready(poll)) {
      seen.add(fd);
      poll.remove(fd);
    }
    return seen.size === fds.length;
  });
  assertEquals([...seen].sort(), fds.sort());
  for (const fd of fds) close(fd);
});
