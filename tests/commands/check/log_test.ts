import { assertEquals } from "@std/assert";
import { log } from "../../../lib/commands/check/log.ts";
import "../../harness/libc.ts";
import { temporary } from "../../harness/temporary.ts";

const syslog = { target: "syslog", facility: "mail" } as const;

Deno.test("check log: a datagram socket takes messages", async () => {
  using dir = temporary();
  const path = `${dir.path}/log`;
  const socket = Deno.listenDatagram({ transport: "unixpacket", path });
  try {
    assertEquals(log(syslog, path), {
      kind: "ok",
      text: `log to syslog: ${path} takes messages`,
    });
    const [bytes] = await socket.receive();
    assertEquals(new TextDecoder().decode(bytes.subarray(0, 4)), "<23>");
  } finally {
    socket.close();
  }
});

Deno.test("check log: a stream socket loses every line", () => {
  using dir = temporary();
  const path = `${dir.path}/log`;
  using _listener = Deno.listen({ transport: "unix", path });
  assertEquals(log(syslog, path), {
    kind: "fix",
    text: `log to syslog: ${path} is a stream socket, and lines are sent as ` +
      "datagrams: let the syslog daemon make a datagram socket there " +
      "(syslog-ng: unix-dgram)",
  });
});

Deno.test("check log: no socket", () => {
  using dir = temporary();
  const path = `${dir.path}/log`;
  assertEquals(log(syslog, path), {
    kind: "fix",
    text: `log to syslog: send to ${path}: No such file or directory: is a ` +
      "syslog daemon running?",
  });
});

Deno.test("check log: a file, or a directory that takes one", () => {
  using dir = temporary();
  Deno.writeTextFileSync(`${dir.path}/log`, "");
  const cases: [string, string, string][] = [
    [`${dir.path}/log`, "ok", ""],
    [`${dir.path}/new`, "ok", ""],
    ["/dev/null", "ok", ""],
    [dir.path, "fix", ": expected a regular file"],
    [`${dir.path}/none/log`, "fix", `: not writable for uid ${Deno.uid()}`],
  ];
  for (const [target, kind, fault] of cases) {
    assertEquals(
      log({ target: target as `/${string}`, facility: "mail" }),
      { kind, text: `log file ${target}${fault}` } as never,
    );
  }
});
