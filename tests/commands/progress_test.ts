import { assert, assertEquals } from "@std/assert";
import { progressLine } from "../../lib/commands/progress.ts";

Deno.test("progress of a known whole", () => {
  assertEquals(
    progressLine(0, 2e6, "bytes"),
    `[${".".repeat(30)}]   0 %  0 of 2 MB`,
  );
  assertEquals(
    progressLine(1e6, 2e6, "bytes"),
    `[${"#".repeat(15)}${".".repeat(15)}]  50 %  1 of 2 MB`,
  );
  assertEquals(
    progressLine(1234, 1234, "entries"),
    `[${"#".repeat(30)}] 100 %  1,234 of 1,234 entries`,
  );
});

Deno.test("progress past the end, as of a log that still grows", () => {
  assert(progressLine(3, 2, "entries").includes("100 %"));
});

Deno.test("progress of an unknown whole", () => {
  assertEquals(progressLine(1234, undefined, "entries"), "1,234 entries");
  assertEquals(progressLine(5e6, undefined, "bytes"), "5 MB");
});

Deno.test("progress is narrower than a terminal", () => {
  assert(progressLine(1e15, 1e15, "entries").length < 100);
  assert(progressLine(1e9, 1e10, "entries").length < 80);
});
