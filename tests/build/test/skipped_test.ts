import { assertEquals } from "@std/assert";
import {
  decodeSkipped,
  describeSkipped,
  encodeSkipped,
  matchesFilter,
  type Skipped,
} from "../../../lib/build/test/skipped.ts";

/** A test that lacks nothing, but for what is given. */
function skipped(lack: Partial<Skipped>): Skipped {
  return {
    name: "a test",
    packages: [],
    unpacked: [],
    root: false,
    mounts: false,
    other: false,
    ...lack,
  };
}

Deno.test("skipped tests: none is no line", () => {
  assertEquals(describeSkipped([]), undefined);
});

Deno.test("skipped tests: the line names each package once, in order", () => {
  const line = describeSkipped([
    skipped({ packages: ["swaks", "exim4-daemon-light"], root: true }),
    skipped({ packages: ["exim4-daemon-light"], unpacked: ["postfix"] }),
  ]);
  assertEquals(
    line,
    "skipped 2 tests; to run them: apt-get install exim4-daemon-light swaks; " +
      "unpacked as in .ci/run: postfix; as root: 1",
  );
});

Deno.test("skipped tests: root, mounts and other reasons are counted", () => {
  const line = describeSkipped([
    skipped({ root: true }),
    skipped({ root: true }),
    skipped({ mounts: true }),
    skipped({ other: true }),
  ]);
  assertEquals(
    line,
    "skipped 4 tests; to run them: as root: 2; with mounts: 1; " +
      "for another reason, see above: 1",
  );
});

Deno.test("skipped tests: one test is one", () => {
  assertEquals(
    describeSkipped([skipped({ mounts: true })]),
    "skipped 1 test; to run it: with mounts: 1",
  );
});

Deno.test("skipped tests: the file is read as it was written", () => {
  const tests = [skipped({ name: 'a "b"\nc' }), skipped({ packages: ["x"] })];
  assertEquals(decodeSkipped(tests.map(encodeSkipped).join("")), tests);
  assertEquals(decodeSkipped(""), []);
});

Deno.test("skipped tests: the filter is that of deno test", () => {
  const cases: [string | undefined, boolean][] = [
    [undefined, true],
    ["b c", true],
    ["x", false],
    [".", false],
    ["/b.c/", true],
    ["/^b/", false],
    ["/b/ c", false],
    ["a /b/", false],
  ];
  for (const [filter, expected] of cases) {
    assertEquals(matchesFilter("a b c", filter), expected, filter);
  }
});
