import { assertEquals, assertMatch } from "@std/assert";
import { counted, moment, timestamp } from "../../lib/report/format.ts";

Deno.test("report format: numbers with their noun", () => {
  assertEquals(counted(0, "entry", "entries"), "0 entries");
  assertEquals(counted(1, "entry", "entries"), "1 entry");
  assertEquals(counted(1234567, "entry", "entries"), "1,234,567 entries");
  assertEquals(counted(1, "network"), "1 network");
  assertEquals(counted(2, "network"), "2 networks");
});

Deno.test("report format: a time is local", () => {
  const time = new Date(2026, 0, 2, 3, 4, 5).getTime() / 1000;
  assertEquals(timestamp(time), "2026-01-02 03:04:05");
  assertEquals(timestamp(time + 0.999), "2026-01-02 03:04:05");
  assertEquals(moment(time), "2026-01-02 03:04");
  assertEquals(moment(null), "");
  assertMatch(timestamp(0), /^19(69|70)-\d\d-\d\d \d\d:\d\d:\d\d$/);
});
