import { assert, assertEquals, assertThrows } from "@std/assert";
import { formatAddress, parseAddress } from "../../lib/address.ts";
import { C, E } from "../../lib/system/constants.ts";
import { close } from "../../lib/system/descriptor.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { accept, changeBacklog, listenOn } from "../../lib/system/listener.ts";
import { localOf } from "../../lib/system/socket.ts";
import { shutdownWriting } from "../../lib/system/transfer.ts";
import { accepted, listening, pair } from "../harness/pair.ts";
import { descriptors } from "../harness/temporary.ts";

Deno.test("listener: the client's address over IPv4, IPv6, and both", async () => {
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

Deno.test("listener: an address without the other protocol's", async () => {
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

Deno.test("listener: what cannot be listened on", () => {
  using listener = listening();
  const address = parseAddress("127.0.0.1")!;
  const taken = { address, port: listener.port };
  const inUse = assertThrows(() => listenOn(taken, 1), LibcError, "bind: ");
  assertEquals(inUse.code, E.EADDRINUSE);
  const elsewhere = { address: parseAddress("192.0.2.1")!, port: 0 };
  const { code } = assertThrows(() => listenOn(elsewhere, 1), LibcError);
  assertEquals(code, E.EADDRNOTAVAIL);
  // Nothing stays open behind it. The runtime may open files meanwhile.
  const sockets = () => descriptors(/^socket:/);
  const before = sockets();
  for (let i = 0; i < 20; i++) assertThrows(() => listenOn(taken, 1));
  assertEquals(sockets(), before);
});

Deno.test("listener: the backlog of a socket that listens already", async () => {
  using listener = listening("127.0.0.1", 1);
  changeBacklog(listener.fd, 8);
  // The kernel lets one more wait than the backlog says.
  const { port } = listener;
  const clients = await Promise.all(
    Array.from(
      { length: 8 },
      () => Deno.connect({ hostname: "127.0.0.1", port }),
    ),
  );
  for (const client of clients) client.close();
});

Deno.test("listener: a port is free again at once", async () => {
  using connection = await pair();
  // This side hangs up first, and keeps the port in TIME_WAIT.
  const { port } = connection.client.remoteAddr as Deno.NetAddr;
  shutdownWriting(connection.fd);
  close(connection.fd);
  assertEquals(await connection.rest(), "");
  connection.client.close();
  close(listenOn({ address: parseAddress("127.0.0.1")!, port }, 1));
});

Deno.test("listener: no client to accept, and no socket", () => {
  using listener = listening();
  assertEquals(accept(listener.fd), "none");
  assertEquals(accept(-1), "gone");
});

Deno.test("listener: an accepted socket blocks, and is closed on exec", async () => {
  using connection = await pair();
  const info = Deno.readTextFileSync(`/proc/self/fdinfo/${connection.fd}`);
  const flags = parseInt(/^flags:\s*([0-7]+)$/m.exec(info)![1], 8);
  assertEquals(flags & C.O_NONBLOCK, 0);
  assertEquals(flags & C.O_CLOEXEC, C.O_CLOEXEC);
  close(connection.fd);
});
