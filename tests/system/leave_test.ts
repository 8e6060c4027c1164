import { assert, assertEquals } from "@std/assert";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import { temporary } from "../harness/temporary.ts";

const MODULE = JSON.stringify(moduleUrl("lib/system/leave.ts"));

/** Leaves the connection, and says on stderr what each descriptor was and is. */
const LEAVES = `
  import { leaveConnection } from ${MODULE};
  const look = () => Object.fromEntries(
    [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
      try {
        return [[name, Deno.readLinkSync("/proc/self/fd/" + name)]];
      } catch {
        return []; // The one that was open on the directory.
      }
    }));
  const own = Deno.openSync("/etc/group");
  const before = look();
  leaveConnection();
  const text = JSON.stringify({ before, after: look() });
  Deno.stderr.writeSync(new TextEncoder().encode(text));`;

async function leave(shell: string) {
  const { code, stderr } = await evaluate(LEAVES, shell);
  assertEquals(code, 0, stderr);
  return JSON.parse(stderr) as Record<"before" | "after", typeof FDS>;
}
const FDS: Record<string, string> = {};

Deno.test("leaveConnection: nothing of the connection stays, all else does", async () => {
  const { before, after } = await leave('exec 3</etc/passwd 5>&1; exec "$@"');
  assertEquals([before[3], before[5]], ["/etc/passwd", before[1]]);
  assertEquals([after[0], after[1]], ["/dev/null", "/dev/null"]);
  assertEquals([after[3] === "/etc/passwd", after[2]], [false, before[2]]);
  // The runtime has copies of standard input and output.
  const has = Object.values(after);
  assert(!has.includes(before[0]) && !has.includes(before[1]));
  assert(has.includes("/etc/group"));
});

Deno.test("leaveConnection: standard error may be the client's", async () => {
  using dir = temporary();
  const text = `${dir.path}/said`;
  const { stdout } = await evaluate(
    `${LEAVES}
    Deno.writeTextFileSync(${JSON.stringify(text)},
      JSON.stringify({ before, after: look() }));`,
    'exec 2>&1; exec "$@"',
  );
  const { before, after } = JSON.parse(Deno.readTextFileSync(text));
  assertEquals(before[2], before[1]);
  assertEquals(after[2], "/dev/null");
  assertEquals(stdout, "");
});
