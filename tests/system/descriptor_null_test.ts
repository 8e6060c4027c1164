// Descriptors in a system without /dev/null. The other tests of descriptor.ts need no
// right to mount.

import { assertEquals } from "@std/assert";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import { e2e } from "../harness/need.ts";

const MODULE = JSON.stringify(moduleUrl("lib/system/descriptor.ts"));

e2e("descriptor: more can be opened also if there is no /dev/null", {
  programs: ["unshare"],
  mounts: true,
}, async () => {
  const code = `import { canOpen } from ${MODULE}; console.log(canOpen(5));`;
  const shell = `exec unshare --mount sh -c '
    mount -t tmpfs tmpfs /dev && exec "$@"' sh "$@"`;
  const { code: exit, stdout, stderr } = await evaluate(code, shell);
  assertEquals([exit, stdout, stderr], [0, "true\n", ""]);
});
