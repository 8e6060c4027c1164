import { assertEquals } from "@std/assert";
import { StampReader } from "../../lib/report/stamp.ts";

/** Local time, in seconds since 1970. */
function at(month: number, day: number, hour: number): number {
  return new Date(2026, month - 1, day, hour).getTime() / 1000;
}

Deno.test("stamp: a clock that was not set yet is no New Year", () => {
  const reader = new StampReader(at(11, 24, 12));
  const read = (line: string) => reader.read(line)?.time;
  assertEquals(read("Nov 23 10:00:00 a"), at(11, 23, 10));
  // It booted on Jan 1, 1970.
  assertEquals(read("Jan  1 00:00:12 b"), at(11, 23, 10));
  assertEquals(read("Jan  1 00:00:14 c"), at(11, 23, 10));
  assertEquals(read("Nov 23 11:00:00 d"), at(11, 23, 11));
});

Deno.test("stamp: New Year", () => {
  const reader = new StampReader(at(1, 2, 12));
  const read = (line: string) => reader.read(line)?.time;
  assertEquals(
    read("Dec 31 23:00:00 a"),
    new Date(2025, 11, 31, 23).getTime() / 1000,
  );
  assertEquals(read("Jan  1 00:00:00 b"), at(1, 1, 0));
});

Deno.test("stamp: New Year in a log that is dated before it", () => {
  const reader = new StampReader(new Date(2025, 11, 20).getTime() / 1000);
  const read = (line: string) => reader.read(line)?.time;
  assertEquals(
    read("Dec 19 23:00:00 a"),
    new Date(2025, 11, 19, 23).getTime() / 1000,
  );
  assertEquals(read("Jan  5 12:00:00 b"), at(1, 5, 12));
});
