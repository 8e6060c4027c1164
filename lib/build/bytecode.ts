/**
 * The bytecode of the script that every connection runs. Reading and compiling
 * its text is most of what a connection costs above an empty program, and V8 can
 * keep what comes of that. Deno would have it do so in a file in the temporary
 * directory, which anyone may plant; here it lies in the binary.
 *
 * V8 compiles a function when it is first called. So the script sees to a few
 * clients first, in a program made like the one that is built: V8 takes bytecode
 * from nothing else. What they do not need stays text, since reading bytecode
 * takes its time too.
 *
 * @module
 */

import { copy } from "@std/fs/copy";
import { join } from "@std/path";
import { TemporaryError } from "../commands/command.ts";
import type { ResolvedConfig } from "../config.ts";
import { resolveConfig } from "../config/resolve.ts";
import { bakedConfig } from "./baked.ts";
import { makeBinary } from "./binary.ts";
import { BYTECODE, SCRIPT } from "./bundle.ts";

/** How long all that may take, in milliseconds. */
const PATIENCE = 60_000;

/** A client, and how the program ends that sees to it. */
interface Client {
  readonly ip: string;
  readonly code: number;
}

/** What the first one says. */
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
 * Makes the program in which scripts see to clients. It may do anything, and reads
 * the script from a file.
 *
 * @param program a directory with the modules that a script may import
 * @param v8Flags those of the program that is built
 * @param directory an existing directory for the trainer
 * @param scratch an existing directory to put denort in
 * @throws {TemporaryError} with what Deno says
 */
export async function makeTrainer(
  program: string,
  v8Flags: string,
  directory: string,
  scratch: string,
): Promise<void> {
  const modules = join(directory, "modules");
  await copy(program, modules);
  const module = join(modules, "trainer.js");
  await Deno.writeTextFile(module, SOURCE);
  await makeBinary(
    { module, include: [modules], v8Flags, permissions: ["-A"] },
    join(directory, TRAINER),
    scratch,
  );
  await Deno.remove(modules, { recursive: true });
}

/**
 * Has the script see to clients and keeps its bytecode.
 *
 * @param script its text
 * @param at the configuration's `deferral.at`
 * @param directory that of the bundle, where the bytecode is put
 * @param scratch an existing directory
 * @param trainer the program of {@linkcode makeTrainer}
 * @throws {TemporaryError} if the script does not do what it should, or if V8
 * does not take the bytecode
 */
export async function makeBytecode(
  script: string,
  at: ResolvedConfig["deferral"]["at"],
  directory: string,
  scratch: string,
  trainer: string,
): Promise<void> {
  const base = join(scratch, "clients");
  await Deno.mkdir(base, { mode: 0o700 });
  for (const name of ["203.0.113.0_24", "2001:db8::_64"]) {
    await Deno.writeTextFile(join(base, name), "x");
  }
  // To become rblsmtpd would be the end of it. The dialogue is for trouble there.
  const deferral = { at: at === "rblsmtpd" ? "banner" : at };
  const raw = { baseDir: base, controlDir: base, deferral };
  const config = {
    default: raw,
    compiled: bakedConfig(raw, resolveConfig(raw)),
  };
  const clients: Client[] = [
    { ip: "192.0.2.1", code: 0 },
    // These are let in, but what they are let in to is not there.
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
  await run(trainer, ["take", job]);
}

/**
 * The module that makes bytecode, or finds out whether it is taken: a second
 * process has to do that, since V8 remembers what it has compiled.
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
  // The configuration that lies in the script is not run: here it could do more
  // than in the binary.
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
  const child = new Deno.Command(program, {
    args,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(SAYS));
  await writer.close();
  const { success, stderr } = await child.output();
  clearTimeout(timer);
  if (success) return;
  throw new TemporaryError(
    `bytecode: ${new TextDecoder().decode(stderr).trimEnd() || "no answer"}`,
  );
}
