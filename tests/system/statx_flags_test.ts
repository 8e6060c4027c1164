// statx(2) on an old kernel. The other tests of statx.ts need no strace.

import { assertEquals } from "@std/assert";
import { evaluation, moduleUrl } from "../harness/evaluate.ts";
import { e2e, programPath } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";

e2e("statx: a C library that refuses the flags on a remote file system", {
  programs: ["strace"],
}, async () => {
  using dir = temporary();
  const path = `${dir.path}/file`;
  Deno.writeTextFileSync(path, "12345");
  const modules = ["constants", "descriptor", "statx"].map((name) =>
    JSON.stringify(moduleUrl(`lib/system/${name}.ts`))
  );
  const { stdout, stderr } = await run([
    ...[programPath("strace"), "-f", "-qq", "-o", `${dir.path}/calls`],
    ...["-P", path, "-e", "trace=statx"],
    ...["-e", "inject=statx:error=EINVAL:when=1+2"],
    ...evaluation(`
      import { C } from ${modules[0]};
      import { open } from ${modules[1]};
      import { openOn, stateOf } from ${modules[2]};
      const path = ${JSON.stringify(path)};
      console.log(openOn(open(path, C.O_RDONLY)).kind);
      console.log(stateOf(path, "keep", C.AT_STATX_FORCE_SYNC).size);
    `),
  ]);
  assertEquals([stdout, stderr], ["a regular file\n5\n", ""]);
  const calls = Deno.readTextFileSync(`${dir.path}/calls`).trim().split("\n");
  assertEquals(
    calls.map((call) => [/SYNC\b/.test(call), /EINVAL/.test(call)]),
    [[true, true], [false, false], [true, true], [false, false]],
  );
});
