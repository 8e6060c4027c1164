import { assertEquals } from "@std/assert";
import { numbers } from "../../lib/report/columns.ts";

Deno.test("report columns: a row far beyond the last one has room at once", () => {
  const column = numbers();
  column.values[1023] = 7;
  column.reserve(5001);
  column.values[5000] = 8;
  assertEquals([column.values[1023], column.values[5000]], [7, 8]);
});
