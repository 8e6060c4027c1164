import { assertEquals } from "@std/assert";
import {
  addCounts,
  describeCounts,
  errorsIn,
  NO_COUNTS,
  readCounts,
  withoutCounts,
} from "../../../lib/build/test/counts.ts";

const PASSED = `running 2 tests from ./a_test.ts
a ... ok (1ms)

ok | 2 passed (1 step) | 0 failed | 3 ignored | 10 filtered out (12ms)

`;

const FAILED = `
FAILED | 746 passed (213 steps) | 7 failed (2 steps) (6m18s)

error: Test failed
`;

Deno.test("test counts: read from what deno test says", () => {
  assertEquals(readCounts(PASSED), {
    passed: 2,
    steps: 1,
    failed: 0,
    ignored: 3,
    filtered: 10,
  });
  assertEquals(readCounts(FAILED), {
    ...NO_COUNTS,
    passed: 746,
    steps: 215,
    failed: 7,
  });
});

Deno.test("test counts: colours do not matter", () => {
  const line =
    "\x1b[0m\x1b[32mok\x1b[0m | 3 passed | 0 failed \x1b[2m(5s)\x1b[0m";
  assertEquals(readCounts(line), { ...NO_COUNTS, passed: 3 });
  assertEquals(withoutCounts(`a\n${line}\nb`), "a\nb");
});

Deno.test("test counts: none where the output was cut off", () => {
  assertEquals(readCounts(""), undefined);
  assertEquals(
    readCounts("running 2 tests from ./a_test.ts\na ... "),
    undefined,
  );
});

Deno.test("test counts: the rest of the output stays", () => {
  assertEquals(
    withoutCounts(PASSED),
    "running 2 tests from ./a_test.ts\na ... ok (1ms)\n\n\n",
  );
  assertEquals(withoutCounts(FAILED), "\n\nerror: Test failed\n");
});

Deno.test("test counts: what is written can be read again", () => {
  const counts = addCounts(readCounts(PASSED)!, readCounts(FAILED)!);
  const line = describeCounts(counts, false, 383);
  assertEquals(
    line,
    "FAILED | 748 passed (216 steps) | 7 failed | 3 ignored | " +
      "10 filtered out (6m23s)",
  );
  assertEquals(readCounts(line), counts);
  assertEquals(
    addCounts(counts, counts),
    { passed: 1496, steps: 432, failed: 14, ignored: 6, filtered: 20 },
  );
  assertEquals(
    describeCounts({ ...NO_COUNTS, passed: 1 }, true, 59),
    "ok | 1 passed | 0 failed (59s)",
  );
  assertEquals(
    describeCounts(NO_COUNTS, true, 60),
    "ok | 0 passed | 0 failed (1m0s)",
  );
});

Deno.test("test counts: the errors alone, or the end of what was cut off", () => {
  const output = "a ... ok\n\n\x1b[31m ERRORS \x1b[0m\n\na => no\n\n" +
    " FAILURES \n\na\n" + FAILED;
  assertEquals(errorsIn(output), "a => no");
  assertEquals(errorsIn("a ... ok\nb ... "), "a ... ok\nb ...");
});
