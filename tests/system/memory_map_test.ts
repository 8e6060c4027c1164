// What canMap leaves behind. The other tests of memory.ts do not look at /proc, which
// takes all permissions.

import { assert, assertEquals } from "@std/assert";
import { bytesIn } from "../../lib/build/bench/proc.ts";
import { canMap } from "../../lib/system/memory.ts";
import "../harness/libc.ts";

/** The size of this process's address space, in bytes. */
function addressSpace(): number {
  return bytesIn(Deno.readTextFileSync("/proc/self/status"), "VmSize");
}

Deno.test("canMap: nothing stays mapped", () => {
  const size = 2 ** 30;
  const before = addressSpace();
  assertEquals(canMap(BigInt(size)), true);
  assert(addressSpace() - before < size / 2);
});
