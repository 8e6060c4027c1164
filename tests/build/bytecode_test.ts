import { assert, assertEquals, assertRejects } from "@std/assert";
import { bakedModule } from "../../lib/build/baked.ts";
import { makeBinary } from "../../lib/build/binary.ts";
import { BOOT, BYTECODE, makeBundle } from "../../lib/build/bundle.ts";
import { makeBytecode } from "../../lib/build/bytecode.ts";
import { type Std, STD_VARIABLE, stdFlags } from "../../lib/build/std.ts";
import { TemporaryError } from "../../lib/commands/command.ts";
import { resolveConfig } from "../../lib/config.ts";
import { configModule } from "../harness/binary.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { emptyDir, ROOT, writeFile } from "../harness/root.ts";

const FLAGS = "--single-threaded,--lite-mode";

/** A bundle without bytecode: its script, its directory, and one to work in. */
async function bundle(name: string) {
  const scratch = emptyDir(name);
  const directory = emptyDir(`${name}/bundle`);
  const config = writeFile(`${name}/greylist.config.ts`, configModule({}));
  const raw = (await import(`file://${config}`)).default;
  const baked = bakedModule(
    new URL(`file://${config}`),
    raw,
    resolveConfig(raw),
  );
  const std = (Deno.env.get(STD_VARIABLE) ?? "jsr") as Std;
  const flags = await stdFlags(std, scratch);
  const file = writeFile(`${name}/baked.ts`, baked);
  const script = await makeBundle(file, directory, flags);
  return { script, scratch, directory };
}

function compiler(directory: string, scratch: string, v8Flags = FLAGS) {
  return (module: string, output: string) =>
    makeBinary(
      { module, include: [directory], v8Flags, permissions: ["-A"] },
      output,
      scratch,
    );
}

e2e("bytecode: V8 takes it from its like only", {}, async () => {
  const { script, scratch, directory } = await bundle("bytecode");
  const compile = compiler(directory, scratch);
  await makeBytecode(script, "rcpt", directory, scratch, compile);
  const { size } = Deno.statSync(`${directory}/${BYTECODE}`);
  assert(size > 10_000, `${size} bytes`);

  // Made by one program, shown to another.
  Deno.removeSync(`${scratch}/clients`, { recursive: true });
  const other = compiler(directory, scratch, `${FLAGS},--no-lazy`);
  await assertRejects(
    () =>
      makeBytecode(
        script,
        "rcpt",
        directory,
        scratch,
        async (module, output) => {
          await compile(module, `${output}.make`);
          await other(module, `${output}.take`);
          writeFile(
            output.slice(ROOT.length + 1),
            '#!/bin/sh\nexec "$0.$1" "$@"\n',
            0o755,
          );
        },
      ),
    TemporaryError,
    "refused",
  );
});

e2e("bytecode: without it the program reads its text", {}, async () => {
  const { scratch, directory } = await bundle("refused-bytecode");
  Deno.writeTextFileSync(`${directory}/${BYTECODE}`, "none at all");
  const program = `${scratch}/greylist`;
  await compiler(directory, scratch)(`${directory}/${BOOT}`, program);
  const { code, stdout } = await run([program, "echo", "let in"], {
    env: { TCPREMOTEIP: "192.0.2.1", RELAYCLIENT: "" },
  });
  assertEquals([code, stdout], [0, "let in\n"]);
});
