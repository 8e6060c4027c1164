import { assertEquals } from "@std/assert";
import { locks } from "../../../lib/commands/check/locks.ts";
import { namesIn } from "../../harness/entry.ts";
import { evaluation, moduleUrl } from "../../harness/evaluate.ts";
import "../../harness/libc.ts";
import { e2e } from "../../harness/need.ts";
import { run } from "../../harness/process.ts";
import { denying } from "../../harness/strace.ts";
import { descriptors, temporary } from "../../harness/temporary.ts";

Deno.test("check locks: nothing to say, and the file is gone again", () => {
  using dir = temporary();
  assertEquals(locks(dir.path), []);
  assertEquals(namesIn(dir.path), []);
  assertEquals(descriptors(/\.check-/), []);
  // The look at the clock says that.
  assertEquals(locks(`${dir.path}/none`), []);
});

e2e("check locks: a file system without locks", {
  programs: ["strace"],
}, async () => {
  using dir = temporary();
  const code = `import { locks } from ${
    JSON.stringify(moduleUrl("lib/commands/check/locks.ts"))
  };
    for (const { kind, text } of locks(${JSON.stringify(dir.path)})) {
      console.log(kind, text);
    }`;
  const before = denying("flock", "ENOLCK");
  const { stdout } = await run([...before, ...evaluation(code)]);
  assertEquals(
    stdout,
    "warn baseDir: no file in it can be locked (flock: No locks available), " +
      "and without a lock neither the wrapper nor serve prunes: mount it with " +
      'locks, or set prune.every to 0 and run "greylist prune" from cron\n',
  );
  assertEquals(namesIn(dir.path), []);
});
