// Runs alone: it measures how long clients wait, and strace stops serve often.

// serve while PROGRAM does not start.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { logLines } from "../harness/binary.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import {
  assertBegins,
  assertStops,
  CONFIG,
  greeted,
  measure,
  PROMPT,
  room,
  timed,
  traced,
} from "../harness/patrol.ts";
import { processesOf } from "../harness/process.ts";
import { logged, serving } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";
import { ABSENT, slowingAt, STORE_TIMEOUT } from "../harness/strace.ts";
import { notUpgradable } from "../harness/upgrading.ts";

/** How long each start of PROGRAM takes, in seconds: longer than the log waits. */
const SLOW_START = 30;

e2e(`serve: each start of PROGRAM takes ${SLOW_START} s`, {
  programs: ["strace"],
}, async () => {
  const next = greeter();
  const quiet = await measure(CONFIG, traced());
  await using server = await serving({
    ...CONFIG,
    deferral: { idleTimeout: "11s", sessionTimeout: "11s" },
    serve: { limit: 1 },
  }, { next, before: slowingAt(next, "execve", SLOW_START) });
  const { port } = server;
  const first = greeted(port, "127.8.0.1");
  await logged(/ pass ip=127\.8\.0\.1 /);
  const second = greeted(port, "127.8.0.2");
  await logged(/ error start hang=begins clients=2 /);
  // The second one waits for the only place, and no program has it.
  assertMatch((await second).result, /^421 4\.3\.2 Too many connections/);
  await logged(/ busy ip=127\.8\.0\.2 net=127\.8\.0\.0\/24 reason=start$/);
  using deferred = await Client.connectFrom(port, { from: "127.7.0.1" });
  const banner = await timed(() => deferred.reply());
  assertMatch(banner.result ?? "", /^220 mx\.example /);
  assert(
    banner.seconds <= PROMPT + room(quiet.longest),
    `${banner.seconds} s`,
  );
  assertEquals((await first).result, NEXT);
  await logged(/ error start hang=ended clients=0 /);
  const what = /^.* error start hang=(\w+) clients=\d+ what="(.*)"$/;
  assertEquals(
    logLines().flatMap((line) => what.exec(line)?.slice(1) ?? []),
    [
      ...["begins", `${next[0]} does not start within 10 s`],
      ...["ended", `no start of ${next[0]} hangs any more`],
    ],
  );
  assertEquals(server.stderr(), "");
});

e2e(`serve: the look for PROGRAM takes ${SLOW_START} s`, {
  programs: ["strace"],
  kernel: notUpgradable,
}, async () => {
  const next = greeter();
  // Which of them access(3) calls depends on the processor.
  const calls = "?access,?faccessat,?faccessat2";
  const quiet = await measure(CONFIG, slowingAt([ABSENT], calls, SLOW_START));
  await using server = await serving(CONFIG, {
    next,
    before: slowingAt(next, calls, SLOW_START),
  });
  const { port } = server;
  using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
  await assertBegins(quiet, talking);
  assertEquals((await greeted(port, "127.8.0.1")).result, NEXT);
  const problem = `not found yet: no answer within ${STORE_TIMEOUT} s`;
  await logged(new RegExp(` error serve what="${next[0]}: ${problem}"$`));
  // execve(2) would wait for the thread that looks.
  const [pid] = processesOf(server.binary);
  Deno.kill(pid, "SIGUSR2");
  await logged(/ upgrade=refused what="a look for PROGRAM does not end"$/);
  await assertStops(quiet, port, pid, talking);
  assertEquals(server.stderr(), "");
});
