/**
 * The bytecode of the script that every connection runs. To parse and compile the
 * text of the script is most of what a connection costs above an empty program.
 * Deno's own cache for bytecode is a file in the temporary directory, where any
 * user may put one. So the bytecode lies in the binary.
 *
 * V8 compiles a function at its first call. So the script first handles a few
 * clients, in a trainer with the same options as the program that is built: V8
 * refuses other bytecode. Functions that these clients do not need stay text,
 * because to read bytecode takes time too.
 *
 * @module
 */

import { copy } from "@std/fs/copy";
import { join } from "@std/path";
import { TemporaryError } from "../commands/command.ts";
import type { ResolvedConfig } from "../config.ts";
import { resolveConfig } from "../config/resolve.ts";
import { bakedConfig } from "./baked.ts";
import { makeBinary, notRun } from "./binary.ts";
import { BYTECODE, SCRIPT } from "./bundle.ts";

/** How long the training may take, in milliseconds. */
const PATIENCE = 60_000;

/** A client, and the exit code of the program that handles it. */
interface Client {
  readonly ip: string;
  readonly code: number;
}

/** The commands of the first client. */
const SAYS = [
  "EHLO mail.example",
  "MAIL FROM:<a@b.example> SIZE=1000",
  "RCPT TO:<c@d.example>",
  "DATA",
  "QUIT",
  "",
].join("\r\n");

/** The program that {@linkcode makeTrainer} makes, in its directory. */
export const TRAINER = "trainer";

/**
 * Makes the program in which scripts handle clients. It has all permissions, and
 * reads the script from a file.
 *
 * @param program a directory with the modules that a script may import
 * @param v8Flags those of the program that is built
 * @param directory an existing directory for the trainer
 * @param scratch an existing directory to put denort in
 * @param make how a binary is made of modules
 * @throws {TemporaryError} with what Deno says
 */
export async function makeTrainer(
  program: string,
  v8Flags: string,
  directory: string,
  scratch: string,
  make: typeof makeBinary = makeBinary,
): Promise<void> {
  const modules = join(directory, "modules");
  await copy(program, modules);
  const module = join(modules, "trainer.js");
  await Deno.writeTextFile(module, SOURCE);
  await make(
    { module, include: [modules], v8Flags, permissions: ["-A"] },
    join(directory, TRAINER),
    scratch,
  );
  await Deno.remove(modules, { recursive: true });
}

/**
 * Has the script handle clients, and keeps its bytecode.
 *
 * @param script its text
 * @param at the configuration's `deferral.at`
 * @param directory that of the bundle, where the bytecode is put
 * @param scratch an existing directory
 * @param trainer the program of {@linkcode makeTrainer}
 * @param isTried whether a second trainer finds out that V8 takes the bytecode
 * @throws {TemporaryError} if the script does not do what it should, or if V8
 * does not take the bytecode
 */
export async function makeBytecode(
  script: string,
  at: ResolvedConfig["deferral"]["at"],
  directory: string,
  scratch: string,
  trainer: string,
  isTried = true,
): Promise<void> {
  const base = join(scratch, "clients");
  await Deno.mkdir(base, { mode: 0o700 });
  for (const name of ["203.0.113.0_24", "2001:db8::_64"]) {
    await Deno.writeTextFile(join(base, name), "x");
  }
  // At "rblsmtpd" the trainer would become rblsmtpd. "banner" is compiled instead.
  // The dialogue is needed there only if the check fails.
  const deferral = { at: at === "rblsmtpd" ? "banner" : at };
  // With the default storeTimeout, onError would decide on a slow disk, and the
  // training would fail.
  const raw = {
    baseDir: base,
    controlDir: base,
    deferral,
    storeTimeout: "1m" as const,
  };
  const config = {
    default: raw,
    compiled: bakedConfig(raw, resolveConfig(raw)),
  };
  const clients: Client[] = [
    { ip: "192.0.2.1", code: 0 },
    // These clients are let in, but PROGRAM does not exist.
    { ip: "203.0.113.1", code: 111 },
    { ip: "2001:db8::1", code: 111 },
  ];
  const job = join(scratch, "job.json");
  const bytecode = join(directory, BYTECODE);
  await Deno.writeTextFile(
    job,
    JSON.stringify({ script, config, clients, bytecode }),
  );
  await run(trainer, ["make", job]);
  if (isTried) await run(trainer, ["take", job]);
}

/**
 * The module that makes bytecode, or checks that V8 accepts it. The check takes a
 * second process, because V8 remembers what it has compiled.
 */
const SOURCE = `import { Script } from "node:vm";
const load = (name) => import(name);
const [what, job] = Deno.args;
const { script: text, config, clients, bytecode } =
  JSON.parse(Deno.readTextFileSync(job));
if (what === "take") {
  const cachedData = Deno.readFileSync(bytecode);
  const script = new Script(text, { filename: "${SCRIPT}", cachedData });
  if (script.cachedDataRejected) throw new Error("refused");
} else {
  const script = new Script(text, { filename: "${SCRIPT}" });
  // The configuration in the script is not run: the trainer has more permissions
  // than the binary.
  const [start] = script.runInThisContext();
  const { main } = await start(load);
  for (const { ip, code } of clients) {
    Deno.env.set("TCPREMOTEIP", ip);
    const actual = await main([bytecode + "/none"], async () => config);
    if (actual !== code) throw new Error(ip + ": " + actual);
  }
  Deno.writeFileSync(bytecode, script.createCachedData());
}
Deno.exit(0);
`;

async function run(program: string, args: string[]): Promise<void> {
  const command = new Deno.Command(program, {
    args,
    // Nothing of this process's environment: RELAYCLIENT, for example, would let
    // in each client.
    clearEnv: true,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  });
  let child: Deno.ChildProcess;
  try {
    child = command.spawn();
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) throw notRun(program);
    throw error;
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  const writer = child.stdin.getWriter();
  // A program that has ended does not read; its output says why.
  await writer.write(new TextEncoder().encode(SAYS)).catch(() => {});
  await writer.close().catch(() => {});
  const { success, stderr } = await child.output();
  clearTimeout(timer);
  if (success) return;
  throw new TemporaryError(
    `bytecode: ${new TextDecoder().decode(stderr).trimEnd() || "no answer"}`,
  );
}
