import { assert, assertEquals, assertThrows } from "@std/assert";
import { formatAddress, parseAddress } from "../../lib/address.ts";
import { close } from "../../lib/system/descriptor.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { localOf } from "../../lib/system/socket.ts";
import { C, E } from "../../lib/system/abi.ts";
import {
  accept,
  endSending,
  formatSocketName,
  isNoSuchFamily,
  listenOn,
  Poll,
  receive,
  send,
} from "../../lib/system/kernel.ts";
import { waitFor } from "../harness/process.ts";
import { ABI, accepted, isOpen, listening, pair } from "../harness/pair.ts";

const EADDRINUSE = 98;
const EADDRNOTAVAIL = 99;
const EBADF = 9;

function text(bytes: Uint8Array | undefined | "gone"): string | undefined {
  return bytes instanceof Uint8Array ? new TextDecoder().decode(bytes) : bytes;
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** What arrives, which takes a moment even here. */
function arrival(fd: number): Promise<string> {
  return waitFor("bytes", () => text(receive(fd)));
}

Deno.test("serve kernel: who connects over IPv4, IPv6, and both", async () => {
  for (
    const [on, to, seen] of [
      ["127.0.0.1", "127.0.0.1", "127.0.0.1"],
      ["0.0.0.0", "127.0.0.2", "127.0.0.2"],
      ["::1", "::1", "::1"],
      ["::", "::1", "::1"],
      // An IPv4 client of an IPv6 socket is an IPv4 client.
      ["::", "127.0.0.3", "127.0.0.3"],
    ]
  ) {
    using listener = listening(on);
    const { port } = listener;
    using client = await Deno.connect({ hostname: to, port });
    const { fd, peer } = await accepted(listener);
    const local = localOf(fd)!;
    const own = client.localAddr as Deno.NetAddr;
    assertEquals(formatAddress(local.address), seen, `${on} ${to}`);
    assertEquals(local.port, port);
    assertEquals(formatAddress(peer.address), own.hostname);
    assertEquals(peer.port, own.port);
    close(fd);
  }
});

Deno.test("serve kernel: an address without the other protocol's", async () => {
  using four = listening("0.0.0.0");
  using six = listening("::1");
  for (
    const [hostname, port] of [["::1", four.port], ["127.0.0.1", six.port]]
  ) {
    let refused = false;
    try {
      const there = { hostname: String(hostname), port: Number(port) };
      (await Deno.connect(there)).close();
    } catch (error) {
      refused = error instanceof Deno.errors.ConnectionRefused;
    }
    assert(refused, `${hostname}`);
  }
});

Deno.test("serve kernel: what cannot be listened on", () => {
  using listener = listening();
  const address = parseAddress("127.0.0.1")!;
  const taken = { address, port: listener.port };
  const inUse = assertThrows(() => listenOn(taken, 1), LibcError, "bind: ");
  assertEquals(inUse.code, EADDRINUSE);
  const elsewhere = { address: parseAddress("192.0.2.1")!, port: 0 };
  const { code } = assertThrows(() => listenOn(elsewhere, 1), LibcError);
  assertEquals(code, EADDRNOTAVAIL);
  assertEquals(isNoSuchFamily(inUse), false);
  assertEquals(isNoSuchFamily(new LibcError("socket", E.EAFNOSUPPORT)), true);
  // Nothing stays open behind it.
  const count = [...Deno.readDirSync("/proc/self/fd")].length;
  for (let i = 0; i < 20; i++) assertThrows(() => listenOn(taken, 1));
  assertEquals([...Deno.readDirSync("/proc/self/fd")].length, count);
});

Deno.test("serve kernel: a port is free again at once", async () => {
  using connection = await pair();
  // This side hangs up first, and keeps the port in TIME_WAIT.
  const { port } = connection.client.remoteAddr as Deno.NetAddr;
  endSending(connection.fd);
  close(connection.fd);
  assertEquals(await connection.rest(), "");
  connection.client.close();
  close(listenOn({ address: parseAddress("127.0.0.1")!, port }, 1));
});

Deno.test("serve kernel: nobody to accept, and no socket", () => {
  using listener = listening();
  assertEquals(accept(listener.fd), "none");
  assertEquals(accept(-1), "gone");
});

Deno.test("serve kernel: who is accepted waits, and is closed on exec", async () => {
  using connection = await pair();
  const info = Deno.readTextFileSync(`/proc/self/fdinfo/${connection.fd}`);
  const flags = parseInt(/^flags:\s*([0-7]+)$/m.exec(info)![1], 8);
  const O_NONBLOCK = 0o4000;
  const O_CLOEXEC = 0o2000000;
  assertEquals(flags & O_NONBLOCK, 0);
  assertEquals(flags & O_CLOEXEC, O_CLOEXEC);
  close(connection.fd);
});

Deno.test("serve kernel: receiving never waits", async () => {
  using connection = await pair();
  const { fd, client } = connection;
  assertEquals(receive(fd), undefined);
  await client.write(bytes("one"));
  assertEquals(await arrival(fd), "one");
  assertEquals(receive(fd), undefined);
  await client.closeWrite();
  assertEquals(await arrival(fd), "gone");
  assertEquals(receive(fd), "gone");
  // The other direction is open still.
  assertEquals(send(fd, bytes("bye")), 3);
  close(fd);
  assertEquals(await connection.rest(), "bye");
  assertEquals(receive(fd), "gone");
});

Deno.test("serve kernel: sending never waits, and loses nothing", async () => {
  using connection = await pair();
  const { fd } = connection;
  const piece = bytes("0123456789".repeat(10_000));
  let sent = 0;
  let count: number | "gone";
  // Until it would have to wait.
  while ((count = send(fd, piece)) !== 0) {
    assert(count !== "gone");
    sent += count;
  }
  endSending(fd);
  const got = await connection.rest();
  assertEquals(got.length, sent);
  close(fd);
});

Deno.test("serve kernel: sending to who has gone is no signal", async () => {
  using connection = await pair();
  const { fd } = connection;
  connection.client.close();
  await waitFor("the reset", () => send(fd, bytes("anybody?")) === "gone");
  assertEquals(receive(fd), "gone");
  close(fd);
});

/** What is ready: descriptors and events. */
function ready(poll: Poll): { fd: number; events: number }[] {
  const count = poll.look();
  return Array.from({ length: count }, (_, i) => poll.event(i))
    .filter((event) => event !== undefined);
}

Deno.test("serve kernel: watching, for this and for that", async () => {
  const poll = new Poll(ABI);
  using one = await pair();
  using two = await pair();
  poll.add(one.fd, C.EPOLLIN);
  poll.add(two.fd, C.EPOLLIN | C.EPOLLOUT);
  assertEquals(ready(poll), [{ fd: two.fd, events: C.EPOLLOUT }]);
  poll.change(two.fd, 0);
  assertEquals(ready(poll), []);

  await one.client.write(bytes("x"));
  const [event] = await waitFor("an event", () => {
    const events = ready(poll);
    return events.length > 0 && events;
  });
  assertEquals(event, { fd: one.fd, events: C.EPOLLIN });
  // It is told until it is seen to.
  assertEquals(ready(poll), [event]);
  assertEquals(text(receive(one.fd)), "x");
  assertEquals(ready(poll), []);

  poll.change(one.fd, C.EPOLLRDHUP);
  await one.client.write(bytes("more"));
  assertEquals(ready(poll), []);
  await one.client.closeWrite();
  await waitFor(
    "the hang-up",
    () =>
      ready(poll).some(({ fd, events }) =>
        fd === one.fd && (events & C.EPOLLRDHUP) !== 0
      ),
  );
  poll.remove(one.fd);
  assertEquals(ready(poll), []);
  assert(isOpen(one.fd));

  // Closing ends it, too.
  poll.change(two.fd, C.EPOLLOUT);
  close(two.fd);
  assertEquals(ready(poll), []);
  close(one.fd);
});

Deno.test("serve kernel: what cannot be watched", async () => {
  const poll = new Poll(ABI);
  using connection = await pair();
  const { fd } = connection;
  for (
    const work of [
      () => poll.add(-1, C.EPOLLIN),
      () => poll.change(fd, C.EPOLLIN),
      () => poll.remove(fd),
    ]
  ) {
    assertThrows(work, LibcError, "epoll_ctl: ");
  }
  poll.add(fd, C.EPOLLIN);
  assertThrows(() => poll.add(fd, C.EPOLLIN), LibcError);
  close(fd);
  assertEquals(
    assertThrows(() => poll.change(fd, 0), LibcError).code,
    EBADF,
  );
});

Deno.test("serve kernel: a wait ends for an event, an alarm, or by itself", async () => {
  const poll = new Poll(ABI);
  assertEquals(await poll.wait(1), 0);

  // Whichever comes first, the wait is over.
  const woken = poll.wait(Infinity);
  poll.wake();
  assertEquals(await woken, 1);
  assertEquals(poll.event(0), undefined);
  assertEquals(poll.look(), 0);

  // One that came before the wait is not lost, and two are one.
  poll.wake();
  poll.wake();
  assertEquals(await poll.wait(Infinity), 1);
  assertEquals(poll.event(0), undefined);
  assertEquals(poll.look(), 0);

  using listener = listening();
  poll.add(listener.fd, C.EPOLLIN);
  const waiting = poll.wait(Infinity);
  const { port } = listener;
  using _client = await Deno.connect({ hostname: "127.0.0.1", port });
  assertEquals(await waiting, 1);
  assertEquals(poll.event(0), { fd: listener.fd, events: C.EPOLLIN });
});

Deno.test("serve kernel: more events than one look gives", async () => {
  const poll = new Poll(ABI);
  const fds: number[] = [];
  for (let i = 0; i < 300; i++) {
    const { fd, client } = await pair();
    client.close();
    poll.add(fd, C.EPOLLIN);
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

Deno.test("serve kernel: how a place is written", () => {
  for (const expected of ["192.0.2.1:25", "[2001:db8::1]:587"]) {
    const [host] = expected.replace("[", "").split(/\]?:\d+$/);
    const port = Number(expected.split(":").pop());
    assertEquals(
      formatSocketName({ address: parseAddress(host)!, port }),
      expected,
    );
  }
});
