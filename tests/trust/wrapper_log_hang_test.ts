// The wrapper with a log file that hangs.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { MOST_WAITING } from "../../lib/system/hang_count.ts";
import { Semaphores } from "../../lib/system/semaphore.ts";
import { clean, compile } from "../harness/binary.ts";
import { makeEntry } from "../harness/entry.ts";
import { ENTRY } from "../harness/fault.ts";
import {
  DEFAULT_TIMEOUT,
  greeting,
  hanging,
  LONG,
  nobodyWaits,
  PROMISED,
  promptGreeting,
} from "../harness/hanging.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { childrenOf, waitFor } from "../harness/process.ts";
import { BASE, LOG } from "../harness/root.ts";
import { Client } from "../harness/smtp.ts";
import { ABSENT, release, STORE_TIMEOUT } from "../harness/strace.ts";
import { openSyslog } from "../harness/syslog.ts";
import { tcpserver } from "../harness/way_in.ts";

for (const call of ["openat", "write"]) {
  e2e(`wrapper: a log file whose ${call} hangs holds nothing up`, {
    programs: ["tcpserver", "strace"],
    mounts: true,
  }, async () => {
    clean();
    makeEntry("127.0.0.0_24", 3, 100);
    nobodyWaits(LOG);
    await using syslog = openSyslog();
    await using server = await tcpserver.start({
      binary: await compile(DEFAULT_TIMEOUT),
      before: [...syslog.before, ...hanging(call, [LOG])],
      next: greeter(),
    });
    const before = [...syslog.before, ...hanging(call, [ABSENT])];
    const known = await promptGreeting(server.port, STORE_TIMEOUT, before);
    assertEquals(known.reply, NEXT);
    assert(known.seconds >= STORE_TIMEOUT, `${known.seconds} s`);
    const after = known.end - known.seconds;
    assert(after <= PROMISED + known.room, `its end ${after} s later`);
    await waitFor("two messages", () => syslog.messages.length >= 2);
    const [error, passed] = syslog.messages;
    assertMatch(
      error,
      /^<19>.*: error what="log file .*greylist\.log: no answer in time \(see storeTimeout\)"$/,
    );
    assertMatch(passed, /^<22>.*: pass ip=127\.0\.0\.1 .* reason=known /);

    Deno.removeSync(ENTRY);
    using client = await Client.connect(server.port);
    assertMatch(await client.reply() ?? "", /^220 mx\.example /);
    await client.send("QUIT\r\n");
    // The end of the connection comes with it.
    assertMatch(await client.rest(), /^221 /);
    await waitFor("its line", () => syslog.messages.length >= 3);
    assertMatch(syslog.messages[2], /^<22>.*: defer ip=127\.0\.0\.1 /);

    // Enough wait for the file: the others leave it alone.
    const set = Semaphores.find(LOG, 2)!;
    set.set(0, MOST_WAITING);
    set.set(1, 1);
    using _reset = { [Symbol.dispose]: () => nobodyWaits(LOG) };
    makeEntry("127.0.0.0_24", 3, 100);
    const others = childrenOf(server.pid).length;
    assertEquals((await greeting(server.port)).reply, NEXT);
    await waitFor("a line", () => syslog.messages.length >= 4);
    assertMatch(syslog.messages[3], /^<22>.*: pass .* reason=known /);
    await waitFor("its end", () => childrenOf(server.pid).length <= others);
    release(server);
    await server.idle();
  });
}

e2e("wrapper: a log file on the disk of a base directory that hangs", {
  programs: ["tcpserver", "strace"],
  mounts: true,
}, async () => {
  clean();
  for (const path of [BASE, LOG]) nobodyWaits(path);
  await using syslog = openSyslog();
  await using server = await tcpserver.start({
    binary: await compile({ ...DEFAULT_TIMEOUT, storeTimeout: `${LONG}s` }),
    before: [...syslog.before, ...hanging("statx,openat", [ENTRY, LOG])],
    next: greeter(),
  });
  const before = [...syslog.before, ...hanging("statx,openat", [ABSENT])];
  const { reply } = await promptGreeting(server.port, LONG, before);
  assertEquals(reply, NEXT);
  await waitFor("two messages", () => syslog.messages.length >= 2);
  const [log, passed] = syslog.messages;
  assertMatch(log, /: error what="log file .*: no answer in time /);
  const late = new RegExp(`: error pass ip=.*: no answer within ${LONG} s"$`);
  assertMatch(passed, late);
  release(server);
  await server.idle();
});
