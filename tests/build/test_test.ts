/**
 * `deno task test` itself, with test files made for it.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { SHARE_VARIABLE } from "../../lib/build/ports.ts";
import { e2e } from "../harness/need.ts";
import { type Outcome, run } from "../harness/process.ts";
import { PROJECT } from "../harness/project.ts";
import { emptyDir, writeFile } from "../harness/root.ts";

/** How long `deno task test` may take on a busy machine, in seconds. */
const PATIENCE = 300;

function test(...args: string[]): Promise<Outcome> {
  const options = { cwd: PROJECT, patience: PATIENCE };
  return run([Deno.execPath(), "task", "test", ...args], options);
}

/** The last lines of the output that are not empty. */
function last(stdout: string, count: number): string[] {
  return stdout.trimEnd().split("\n").slice(-count);
}

const NEED = new URL("../harness/need.ts", import.meta.url).href;

/** Two tests that need something that no machine has. */
const SKIPPING = `import { e2e } from ${JSON.stringify(NEED)};
const able = { program: "sh", what: "wings", works: () => false };
e2e("flies", { programs: [able] }, () => {});
e2e("walks", {}, () => {});
e2e("swims", { obstacle: () => "no water" }, () => {});
`;

e2e(
  "deno task test: files are added up, and a failure is named",
  {},
  async () => {
    const dir = emptyDir("suite");
    writeFile("suite/a_test.ts", 'Deno.test("a", () => {});\n');
    writeFile("suite/b_test.ts", 'Deno.test("b", () => { throw "no"; });\n');
    writeFile("suite/c.ts", "throw 1;\n");
    const both = await test(dir);
    assertEquals(both.code, 1, both.stderr);
    const [name, counts] = last(both.stdout, 2);
    // What went wrong is repeated behind the output of all files.
    const [, end] = both.stdout.split("error: Test failed");
    assertMatch(end, /^b => /m);
    assertMatch(name, /^FAILED in .*suite\/b_test\.ts$/);
    assertMatch(counts, /^FAILED \| 1 passed \| 1 failed \((?:\d+m)?\d+s\)$/);

    const one = await test(`${dir}/a_test.ts`);
    assertEquals(one.code, 0, one.stderr);
    assertMatch(
      last(one.stdout, 1)[0],
      /^ok \| 1 passed \| 0 failed \((?:\d+m)?\d+s\)$/,
    );
  },
);

e2e(
  "deno task test: files that run at once have different ports",
  {},
  async () => {
    emptyDir("suite");
    const turns = ["alone", "paired", "paired", "of no kind", "of no kind"];
    const argv = turns.map((turn, i) =>
      writeFile(
        `suite/${i}_test.ts`,
        `// Runs ${turn}: it is shy.
Deno.test("${i}", () => {
  console.log("share", Deno.env.get(${JSON.stringify(SHARE_VARIABLE)}));
});\n`,
      )
    );
    const { code, stdout, stderr } = await test(...argv);
    assertEquals(code, 0, stderr);
    const shares = Array.from(
      stdout.matchAll(/^share (\d+\/\d+)$/gm),
      ([, share]) => share,
    );
    assertEquals(new Set(shares.slice(0, 2)).size, 2, stdout);
    assertEquals(shares.slice(2, 4).sort(), ["0/2", "1/2"], stdout);
    assertEquals(shares.slice(4), ["0/1"], stdout);
  },
);

e2e("deno task test: the last line says what was skipped", {}, async () => {
  const file = writeFile("suite/skip_test.ts", SKIPPING);
  const common = { cwd: PROJECT, patience: PATIENCE };
  const argv = [Deno.execPath(), "task", "test", file];
  const env = Deno.env.toObject();
  delete env.CI;
  const all = await run(argv, { ...common, env });
  assertEquals(all.code, 0, all.stdout);
  const [counts, skipped] = last(all.stdout, 2);
  assertMatch(
    counts,
    /^ok \| 1 passed \| 0 failed \| 2 ignored \((?:\d+m)?\d+s\)$/,
  );
  assertMatch(
    skipped,
    /^skipped 2 tests; to run them: apt-get install \S+; for another reason/,
  );
  assertMatch(all.stdout, /^skipped: flies: \S+\/sh without wings$/m);
  assertStringIncludes(all.stdout, "skipped: swims: no water\n");

  const some = await run([...argv, "--filter=walks"], { ...common, env });
  assertEquals(some.code, 0, some.stdout);
  assertMatch(last(some.stdout, 1)[0], /^ok \| 1 passed \| 0 failed/);

  // In CI nothing may be missing that can be installed.
  const strict = await run(argv, { ...common, env: { ...env, CI: "true" } });
  assertEquals(strict.code, 1, strict.stdout);
  assertMatch(last(strict.stdout, 1)[0], /^FAILED \| 1 passed \| 2 failed/);
});

e2e(
  "deno task test: wrong types and wrong names are no tests",
  {},
  async () => {
    const file = writeFile(
      "suite/types_test.ts",
      'const n: number = "x";\nDeno.test("n", () => void n);\n',
    );
    const types = await test(file);
    assertEquals(types.code, 1);
    assertStringIncludes(types.stderr, "TS2322");
    const { code, stderr } = await test("none_test.ts");
    assertEquals(code, 100);
    assertStringIncludes(
      stderr,
      "greylist test: none_test.ts: expected a test file or a directory\n",
    );
  },
);

e2e("deno task test --help: its usage, and no test runs", {}, async () => {
  for (const words of [["--help"], ["-h"], ["tests/config", "--help"]]) {
    const { code, stdout, stderr } = await test(...words);
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /^NAME\n {2}deno task test - /);
  }
});
