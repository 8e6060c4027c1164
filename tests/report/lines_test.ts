import { assertEquals } from "@std/assert";
import { LineSplitter } from "../../lib/report/lines.ts";

Deno.test("lines, however the bytes are cut", () => {
  const bytes = new TextEncoder().encode("one\ntwo\r\n\nfünf\nlast");
  for (let size = 1; size <= bytes.length; size++) {
    const lines: string[] = [];
    const splitter = new LineSplitter((line) => lines.push(line), () => {});
    for (let i = 0; i < bytes.length; i += size) {
      splitter.push(bytes.subarray(i, i + size));
    }
    splitter.end();
    assertEquals(lines, ["one", "two", "", "fünf", "last"]);
  }
});

Deno.test("a line without an end is not kept", () => {
  const lines: string[] = [];
  let long = 0;
  const splitter = new LineSplitter((line) => lines.push(line), () => long++);
  const piece = new Uint8Array(50_000).fill(120);
  for (let i = 0; i < 100; i++) splitter.push(piece);
  splitter.push(new TextEncoder().encode("\nnext\n"));
  splitter.end();
  assertEquals([lines, long], [["next"], 1]);
});

Deno.test("a long line at the end of a file is none of the next file's", () => {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line), () => {});
  splitter.push(new Uint8Array(100_000).fill(120));
  splitter.end();
  splitter.push(new TextEncoder().encode("first\nsecond\n"));
  splitter.end();
  assertEquals(lines, ["first", "second"]);
});
