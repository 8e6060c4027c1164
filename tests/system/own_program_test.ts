import { assert, assertEquals, assertMatch } from "@std/assert";
import { evaluation, moduleUrl } from "../harness/evaluate.ts";
import { run } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";

const PRELUDE = ["own_program", "signals", "resource_limit", "memory_file"]
  .map((name) =>
    `import * as ${name} from ${
      JSON.stringify(moduleUrl(`lib/system/${name}.ts`))
    };`
  ).join("\n") + `
const say = (text) => Deno.stdout.writeSync(new TextEncoder().encode(text + "\\n"));
const status = () => Deno.readTextFileSync("/proc/self/status")
  .match(/^Sig(Blk|Ign).*$/gm).join(" ");
const flags = (fd) => /flags:\\s*(\\d+)/.exec(
  Deno.readTextFileSync("/proc/self/fdinfo/" + fd))[1];
const { soft, hard } = resource_limit.descriptorLimit();
const limit = { soft: soft - 1n, hard };
`;

function evaluate(code: string) {
  return run([...evaluation(PRELUDE + code)]);
}

Deno.test("own program: the next one is the same process with all that it needs", async () => {
  using dir = temporary();
  const next = `${dir.path}/next`;
  Deno.writeTextFileSync(
    next,
    `#!/bin/sh
echo $$ $GREYLIST_TEST $(ulimit -Sn)
while read -r line; do case $line in SigBlk*) echo $line;; esac; done </proc/self/status
cat /proc/self/fd/$GREYLIST_TEST
echo "$*"
`,
    { mode: 0o755 },
  );
  const { code, stdout, stderr } = await evaluate(`
    const fd = memory_file.memoryFile("test");
    Deno.writeTextFileSync("/proc/self/fd/" + fd, "handed over\\n");
    say(Deno.pid + " " + fd + " " + limit.soft);
    own_program.replaceProgram({
      path: ${JSON.stringify(next)},
      descriptors: [fd],
      variables: { GREYLIST_TEST: String(fd) },
      limit,
      blocked: signals.HANDLED,
    });
  `);
  assertEquals([code, stderr], [0, ""]);
  const [before, after, blocked, text, args] = stdout.split("\n");
  assertEquals(before, after);
  // HUP, INT, USR2 and TERM are 1, 2, 12 and 15.
  assertEquals(blocked, "SigBlk: 0000000000004803");
  assertEquals(text, "handed over");
  // Those of the process that was replaced.
  assertMatch(args, /^eval --quiet /);
});

Deno.test("own program: if there is no next one, all is as before", async () => {
  const { code, stdout, stderr } = await evaluate(`
    const fd = memory_file.memoryFile("test");
    const before = [status(), flags(fd), soft];
    const error = own_program.replaceProgram({
      path: "/nonexistent/next",
      descriptors: [fd],
      variables: { GREYLIST_TEST: "x" },
      limit,
      blocked: signals.HANDLED,
    });
    say(error.message);
    say(String(Deno.env.get("GREYLIST_TEST")));
    const after = [status(), flags(fd), resource_limit.descriptorLimit().soft];
    say(String(before.join() === after.join()));
  `);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout, "exec: No such file or directory\nundefined\ntrue\n");
});

Deno.test("own program: its path is the one that it was started by", async () => {
  using dir = temporary();
  const [deno, ...args] = evaluation(PRELUDE + "say(own_program.ownPath());");
  const link = `${dir.path}/link`;
  Deno.symlinkSync(deno, link);
  const outcome = await run([link, ...args]);
  assertEquals(outcome.stdout, `${link}\n`, outcome.stderr);
  // A name that leads elsewhere is no path of this program.
  const script = 'exec -a "$0" "$@"';
  const renamed = await run(["bash", "-c", script, "/bin/sh", deno, ...args]);
  assertEquals(renamed.stdout, `${Deno.realPathSync(deno)}\n`, renamed.stderr);
  // Found on PATH.
  const PATH = `${dir.path}:${Deno.env.get("PATH")}`;
  const found = await run(["env", `PATH=${PATH}`, "link", ...args]);
  assert(found.stdout.endsWith(`${dir.path}/link\n`), found.stderr);
});
