import { assertEquals } from "@std/assert";
import { counted } from "../../lib/report/format.ts";

Deno.test("report format: numbers with their noun", () => {
  assertEquals(counted(0, "entry", "entries"), "0 entries");
  assertEquals(counted(1, "entry", "entries"), "1 entry");
  assertEquals(counted(1234567, "entry", "entries"), "1,234,567 entries");
  assertEquals(counted(1, "network"), "1 network");
  assertEquals(counted(2, "network"), "2 networks");
});
