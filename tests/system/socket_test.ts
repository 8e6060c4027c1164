import { assert, assertEquals } from "@std/assert";
import {
  type Address,
  formatAddress,
  parseAddress,
} from "../../lib/address.ts";
import { formatSocketName, localOf, peerOf } from "../../lib/system/socket.ts";
import { shutdownWriting } from "../../lib/system/transfer.ts";
import "../harness/libc.ts";
import { descriptors, temporary } from "../harness/temporary.ts";

function shown(end: { address: Address; port: number } | undefined) {
  return end && `${formatAddress(end.address)} ${end.port}`;
}

function shownPeer(fd: number) {
  const peer = peerOf(fd);
  return peer === "gone" ? peer : shown(peer);
}

Deno.test("socket: both ends of a TCP connection", async () => {
  const cases: [string, string, string][] = [
    ["127.0.0.1", "127.0.0.1", "127.0.0.1"],
    ["::1", "::1", "::1"],
    // A socket of both families sees IPv4 as mapped addresses.
    ["::", "127.0.0.1", "127.0.0.1"],
  ];
  for (const [listen, connect, expected] of cases) {
    using listener = Deno.listen({ hostname: listen, port: 0 });
    const { port } = listener.addr;
    const [server, client] = await Promise.all([
      listener.accept(),
      Deno.connect({ hostname: connect, port }),
    ]);
    const own = (client.localAddr as Deno.NetAddr).port;
    const ends = descriptors(/^socket:/).map((fd) =>
      [
        shown(localOf(fd)),
        shownPeer(fd),
      ].join(", ")
    );
    const here = `${expected} ${port}`;
    const there = `${expected} ${own}`;
    assert(ends.includes(`${here}, ${there}`), ends.join("; "));
    assert(ends.includes(`${there}, ${here}`), ends.join("; "));
    server.close();
    client.close();
  }
});

Deno.test("socket: descriptors that have no other end", () => {
  using dir = temporary();
  // Deno may have connections of its own.
  const before = descriptors(/^socket:/);
  using _listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using _unix = Deno.listen({ transport: "unix", path: `${dir.path}/s` });
  const ours = descriptors(/^socket:/).filter((fd) => !before.includes(fd));
  assertEquals(ours.length, 2);
  for (const fd of ours) assertEquals(peerOf(fd), undefined);
  const [file] = descriptors(/^\/dev\/null$/).concat(0);
  for (const fd of [file, -1, 999_999]) {
    assertEquals([peerOf(fd), localOf(fd)], [undefined, undefined]);
    assertEquals(shutdownWriting(fd), false);
  }
});

Deno.test("socket: an address and a port as text", () => {
  for (const expected of ["192.0.2.1:25", "[2001:db8::1]:587"]) {
    const [host] = expected.replace("[", "").split(/\]?:\d+$/);
    const port = Number(expected.split(":").pop());
    assertEquals(
      formatSocketName({ address: parseAddress(host)!, port }),
      expected,
    );
  }
});
