import { assertEquals } from "@std/assert";
import { clean, compile } from "../harness/binary.ts";
import { hostileSuite } from "../harness/hostile_suite.ts";
import { deferred } from "../harness/logged.ts";
import { e2e } from "../harness/need.ts";
import { greeter } from "../harness/next_program.ts";
import { talk } from "../harness/smtp.ts";
import { tcpserver } from "../harness/way_in.ts";

hostileSuite(tcpserver);

// A client's name comes from its own DNS, and what ident says from itself.
e2e("a forged host name and ident answer are not in the log", {
  programs: ["tcpserver"],
}, async () => {
  clean();
  const binary = await compile({ whitelist: { hosts: [".friend.example"] } });
  const evil = "\x1b[2Jx reason=known\npass ip=1.2.3.4 .friend.example evil";
  await using server = await tcpserver.start({
    binary,
    next: greeter(),
    before: [
      "/usr/bin/env",
      `TCPREMOTEHOST=${evil}`,
      `TCPREMOTEINFO=${evil}`,
    ],
  });
  await talk(server.port);
  const [{ ip, reason }] = await deferred(1);
  assertEquals([ip, reason], ["127.0.0.1", "new"]);
  assertEquals(server.stderr(), "");
});
