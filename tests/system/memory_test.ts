import { assert, assertEquals } from "@std/assert";
import { canMap, returnFreeMemory } from "../../lib/system/memory.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import "../harness/libc.ts";

const MODULE = JSON.stringify(moduleUrl("lib/system/memory.ts"));

/** The size of each block, in bytes: too small for a mapping of its own. */
const BLOCK = 65_536;

/** How many blocks there are. */
const COUNT = 512;

Deno.test("returnFreeMemory: memory that was freed goes back to the system", async () => {
  const libc = Deno.dlopen("libc.so.6", {
    malloc: { parameters: ["usize"], result: "pointer" },
    memset: { parameters: ["pointer", "i32", "usize"], result: "pointer" },
    free: { parameters: ["pointer"], result: "void" },
  });
  const { malloc, memset, free } = libc.symbols;
  const blocks = Array.from({ length: COUNT }, () => {
    const block = malloc(BigInt(BLOCK));
    memset(block, 1, BigInt(BLOCK));
    return block;
  });
  // The last block stays: without it, free(3) itself would return the others.
  const last = blocks.pop()!;
  for (const block of blocks) free(block);
  const before = Deno.memoryUsage().rss;
  await returnFreeMemory();
  const after = Deno.memoryUsage().rss;
  free(last);
  libc.close();
  const freed = before - after;
  assert(freed > COUNT * BLOCK / 2, `${freed} bytes`);
});

Deno.test("canMap: whether there is room", () => {
  assertEquals(canMap(2n ** 30n), true);
  // No processor has so many addresses.
  assertEquals(canMap(2n ** 62n), false);
});

Deno.test("canMap: RLIMIT_DATA counts what is not written to", async () => {
  const code = `
    import { canMap } from ${MODULE};
    console.log(canMap(2n ** 29n), canMap(2n ** 31n));`;
  // In units of 1024 bytes. V8 itself takes a quarter of that.
  const shell = 'ulimit -d 2097152; exec "$@"';
  const { code: exit, stdout, stderr } = await evaluate(code, shell);
  assertEquals([exit, stdout, stderr], [0, "true false\n", ""]);
});
