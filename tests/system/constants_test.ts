import { assert, assertEquals } from "@std/assert";
import { abiOf } from "../../lib/system/constants.ts";

Deno.test("serve abi: an event is packed on x86_64 only", () => {
  const x86 = abiOf({ os: "linux", arch: "x86_64" })!;
  const arm = abiOf({ os: "linux", arch: "aarch64" })!;
  // 32 bits of events, then 64 bits of data, which aarch64 aligns.
  assertEquals([x86.epollEventSize, x86.epollDataOffset], [12, 4]);
  assertEquals([arm.epollEventSize, arm.epollDataOffset], [16, 8]);
  for (const abi of [x86, arm]) {
    assertEquals(abi.epollDataOffset + 8, abi.epollEventSize);
    // 1024 signals, one bit each.
    assertEquals(abi.signalSetSize, 1024 / 8);
    // What glibc writes has room, and the pointers in it are aligned.
    assert(abi.spawnAttributesSize >= 2 * abi.signalSetSize);
    assertEquals(abi.spawnAttributesSize % 8, 0);
    assertEquals(abi.spawnFileActionsSize % 8, 0);
  }
});

Deno.test("serve abi: nothing is known about other machines", () => {
  for (
    const build of [
      { os: "linux", arch: "riscv64" },
      { os: "linux", arch: "" },
      { os: "darwin", arch: "aarch64" },
      { os: "windows", arch: "x86_64" },
      { os: "freebsd", arch: "x86_64" },
    ]
  ) {
    assertEquals(abiOf(build), undefined, JSON.stringify(build));
  }
});
