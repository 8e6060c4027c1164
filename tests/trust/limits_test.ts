// Runs paired: it takes memory away.

import { assert, assertEquals } from "@std/assert";
import type { Path } from "../../lib/config.ts";
import { sleep } from "../../lib/system/sleep.ts";
import { compile, entries } from "../harness/binary.ts";
import { namesIn } from "../harness/entry.ts";
import {
  assertDeferred,
  assertNext,
  empty,
  NAME,
  script,
  SESSION,
  STATES,
} from "../harness/fault.ts";
import { memoryGroup, memoryObstacle } from "../harness/memory.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { gone } from "../harness/process.ts";
import { BASE, writeFile } from "../harness/root.ts";
import { burst } from "../harness/smtp.ts";
import { type Listener, tcpserver } from "../harness/way_in.ts";

// Too few descriptors, too little memory.

/** A binary without a section serve has no compilers of V8, which take memory. */
const WRAPPER = { serve: undefined };

/** Both verdicts under one limit, with the entry that each leaves. */
async function bothVerdicts(
  server: Listener,
  binary: string,
): Promise<[deferred: string, passed: string]> {
  empty();
  const deferred = await burst(server.port, SESSION);
  // It prunes after its client has gone. Two processes need more memory than one.
  await gone(binary);
  STATES.known();
  return [deferred, await burst(server.port, SESSION)];
}

/** Checks that both verdicts were as if there were no limit. */
function assertServed(deferred: string, passed: string): void {
  assertDeferred(deferred, "4.7.1");
  assertNext(passed);
  assertEquals(entries(), { [NAME]: 4 });
}

for (const limit of ["--nofile=16", "--data=40000000"]) {
  e2e(`under prlimit ${limit}`, {
    programs: ["tcpserver", "prlimit"],
  }, async () => {
    const binary = await compile(WRAPPER);
    const before = ["prlimit", limit];
    const next = greeter();
    await using server = await tcpserver.start({ binary, before, next });
    const [deferred, passed] = await bothVerdicts(server, binary);
    assertServed(deferred, passed);
    await gone(binary);
    assertEquals(server.stderr(), "");
  });
}

e2e("under prlimit --data=40000000 the index of 40,000 names is made", {
  programs: ["tcpserver", "prlimit"],
}, async () => {
  const names = Array.from(
    { length: 40_000 },
    (_, i) => `mail-out-${i}.example\n`,
  );
  const path = writeFile("names", names.join("")) as Path;
  const whitelist = { files: [path] };
  const binary = await compile({ ...WRAPPER, whitelist });
  const before = ["prlimit", "--data=40000000"];
  await using server = await tcpserver.start({
    binary,
    before,
    next: greeter(),
  });
  // Of a file that changed less than three seconds ago no index is kept, and no call
  // can set that time (ctime).
  await sleep(4000);
  const [deferred, passed] = await bothVerdicts(server, binary);
  assertServed(deferred, passed);
  await gone(binary);
  assertEquals(server.stderr(), "");
  const indexes = namesIn(BASE).filter((name) => name.startsWith(".whitelist"));
  assertEquals(indexes.filter((name) => !/-[0-9a-f]{8}$/.test(name)), []);
  assertEquals(indexes.length, 1);
});

/**
 * Checks that the client got a whole answer or nothing. If the program could start
 * but the check failed, the next program answers, as for any fault.
 */
function assertWholeOrNothing(deferred: string, passed: string): void {
  if (deferred.startsWith(NEXT)) assertNext(deferred);
  else if (deferred !== "") assertDeferred(deferred, "4.7.1");
  if (passed !== "") assertNext(passed);
  const [[name, size], ...more] = Object.entries(entries());
  assertEquals([name, more], [NAME, []]);
  assert(size === 3 || size === 4, `${size}`);
}

/** So much of each kind is enough on every machine. */
const ENOUGH = ["--nofile=15", "--data=24000000", "--as=70000000000"];

e2e("below every limit: served, or hung up on without a word", {
  programs: ["tcpserver", "prlimit"],
}, async (t) => {
  const binary = await compile(WRAPPER);
  const limits = [
    ...[4, 8, 10, 12, 13, 14, 15].map((n) => `--nofile=${n}`),
    ...[4, 8, 12, 14, 16, 18, 20, 24].map((n) => `--data=${n}000000`),
    ...[64, 128, 192].map((n) => `--stack=${n * 1024}`),
    ...[1, 30, 68, 70].map((n) => `--as=${n}000000000`),
  ];
  for (const limit of ENOUGH) assert(limits.includes(limit), limit);
  for (const limit of limits) {
    await t.step(limit, async () => {
      // With 12 descriptors a new entry can be made, but control/me cannot be read:
      // the banner has the name that the super-server gives.
      const before = script(
        "limited.sh",
        `ulimit -c 0
export TCPLOCALHOST=mx.example
exec prlimit ${limit}: "$@"
`,
      );
      const next = greeter();
      await using server = await tcpserver.start({ binary, before, next });
      const [deferred, passed] = await bothVerdicts(server, binary);
      if (ENOUGH.includes(limit)) assertServed(deferred, passed);
      else assertWholeOrNothing(deferred, passed);
      await gone(binary);
      assert(!server.stderr().includes("prlimit: "), server.stderr());
    });
  }
});

e2e("under memory pressure: served, or hung up on without a word", {
  programs: ["tcpserver"],
  root: true,
  kernel: memoryObstacle,
}, async (t) => {
  const binary = await compile(WRAPPER);
  for (const megabytes of [64, 32, 20, 16, 12, 8, 4]) {
    await t.step(`${megabytes} MB`, async () => {
      await using group = memoryGroup(megabytes * 1e6);
      const { before } = group;
      const next = greeter();
      await using server = await tcpserver.start({ binary, before, next });
      const [deferred, passed] = await bothVerdicts(server, binary);
      // 14.7 MB of its own and what the kernel needs for it: on one kernel 16 MB are
      // enough, on another one of the same version they are not.
      if (megabytes >= 20) assertServed(deferred, passed);
      else assertWholeOrNothing(deferred, passed);
      await gone(binary);
    });
  }
});
