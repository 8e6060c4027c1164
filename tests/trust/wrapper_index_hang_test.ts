// The index of a whitelist file, on a base directory that hangs.

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { clean, compile, logLines } from "../harness/binary.ts";
import { ENTRY } from "../harness/fault.ts";
import {
  DEFAULT_TIMEOUT,
  greeting,
  hanging,
  largeFile,
  LONG,
  nobodyWaits,
  promptGreeting,
} from "../harness/hanging.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { run, waitFor } from "../harness/process.ts";
import { BASE, writeFile } from "../harness/root.ts";
import {
  release,
  STORE_TIMEOUT,
  type Trace,
  traceFiles,
} from "../harness/strace.ts";
import { tcpserver } from "../harness/way_in.ts";

for (const isListed of [false, true]) {
  const who = isListed ? "a client that it exempts" : "a client";
  e2e(`wrapper: ${who} does not wait for a whitelist index`, {
    programs: ["tcpserver", "strace"],
  }, async () => {
    clean();
    const address = isListed ? "127.0.0.1" : "192.0.2.1";
    const list = largeFile(address);
    // The index of a file that has just changed is not kept.
    await new Promise((resolve) => setTimeout(resolve, 4000));
    await using server = await tcpserver.start({
      binary: await compile({
        ...DEFAULT_TIMEOUT,
        whitelist: { files: [list] },
      }),
      before: hanging("fdatasync", []),
      next: greeter(),
    });
    const { reply, seconds } = await promptGreeting(server.port);
    if (isListed) assertEquals(reply, NEXT);
    else assertMatch(reply!, /^220 mx\.example /);
    assert(seconds >= STORE_TIMEOUT, `${seconds} s`);
    const [error, line, ...more] = await waitFor(
      "both lines",
      () => logLines().length >= 2 && logLines(),
    );
    assertMatch(error, / error baseDir what=".*: no answer within 2 s"$/);
    const verdict = isListed ? / pass .*whitelisted/ : / defer .*reason=new/;
    assertMatch(line, verdict);
    assertEquals(more, []);
    release(server);
    await server.idle();
  });
}

e2e("wrapper: a base directory that is slow has one limit for all calls", {
  programs: ["tcpserver", "strace"],
}, async () => {
  clean();
  nobodyWaits(BASE);
  // The first call is before the index is read, the second one at the entry.
  const files = [largeFile("192.0.2.1")];
  await using server = await tcpserver.start({
    binary: await compile({
      ...DEFAULT_TIMEOUT,
      storeTimeout: `${LONG}s`,
      whitelist: { files },
    }),
    before: hanging("statx", [BASE, ENTRY], 0.9 * LONG),
    next: greeter(),
  });
  const { reply } = await greeting(server.port);
  assertEquals(reply, NEXT);
  const late = new RegExp(` error pass ip=.*: no answer within ${LONG} s"$`);
  assertMatch(logLines().join("\n"), late);
  release(server);
  await server.idle();
});

/** What a whole run of the wrapper has touched in the base directory. */
function touched(trace: Trace): string[] {
  return trace.calls().flatMap(({ paths }) => paths)
    .filter((path) => path === BASE || path.startsWith(`${BASE}/`));
}

e2e("wrapper: a client that waits for nothing leaves the directory alone", {
  programs: ["strace"],
}, async () => {
  const small = writeFile("small", "127.0.0.1\n") as `/${string}`;
  const files = [largeFile("192.0.2.1")];
  const pools = [{ name: "pool", files: [small] }];
  const cases: readonly [Partial<Config>, RegExp][] = [
    [{ whitelist: { networks: ["127.0.0.0/8"], files }, pools }, /=networks:/],
    [{ whitelist: { files: [small] } }, /\/small:1$/],
    [{ whitelist: { files: [small, ...files] }, pools }, /\/small:1$/],
    [{ only: { nameless: false, files: [small] } }, / reason=unsuspected$/],
  ];
  for (const [i, [config, line]] of cases.entries()) {
    clean();
    const binary = await compile({ ...DEFAULT_TIMEOUT, ...config });
    const calls = async (ip: string) => {
      const trace = traceFiles(`alone${i}`);
      const command = [...trace.before, binary, "/bin/true"];
      const { code } = await run(command, { env: { TCPREMOTEIP: ip } });
      assertEquals(code, 0);
      return touched(trace);
    };
    const [alone, other] = config.only === undefined
      ? ["127.0.0.1", "192.0.2.2"]
      : ["192.0.2.2", "127.0.0.1"];
    assertEquals(await calls(alone), []);
    assertMatch(logLines().join("\n"), line);
    // The entry of another client is there.
    assert((await calls(other)).length > 0);
  }
});

e2e("wrapper: a client waits for an index no longer than for its entry", {
  programs: ["tcpserver", "strace"],
}, async () => {
  clean();
  nobodyWaits(BASE);
  const whitelist = { files: [largeFile("127.0.0.1")] };
  await using server = await tcpserver.start({
    binary: await compile({ ...DEFAULT_TIMEOUT, whitelist }),
    before: hanging("statx", [BASE, ENTRY]),
    next: greeter(),
  });
  const { reply } = await promptGreeting(server.port);
  assertEquals(reply, NEXT);
  assertMatch(logLines().at(-1)!, / pass ip=127\.0\.0\.1 .*whitelisted/);
  release(server);
  await server.idle();
});
