import { assertEquals } from "@std/assert";
import { argumentStrings, lastStrings } from "../../lib/system/arguments.ts";
import "../harness/libc.ts";
import { run } from "../harness/process.ts";

const text = new TextEncoder();

Deno.test("arguments: texts as C strings", () => {
  for (const program of [[""], ["a", "", "é b"], ["x".repeat(5000)]]) {
    const { block, addresses } = argumentStrings(program);
    const bytes = text.encode(program.map((word) => word + "\0").join(""));
    assertEquals(block.subarray(0, bytes.length), bytes);
    const found = addresses.map((address) =>
      Deno.UnsafePointerView.getCString(
        Deno.UnsafePointer.create(address)! as Deno.PointerObject,
      )
    );
    assertEquals(found, program);
  }
});

Deno.test("arguments: the last strings of a block", () => {
  const last = (block: string, count: number) =>
    new TextDecoder().decode(
      lastStrings(Uint8Array.from(text.encode(block)), count),
    );
  assertEquals(last("a\0b\0c\0", 1), "c\0");
  assertEquals(last("a\0b\0c\0", 2), "b\0c\0");
  assertEquals(last("a\0\0\0", 2), "\0\0");
  assertEquals(last("\0\0", 2), "\0\0");
  assertEquals(last("a\0b\0", 0), "");
});

Deno.test("arguments: bytes that are no UTF-8 come from the kernel", async () => {
  // The shell's argument has that character itself, which no version alters.
  const module = new URL("../../lib/system/arguments.ts", import.meta.url).href;
  const code = `
    import { argumentStrings } from ${JSON.stringify(module)};
    const { block, addresses } = argumentStrings(["p", "\\ufffd", ""]);
    console.log(addresses.length, new TextDecoder().decode(block.subarray(0, 14)));`;
  const { stdout, stderr } = await run([
    ...[Deno.execPath(), "run", "-A", "--no-config", "--no-lock"],
    `data:text/javascript,${encodeURIComponent(code)}`,
    ...["other", "pro\ufffdgram", "x", ""],
  ]);
  assertEquals([stdout, stderr], ["3 pro\ufffdgram\0x\0\0\n", ""]);
});
