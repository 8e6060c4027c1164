import { assertEquals } from "@std/assert";
import { period, relative, timeAndAge } from "../../lib/commands/format.ts";

Deno.test("format: a period is one number of two or more", () => {
  const cases: [number, string][] = [
    [0, "0 s"],
    [0.9, "0 s"],
    [1, "1 s"],
    [60, "60 s"],
    [119.9, "119 s"],
    [120, "2 min"],
    [5400, "90 min"],
    [7199, "119 min"],
    [7200, "2 h"],
    [86400, "24 h"],
    [172799, "47 h"],
    [172800, "2 d"],
    [36 * 86400, "36 d"],
    [3650 * 86400, "3650 d"],
  ];
  for (const [seconds, words] of cases) assertEquals(period(seconds), words);
});

Deno.test("format: before and after now", () => {
  assertEquals(relative(100, 100), "0 s ago");
  assertEquals(relative(40, 100), "60 s ago");
  assertEquals(relative(100.2, 100), "in 1 s");
  assertEquals(relative(159.1, 100), "in 60 s");
  assertEquals(relative(100, 7300), "2 h ago");
});

Deno.test("format: a time and its age", () => {
  const time = new Date(2026, 0, 2, 3, 4, 5).getTime() / 1000;
  assertEquals(timeAndAge(time, time + 60), "2026-01-02 03:04:05 (60 s ago)");
});
