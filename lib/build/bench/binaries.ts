/**
 * The binaries that are measured. Each comes from a throw-away configuration by
 * way of maker.ts, and is what `deno task compile` makes; beside them stands an empty
 * program that is made with the same options.
 *
 * @module
 */

import { basename, fromFileUrl, join } from "@std/path";
import { TemporaryError } from "../../commands/command.ts";
import type { Config } from "../../config.ts";
import { userId } from "../../system/user.ts";
import { V8_LINEAR } from "../../whitelist/expression.ts";
import { makeBinary, needsOf } from "../binary.ts";
import { permissionFlags } from "../permissions.ts";
import { chosenStd, ROOT, stdFlags } from "../std.ts";
import { type Bench, logOf } from "./plan.ts";
import { Process } from "./process.ts";

/** How long one build may take, in seconds; it may have to download. */
const BUILD_TIME = 300;

/** Paths of the binaries. */
export interface Binaries {
  /** Does nothing. */
  readonly floor: string;
  readonly rcpt: string;
  readonly banner: string;
  readonly rblsmtpd: string;
  /** For `greylist serve`. */
  readonly serve: string;
  /** Its database and its whitelist are below {@linkcode siteOf}. */
  readonly growth: string;
}

/** The base directory of all binaries but `growth`. */
export function baseOf({ scratch }: Bench): string {
  return join(scratch, "base");
}

/** A link to the directory that holds what `growth` works with at the time. */
export function siteOf({ scratch }: Bench): string {
  return join(scratch, "site");
}

/**
 * Copies binaries, because one copy may run some percent faster than another,
 * depending on where in memory the page cache has it.
 *
 * @returns the copies of each, in the order of the paths
 */
export async function copiesOf(
  { scratch, plan, say }: Bench,
  paths: readonly string[],
): Promise<string[][]> {
  const copies = paths.map((): string[] => []);
  for (let i = 0; i < plan.copies; i++) {
    say(`copying binaries: ${i + 1} of ${plan.copies}`);
    for (const [at, path] of paths.entries()) {
      const copy = join(scratch, `${basename(path)}.${i}`);
      await Deno.copyFile(path, copy);
      copies[at].push(copy);
    }
  }
  return copies;
}

/** Builds all binaries that are measured. */
export async function makeBinaries(bench: Bench): Promise<Binaries> {
  const { scratch, say } = bench;
  const control = join(scratch, "control");
  await Deno.mkdir(baseOf(bench), { mode: 0o700 });
  await Deno.mkdir(control);
  // What greylist calls the server in its banner (qmail-smtpd(8)).
  await Deno.writeTextFile(join(control, "me"), "mx.example\n");
  const common: Config = {
    baseDir: baseOf(bench) as Config["baseDir"],
    controlDir: control as Config["controlDir"],
    // A client that is deferred has to stay so until the end of the measurement.
    timeouts: { delay: "1h" },
    // A busy machine or disk may be slower than the default.
    storeTimeout: "1m",
  };
  const growth: Config = {
    ...common,
    baseDir: `${siteOf(bench)}/base` as Config["baseDir"],
    whitelist: { files: [`/${siteOf(bench).slice(1)}/whitelist`] },
  };
  const made: string[] = [];
  const build = async (name: string, config: Config) => {
    say(`compiling ${made.length + 1} of 6`);
    made.push(await compileConfig(bench, name, config));
    return made.at(-1)!;
  };
  return {
    rcpt: await build("rcpt", common),
    banner: await build("banner", { ...common, deferral: { at: "banner" } }),
    rblsmtpd: await build("rblsmtpd", {
      ...common,
      deferral: { at: "rblsmtpd" },
    }),
    serve: await build("serve", {
      ...common,
      // The default: it is measured what a client waits if the base directory hangs.
      storeTimeout: undefined,
      serve: serveSection(),
    }),
    growth: await build("growth", growth),
    floor: await compileEmpty(bench, common),
  };
}

/**
 * The section of `serve`. Root has to name a user; others stay who they are. All
 * clients of the bench come from one network.
 */
export function serveSection(): Config["serve"] {
  const user = userId() === 0 ? { user: "root" } : {};
  return { ...user, limitPerNetwork: 0 };
}

/**
 * Makes a binary: of this version by maker.ts, of another one, whose maker.ts may
 * take other arguments, by `deno task compile`.
 *
 * @param root the directory of the sources
 * @returns the path of the binary, in the scratch directory
 * @throws {TemporaryError} with what the compiler says
 */
export async function compileConfig(
  bench: Pick<Bench, "scratch" | "signal">,
  name: string,
  config: Config,
  root: URL = ROOT,
): Promise<string> {
  bench.signal.throwIfAborted();
  const file = await writeConfig(bench, name, config, root);
  const output = join(bench.scratch, name);
  const task = fromFileUrl(new URL("lib/build/task.ts", root));
  const child = new Process({
    argv: root === ROOT
      ? await makerCommand(Deno.execPath(), bench.scratch, file, output)
      : [
        Deno.execPath(),
        ...["run", "-A", "--no-lock", task, "compile"],
        `--config=${file}`,
        `--output=${output}`,
      ],
    // If the build is interrupted, its files are removed with the rest.
    env: { ...Deno.env.toObject(), TMPDIR: bench.scratch },
    errors: logOf(bench),
  });
  const { code } = await child.ended(BUILD_TIME);
  bench.signal.throwIfAborted();
  if (code === 0) return output;
  const said = (await Deno.readTextFile(logOf(bench))).trimEnd();
  throw new TemporaryError(`compile: exit ${code}: ${said}`);
}

/**
 * The command that has maker.ts make a program.
 *
 * @param deno the executable of the Deno that makes it
 * @param directory an existing directory for what all programs of this Deno have in
 * common
 * @param config the configuration module
 * @param output the path of the program
 */
export async function makerCommand(
  deno: string,
  directory: string,
  config: string,
  output: string,
): Promise<string[]> {
  const shared = join(directory, "shared");
  await Deno.mkdir(shared, { recursive: true });
  return [
    deno,
    ...["run", "-A", "--quiet", "--no-check", `--v8-flags=${V8_LINEAR}`],
    ...await stdFlags(chosenStd(), directory),
    fromFileUrl(new URL("lib/build/maker.ts", ROOT)),
    ...[config, output, shared],
  ];
}

/**
 * Writes a configuration module.
 *
 * @param root the directory of the sources
 * @returns its path, in the scratch directory
 */
export async function writeConfig(
  { scratch }: Pick<Bench, "scratch">,
  name: string,
  config: Config,
  root: URL = ROOT,
): Promise<string> {
  const file = join(scratch, `${name}.config.ts`);
  const library = new URL("lib/config.ts", root).href;
  await Deno.writeTextFile(
    file,
    `import { defineConfig } from ${JSON.stringify(library)};\n` +
      `export default defineConfig(${JSON.stringify(config)});\n`,
  );
  return file;
}

/** Makes a program that does nothing, with the options of the others. */
async function compileEmpty(bench: Bench, config: Config): Promise<string> {
  bench.signal.throwIfAborted();
  bench.say("compiling an empty program");
  const module = join(bench.scratch, "floor.js");
  const output = join(bench.scratch, "floor");
  await Deno.writeTextFile(module, "");
  const scratch = await Deno.makeTempDir({ dir: bench.scratch });
  const { v8Flags, permissions } = needsOf(config);
  await makeBinary(
    { module, v8Flags, permissions: permissionFlags(permissions) },
    output,
    scratch,
  );
  return output;
}
