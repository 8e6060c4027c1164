import { assertEquals } from "@std/assert";
import { evaluation, moduleUrl } from "../harness/evaluate.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";

const PRELUDE = `import * as limits from ${
  JSON.stringify(moduleUrl("lib/system/resource_limit.ts"))
};
const show = (value) => console.log(typeof value, String(value));
`;

/** Evaluates in a process of its own, with something in front of it. */
async function evaluate(code: string, ...before: string[]) {
  const { code: exit, stdout, stderr } = await run([
    ...before,
    ...evaluation(PRELUDE + code),
  ]);
  assertEquals([exit, stderr], [0, ""]);
  return stdout.trimEnd();
}

e2e("resource limits: memory", { programs: ["prlimit"] }, async () => {
  const code = `const { data, addressSpace } = limits.memoryLimits();
    show(data);
    show(addressSpace);`;
  assertEquals(
    await evaluate(code, "prlimit", "--data=unlimited", "--as=unlimited"),
    "undefined undefined\nundefined undefined",
  );
  assertEquals(
    // The soft limit is the one that counts.
    await evaluate(
      code,
      "prlimit",
      "--data=2000000000:3000000000",
      "--as=999000000000:",
    ),
    "bigint 2000000000\nbigint 999000000000",
  );
});
