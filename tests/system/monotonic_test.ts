import { assert } from "@std/assert";
import { monotonicMicroseconds } from "../../lib/system/monotonic.ts";
import "../harness/libc.ts";

Deno.test("monotonic: the clock is the one that /proc/uptime shows", () => {
  // CLOCK_BOOTTIME is the monotonic clock and the time that the machine slept.
  const uptime = () =>
    Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]);
  const before = monotonicMicroseconds();
  assert(Number(before) / 1e6 <= uptime() + 0.01, `${before}`);
  const after = monotonicMicroseconds();
  assert(after >= before);
  // In microseconds: two looks are less than a minute apart, not 60 ns.
  assert(after - before < 60_000_000n);
  assert(before > 1_000_000n, "the machine has run for a second");
});
