import { assertEquals } from "@std/assert";
import { largest, numbers } from "../../lib/report/columns.ts";

Deno.test("report columns: a row far beyond the last one has room at once", () => {
  const column = numbers();
  column.values[1023] = 7;
  column.reserve(5001);
  column.values[5000] = 8;
  assertEquals([column.values[1023], column.values[5000]], [7, 8]);
});

Deno.test("report columns: the largest, equals as they came, none that is 0", () => {
  const values = [3, 0, 9, 7, 1, 7];
  const top = (count: number) => largest(6, count, (i) => values[i]);
  assertEquals(top(2), [2, 3]);
  assertEquals(top(3), [2, 3, 5]);
  assertEquals(top(9), [2, 3, 5, 0, 4]);
});
