import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Address, formatAddress } from "../../lib/address.ts";
import { ENOENT, LibcError } from "../../lib/system/libc.ts";
import {
  localOf,
  peerOf,
  sendDatagram,
  shutdownWriting,
} from "../../lib/system/socket.ts";
import "../harness/libc.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import { descriptors, temporary } from "../harness/temporary.ts";

function errno(work: () => unknown): number {
  return assertThrows(work, LibcError).code;
}

const MODULE = JSON.stringify(moduleUrl("lib/system/socket.ts"));

function shown(end: { address: Address; port: number } | undefined) {
  return end && `${formatAddress(end.address)} ${end.port}`;
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
        shown(peerOf(fd)),
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

Deno.test("socket: what has no other end", () => {
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

Deno.test("socket: a datagram arrives as it was sent", async () => {
  using dir = temporary();
  const path = JSON.stringify(`${dir.path}/log`);
  const { stdout, stderr } = await evaluate(`
    import { sendDatagram } from ${MODULE};
    const socket = Deno.listenDatagram({ transport: "unixpacket", path: ${path} });
    const fds = () => [...Deno.readDirSync("/proc/self/fd")].length;
    sendDatagram(${path}, new TextEncoder().encode("0"));
    const before = fds();
    for (const text of ["é\\0\\n", "x".repeat(8000)]) {
      sendDatagram(${path}, new TextEncoder().encode(text));
    }
    console.log(fds() - before);
    for (let i = 0; i < 3; i++) {
      const [bytes] = await socket.receive();
      console.log(bytes.length, JSON.stringify(new TextDecoder().decode(bytes.subarray(0, 4))));
    }
    // Nobody reads: it is dropped, and nothing waits.
    let sent = 0;
    try {
      for (; sent < 100_000; sent++) {
        sendDatagram(${path}, new Uint8Array(4000));
      }
    } catch (error) {
      console.log(error.name, error.code);
    }
    socket.close();`);
  const lines = ["0", '1 "0"', '4 "é\\u0000\\n"', '8000 "xxxx"'];
  const full = "LibcError 11";
  assertEquals([stdout, stderr], [[...lines, full, ""].join("\n"), ""]);
  const bytes = new Uint8Array(1);
  assertEquals(errno(() => sendDatagram(`${dir.path}/none`, bytes)), ENOENT);
  const file = `${dir.path}/file`;
  Deno.writeTextFileSync(file, "");
  // ECONNREFUSED.
  assertEquals(errno(() => sendDatagram(file, bytes)), 111);
});
