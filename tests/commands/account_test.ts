import { assertEquals, assertMatch } from "@std/assert";
import {
  F_OK,
  findProgram,
  mayAccess,
  memoryLimits,
  W_OK,
  X_OK,
} from "../../lib/commands/account.ts";
import { userId } from "../../lib/system/user.ts";
import { evaluation, moduleUrl } from "../harness/evaluate.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { emptyDir, writeFile } from "../harness/root.ts";

// The libraries that are opened once stay open; see harness/libc.ts.
userId();
memoryLimits();

const PRELUDE = `import * as account from ${
  JSON.stringify(moduleUrl("lib/commands/account.ts"))
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

Deno.test("account: who this is", () => {
  assertEquals(userId(), Deno.uid());
});

Deno.test("account: what this user may do", () => {
  const dir = emptyDir("account");
  const plain = writeFile("account/plain", "", 0o644);
  const program = writeFile("account/program", "", 0o755);
  assertEquals(mayAccess(plain, F_OK), true);
  assertEquals(mayAccess(plain, W_OK), true);
  assertEquals(mayAccess(plain, X_OK), false);
  assertEquals(mayAccess(program, W_OK | X_OK), true);
  assertEquals(mayAccess(`${dir}/none`, F_OK), false);
  assertEquals(mayAccess(`${plain}/.`, F_OK), false);
});

Deno.test("account: a program as execvp finds it", () => {
  const first = emptyDir("account/first");
  const second = emptyDir("account/second");
  writeFile("account/first/plain", "", 0o644);
  Deno.mkdirSync(`${first}/tool`);
  writeFile("account/second/tool", "", 0o755);
  writeFile("account/second/plain", "", 0o755);
  writeFile("account/second/other", "", 0o644);
  const before = Deno.env.get("PATH")!;
  Deno.env.set("PATH", `/nowhere:${first}:${second}`);
  try {
    // A directory, or a file that cannot be executed, is passed over.
    assertEquals(findProgram("tool"), `${second}/tool`);
    assertEquals(findProgram("plain"), `${second}/plain`);
    assertEquals(findProgram("other"), undefined);
    assertEquals(findProgram("none"), undefined);
    // A slash means no search.
    assertEquals(findProgram(`${second}/tool`), `${second}/tool`);
    assertEquals(findProgram(`${first}/tool`), undefined);
    assertEquals(findProgram(`${first}/plain`), undefined);
    assertEquals(findProgram("second/tool"), undefined);
    assertEquals(findProgram(""), undefined);
  } finally {
    Deno.env.set("PATH", before);
  }
});

Deno.test("account: the current directory on PATH", async () => {
  const dir = emptyDir("account");
  writeFile("account/tool", "", 0o755);
  const code = `Deno.chdir(${JSON.stringify(dir)});
    for (const path of [":/nowhere", "/nowhere:", "."]) {
      Deno.env.set("PATH", path);
      show(account.findProgram("tool"));
    }
    Deno.env.delete("PATH");
    show(account.findProgram("sh"));`;
  assertMatch(
    await evaluate(code),
    /^string \.\/tool\nstring \.\/tool\nstring \.\/tool\nstring \/bin\/sh$/,
  );
});

e2e("account: memory limits", { programs: ["prlimit"] }, async () => {
  const code = `const { data, addressSpace } = account.memoryLimits();
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

e2e("account: becoming a user is for good and for all of it", {
  programs: ["getent", "id"],
  root: true,
}, async () => {
  const { stdout } = await run(["id", "-u", "nobody"]);
  const uid = stdout.trim();
  const secret = writeFile("account/secret", "", 0o600);
  const code = `account.workAs("nobody");
    show(Deno.uid());
    show(account.mayAccess(${JSON.stringify(secret)}, 2));
    const status = Deno.readTextFileSync("/proc/self/status");
    show(/^Uid:.*$/m.exec(status)[0].replaceAll(/\\s+/g, " "));
    const tasks = [...Deno.readDirSync("/proc/self/task")];
    const uids = tasks.map(({ name }) =>
      /^Uid:\\s+(\\d+)/m.exec(Deno.readTextFileSync(\`/proc/self/task/\${name}/status\`))[1]
    );
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
