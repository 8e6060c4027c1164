import { assert } from "@std/assert";
import { returnFreeMemory } from "../../lib/system/memory.ts";
import "../harness/libc.ts";

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
