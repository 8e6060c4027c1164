import { assertEquals, assertThrows } from "@std/assert";
import { E } from "../../lib/system/constants.ts";
import { sendDatagram } from "../../lib/system/datagram.ts";
import { LibcError } from "../../lib/system/libc.ts";
import "../harness/libc.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import { temporary } from "../harness/temporary.ts";

function errno(work: () => unknown): number {
  return assertThrows(work, LibcError).code;
}

const MODULE = JSON.stringify(moduleUrl("lib/system/datagram.ts"));

Deno.test("datagram: a datagram arrives as it was sent", async () => {
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
    // No process reads the socket: the datagram is dropped without a wait.
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
  assertEquals(errno(() => sendDatagram(`${dir.path}/none`, bytes)), E.ENOENT);
  assertThrows(
    () => sendDatagram(`/${"x".repeat(108)}`, bytes),
    Error,
    "expected 108 bytes at most",
  );
  const file = `${dir.path}/file`;
  Deno.writeTextFileSync(file, "");
  assertEquals(errno(() => sendDatagram(file, bytes)), E.ECONNREFUSED);
});
