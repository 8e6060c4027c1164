import { assert, assertEquals, assertRejects } from "@std/assert";
import { bakedModule } from "../../lib/build/baked.ts";
import { makeBinary } from "../../lib/build/binary.ts";
import {
  BOOT,
  bundleConfig,
  bundleProgram,
  BYTECODE,
} from "../../lib/build/bundle.ts";
import {
  makeBytecode,
  makeTrainer,
  TRAINER,
} from "../../lib/build/bytecode.ts";
import { chosenStd, stdFlags } from "../../lib/build/std.ts";
import { TemporaryError } from "../../lib/commands/command.ts";
import { resolveConfig } from "../../lib/config/resolve.ts";
import { configModule } from "../harness/binary.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { emptyDir, writeFile } from "../harness/root.ts";

const FLAGS = "--single-threaded,--lite-mode";

const OTHER_FLAGS = `${FLAGS},--no-lazy`;

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
  const flags = await stdFlags(chosenStd(), scratch);
  const file = writeFile(`${name}/baked.ts`, baked);
  await bundleProgram(directory, flags);
  const trainer = async (name: string, v8Flags: string) => {
    const own = emptyDir(name);
    await makeTrainer(directory, v8Flags, own, scratch);
    return `${own}/${TRAINER}`;
  };
  return { file, flags, scratch, directory, trainer };
}

e2e("bytecode: V8 takes it from its like only", {}, async () => {
  const { file, flags, scratch, directory, trainer } = await bundle("bytecode");
  const like = await trainer("trainer", FLAGS);
  const other = await trainer("other-trainer", OTHER_FLAGS);
  const script = await bundleConfig(file, "config.ts", directory, flags);
  // By default, a client with one of these is let in.
  const exempting = ["RELAYCLIENT", "WHITELISTED"];
  for (const name of exempting) Deno.env.set(name, "");
  try {
    await makeBytecode(script, "rcpt", directory, scratch, like);
  } finally {
    for (const name of exempting) Deno.env.delete(name);
  }
  const { size } = Deno.statSync(`${directory}/${BYTECODE}`);
  assert(size > 10_000, `${size} bytes`);

  // Made by one program, shown to another.
  Deno.removeSync(`${scratch}/clients`, { recursive: true });
  const mixed = writeFile(
    "mixed-trainer",
    `#!/bin/sh
case $1 in make) exec ${like} "$@";; *) exec ${other} "$@";; esac
`,
    0o755,
  );
  await assertRejects(
    () => makeBytecode(script, "rcpt", directory, scratch, mixed),
    TemporaryError,
    "refused",
  );
});

e2e("bytecode: without it the program reads its text", {}, async () => {
  const { file, flags, scratch, directory } = await bundle("refused-bytecode");
  await bundleConfig(file, "config.ts", directory, flags);
  Deno.writeTextFileSync(`${directory}/${BYTECODE}`, "none at all");
  const program = `${scratch}/greylist`;
  await makeBinary(
    {
      module: `${directory}/${BOOT}`,
      include: [directory],
      v8Flags: FLAGS,
      permissions: ["-A"],
    },
    program,
    scratch,
  );
  const { code, stdout } = await run([program, "echo", "let in"], {
    env: { TCPREMOTEIP: "192.0.2.1", RELAYCLIENT: "" },
  });
  assertEquals([code, stdout], [0, "let in\n"]);
});
