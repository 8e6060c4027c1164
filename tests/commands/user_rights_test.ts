import { assertEquals } from "@std/assert";
import { evaluation, moduleUrl } from "../harness/evaluate.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { writeFile } from "../harness/root.ts";

const PRELUDE = `import * as account from ${
  JSON.stringify(moduleUrl("lib/commands/user_rights.ts"))
};
import { statusesOf } from ${
  JSON.stringify(moduleUrl("tests/harness/process.ts"))
};
import { mayAccess } from ${JSON.stringify(moduleUrl("lib/system/access.ts"))};
const show = (value) => console.log(typeof value, String(value));
`;

/** Evaluates in a process of its own. */
async function evaluate(code: string) {
  const { code: exit, stdout, stderr } = await run([
    ...evaluation(PRELUDE + code),
  ]);
  assertEquals([exit, stderr], [0, ""]);
  return stdout.trimEnd();
}

e2e("account: becoming a user is for good and for all of it", {
  programs: ["getent", "id"],
  root: true,
}, async () => {
  const { stdout } = await run(["id", "-u", "nobody"]);
  const uid = stdout.trim();
  const secret = writeFile("account/secret", "", 0o600);
  const code = `account.workAs("nobody");
    show(Deno.uid());
    show(mayAccess(${JSON.stringify(secret)}, "write"));
    const status = Deno.readTextFileSync("/proc/self/status");
    show(/^Uid:.*$/m.exec(status)[0].replaceAll(/\\s+/g, " "));
    const uids = [...statusesOf(Deno.pid).values()]
      .map((status) => /^Uid:\\s+(\\d+)/m.exec(status)[1]);
    show([...new Set(uids)].join());
    try { account.workAs("root"); } catch (error) { show(error.message); }
    account.workAs("nobody");`;
  assertEquals(
    await evaluate(code),
    [
      `number ${uid}`,
      "boolean false",
      `string Uid: ${uid} ${uid} ${uid} ${uid}`,
      `string ${uid}`,
      "string --user=root: expected to be run by root",
    ].join("\n"),
  );
});
