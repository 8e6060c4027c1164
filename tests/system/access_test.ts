import { assertEquals, assertMatch } from "@std/assert";
import {
  findProgram,
  findProgramLater,
  mayAccess,
} from "../../lib/system/access.ts";
import { evaluation, moduleUrl } from "../harness/evaluate.ts";
import { run } from "../harness/process.ts";
import { emptyDir, writeFile } from "../harness/root.ts";

// The C library is opened once and stays open; see harness/libc.ts.
mayAccess("/", "exist");

const PRELUDE = `import * as access from ${
  JSON.stringify(moduleUrl("lib/system/access.ts"))
};
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

Deno.test("access: what this user may do", () => {
  const dir = emptyDir("access");
  const plain = writeFile("access/plain", "", 0o644);
  const program = writeFile("access/program", "", 0o755);
  assertEquals(mayAccess(plain, "exist"), true);
  assertEquals(mayAccess(plain, "write"), true);
  assertEquals(mayAccess(plain, "execute"), false);
  assertEquals(mayAccess(program, "write", "execute"), true);
  assertEquals(mayAccess(`${dir}/none`, "exist"), false);
  assertEquals(mayAccess(`${plain}/.`, "exist"), false);
});

Deno.test("access: a program as execvp finds it", async () => {
  const first = emptyDir("access/first");
  const second = emptyDir("access/second");
  writeFile("access/first/plain", "", 0o644);
  Deno.mkdirSync(`${first}/tool`);
  writeFile("access/second/tool", "", 0o755);
  writeFile("access/second/plain", "", 0o755);
  writeFile("access/second/other", "", 0o644);
  const before = Deno.env.get("PATH")!;
  Deno.env.set("PATH", `/nowhere:${first}:${second}`);
  try {
    for (
      const [name, path] of [
        // A directory, or a file that cannot be executed, is passed over.
        ["tool", `${second}/tool`],
        ["plain", `${second}/plain`],
        ["other", undefined],
        ["none", undefined],
        // A slash means no search.
        [`${second}/tool`, `${second}/tool`],
        [`${first}/tool`, undefined],
        [`${first}/plain`, undefined],
        ["second/tool", undefined],
        ["", undefined],
      ] as const
    ) {
      assertEquals(findProgram(name), path, name);
      assertEquals(await findProgramLater(name), path, name);
    }
  } finally {
    Deno.env.set("PATH", before);
  }
});

Deno.test("access: the current directory on PATH", async () => {
  const dir = emptyDir("access");
  writeFile("access/tool", "", 0o755);
  const code = `Deno.chdir(${JSON.stringify(dir)});
    for (const path of [":/nowhere", "/nowhere:", "."]) {
      Deno.env.set("PATH", path);
      show(access.findProgram("tool"));
    }
    Deno.env.delete("PATH");
    show(access.findProgram("sh"));`;
  assertMatch(
    await evaluate(code),
    /^string \.\/tool\nstring \.\/tool\nstring \.\/tool\nstring \/bin\/sh$/,
  );
});
