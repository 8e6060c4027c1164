// The alarm that ends the wrapper, and the one that it was started with.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { clean, compile } from "../harness/binary.ts";
import { DEFAULT_TIMEOUT } from "../harness/hanging.ts";
import { e2e, programPath } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { writeFile } from "../harness/root.ts";

e2e("wrapper: a whitelist file that hangs ends it", {
  programs: ["strace"],
}, async () => {
  clean();
  const binary = await compile({ ...DEFAULT_TIMEOUT, storeTimeout: "7s" });
  const calls = writeFile("calls", "");
  const { code } = await run([
    ...[programPath("strace"), "-qq", "-o", calls],
    ...["-e", "trace=alarm,setitimer"],
    binary,
    "/bin/true",
  ], { env: { TCPREMOTEIP: "127.0.0.1" } });
  assertEquals(code, 0);
  // alarm(3) of the C library makes the one call or the other.
  const [first, second] = Deno.readTextFileSync(calls).split("\n");
  assertMatch(first, /^(alarm\(60\)|setitimer\(ITIMER_REAL, .*tv_sec=60, )/);
  assertMatch(second, /^(alarm\(88\)|setitimer\(ITIMER_REAL, .*tv_sec=88, )/);
});

e2e("wrapper: a configuration that does not come to an end ends it", {
  programs: ["strace"],
}, async () => {
  clean();
  const binary = await compile(
    DEFAULT_TIMEOUT,
    'if (Deno.env.has("RELAYCLIENT")) await new Promise(() => setInterval(() => {}, 1000));',
  );
  // The time limit is over as soon as it is set.
  const { code } = await run([
    ...[programPath("strace"), "-qq", "-o", writeFile("calls", "")],
    ...["-e", "trace=alarm,setitimer"],
    ...["-e", "inject=alarm,setitimer:signal=ALRM:when=1"],
    binary,
    "/bin/true",
  ], { env: { TCPREMOTEIP: "127.0.0.1", RELAYCLIENT: "" } });
  assertEquals(code, 128 + 14);
});

e2e("wrapper: PROGRAM has the alarm that it would have without", {
  programs: ["perl"],
}, async () => {
  clean();
  const perl = programPath("perl");
  const binary = await compile(DEFAULT_TIMEOUT);
  const left = async (alarm: number) => {
    const { code, stdout } = await run([
      ...[perl, "-e", "alarm shift; exec @ARGV; die", `${alarm}`],
      ...[binary, perl, "-e", "print alarm(0)"],
    ], { env: { TCPREMOTEIP: "127.0.0.1", RELAYCLIENT: "" } });
    assertEquals(code, 0);
    return Number(stdout);
  };
  assertEquals(await left(0), 0);
  const rest = await left(3000);
  assert(rest > 2900 && rest <= 3000, `${rest} s`);
});
