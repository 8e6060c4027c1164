// Which @std, Deno and denort `deno task compile` takes.

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { compileTask, configModule, PATIENCE } from "../harness/binary.ts";
import { untyped } from "../harness/config_module.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { emptyDir, ROOT, writeFile } from "../harness/root.ts";

e2e("GREYLIST_STD=jsr: no binary without JSR", {}, async () => {
  emptyDir("jsr");
  const config = writeFile("jsr/config.ts", configModule({}));
  const output = writeFile("jsr/greylist", "the one before\n");
  // Nothing listens there.
  const nowhere = ["JSR_URL=http://127.0.0.1:1/", `DENO_DIR=${ROOT}/jsr/cache`];
  const before = ["/usr/bin/env", "GREYLIST_STD=jsr", ...nowhere];
  const { code, stderr } = await compileTask(config, output, before);
  assertEquals(code, 111, stderr);
  assertMatch(
    stderr,
    /\ngreylist compile: JSR does not answer, and GREYLIST_STD=jsr forbids npm in its place\n$/,
  );
  assertEquals(Deno.readTextFileSync(output), "the one before\n");
});

/** Compiles with a DENORT_BIN that is refused for what it is. */
async function refuseDenort(file: string, what: string): Promise<void> {
  const config = writeFile("denort/config.ts", configModule({}));
  const output = `${ROOT}/denort/greylist`;
  const before = ["/usr/bin/env", `DENORT_BIN=${file}`];
  const { code, stderr } = await compileTask(config, output, before);
  assertEquals(code, 100, stderr);
  const line = `greylist compile: DENORT_BIN: ${file} is ${what}: ` +
    `expected the denort of Deno ${Deno.version.deno}\n`;
  assert(stderr.endsWith(`\n${line}`), stderr);
  assertEquals(stderr.split("greylist compile: ").length, 2, stderr);
  assertThrows(() => Deno.statSync(output), Deno.errors.NotFound);
}

e2e("DENORT_BIN has to name the denort of this Deno", {}, async () => {
  emptyDir("denort");
  const unusable = "no denort that this Deno can use";
  await refuseDenort("/nonexistent/denort", "no file");
  await refuseDenort("/bin/true", unusable);
  // No ELF file: Deno 2.9 makes no program of it.
  await refuseDenort(writeFile("denort/text", "no program\n"), unusable);
});

e2e("DENORT_BIN has to be of the same version", {
  programs: ["gcc"],
}, async () => {
  emptyDir("denort");
  const source = writeFile(
    "denort/other.c",
    '#include <stdio.h>\nint main(void) { return puts("2.3.7") < 0; }\n',
  );
  const other = `${ROOT}/denort/other`;
  assertEquals((await run(["gcc", "-o", other, source])).code, 0);
  await refuseDenort(other, "of Deno 2.3.7");
});

e2e("compile: a Deno that was not tried is one line, no more", {}, async () => {
  const copy = emptyDir("untried");
  const files = ["deno.json", "deno.lock", "main.ts", "lib"].map((name) =>
    fromFileUrl(import.meta.resolve(`../../${name}`))
  );
  assertEquals((await run(["cp", "-R", ...files, copy])).code, 0);
  const denort = `${copy}/lib/build/denort.ts`;
  const right = Deno.readTextFileSync(denort);
  const changed = right.replace(
    /(const TRIED[A-Z_]*: [^=]+=) \[.*\]/g,
    '$1 ["1.9"]',
  );
  assert(right !== changed, "the lines with the versions have changed");
  Deno.writeTextFileSync(denort, changed);
  const config = writeFile("untried/config.ts", untyped("onError: 'maybe'"));
  const args = ["task", "compile", `--config=${config}`];
  const { code, stderr } = await run([Deno.execPath(), ...args], {
    cwd: copy,
    patience: PATIENCE,
  });
  assertEquals(code, 100, stderr);
  const [warning, refusal] = stderr.trimEnd().split("\n").slice(-2);
  assertEquals(
    warning,
    `greylist compile: Deno ${Deno.version.deno} was not tried: programs were ` +
      "tried with Deno 1.9",
  );
  assert(refusal.startsWith(`${config}: onError: `), refusal);
});
