/**
 * `deno task compile`: checks a configuration module, bundles main.ts with it
 * and makes one binary of that, which may do no more than this configuration
 * needs.
 *
 * @module
 */

import { ensureDir } from "@std/fs/ensure-dir";
import { dirname, fromFileUrl, join, resolve, toFileUrl } from "@std/path";
import {
  EXIT,
  parseOptions,
  TemporaryError,
  UsageError,
} from "../commands/command.ts";
import { resolveConfig, type ResolvedConfig } from "../config.ts";
import { ConfigError } from "../fields.ts";
import { resolveServe, type ServeConfig } from "../serve/config.ts";
import { bakedModule } from "./baked.ts";
import { cachedDenort, fetchDenort, lacksDenort } from "./denort.ts";
import {
  describePermissions,
  permissionFlags,
  type Permissions,
  permissionsOf,
} from "./permissions.ts";
import { inOneLine, readTypeError } from "./report.ts";
import { ROOT, type Std, STD_VARIABLE, stdFlags } from "./std.ts";

/**
 * V8's options, fixed in the binary: one thread instead of three, and neither
 * compiler nor its reservations, which a program that lives for milliseconds
 * cannot use. One that is configured to `serve` lives on, and takes nearly half
 * as long again for a deferred client without a compiler.
 */
function v8FlagsOf({ configured }: ServeConfig): string {
  return configured ? "--single-threaded" : "--single-threaded,--lite-mode";
}

/** The configuration module that main.ts imports. */
const ORIGINAL = new URL("greylist.config.ts", ROOT);

/**
 * What main.ts and its modules import only when they need it, as they name it,
 * and the module itself. Each is a file of its own in the binary: a connection
 * pays for every line that is loaded, but hardly for one that lies there.
 */
const LATER = {
  "./dialogue.ts": new URL("lib/dialogue.ts", ROOT),
  "./lib/commands/mod.ts": new URL("lib/commands/mod.ts", ROOT),
  "./validation.ts": new URL("lib/validation.ts", ROOT),
  "./prune.ts": new URL("lib/prune.ts", ROOT),
  "./whitelist_cache.ts": new URL("lib/whitelist_cache.ts", ROOT),
};

/** A configuration module that cannot be used; the message begins with FILE. */
class BadConfig extends Error {}

/** Runs a deno subcommand and returns what it wrote. */
async function deno(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ success: boolean; output: string }> {
  const { success, stdout, stderr } = await new Deno.Command(
    Deno.execPath(),
    {
      args,
      env: { NO_COLOR: "1", RUST_BACKTRACE: "0", ...env },
      stdin: "null",
    },
  ).output();
  const decoder = new TextDecoder();
  return { success, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** Runs a step of the build; its output is shown only where it fails. */
async function step(args: string[]): Promise<void> {
  const { success, output } = await deno(args);
  if (success) return;
  throw new TemporaryError(`deno ${args[0]} failed:\n${output.trimEnd()}`);
}

/** What a configuration needs of a binary. */
interface Needs {
  readonly permissions: Permissions;
  readonly v8Flags: string;
}

/**
 * What a configuration needs of a binary.
 *
 * @param raw what its module exports as default
 * @throws {ConfigError}
 */
export function needsOf(raw: unknown): Needs {
  const serve = resolveServe(raw);
  const permissions = permissionsOf(resolveConfig(raw), serve);
  return { permissions, v8Flags: v8FlagsOf(serve) };
}

/** What a configuration module says. */
interface Loaded {
  /** Its default export. */
  readonly raw: unknown;
  readonly config: ResolvedConfig;
  readonly needs: Needs;
}

/**
 * Imports a configuration module, checks it and finds out what it needs.
 *
 * @param name how the user calls it
 * @throws {BadConfig} where it cannot be imported or its default export is wrong
 */
async function loadConfig(file: URL, name: string): Promise<Loaded> {
  let module: { default?: unknown };
  try {
    const { isFile } = await Deno.stat(file);
    if (!isFile) throw new Error("expected a TypeScript module, not this");
    module = await import(file.href);
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    const reason = missing ? "no such file" : inOneLine(error);
    throw new BadConfig(`${name}: ${reason}`);
  }
  if (!("default" in module)) {
    throw new BadConfig(
      `${name}: no default export: expected export default defineConfig({...})`,
    );
  }
  try {
    const raw = module.default;
    const config = resolveConfig(raw);
    return { raw, config, needs: needsOf(raw) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new BadConfig(`${name}: ${error.message}`);
  }
}

/**
 * Checks the types of a configuration module.
 *
 * @throws {BadConfig} with the place of the first error
 */
async function checkTypes(
  file: URL,
  name: string,
  flags: string[],
): Promise<void> {
  const { success, output } = await deno(["check", ...flags, file.href]);
  if (success) return;
  const fault = readTypeError(output);
  if (fault === undefined) {
    throw new TemporaryError(`deno check failed:\n${output.trimEnd()}`);
  }
  const module = fault.module === file.href ? name : fault.module;
  throw new BadConfig(
    `${module}:${fault.line}:${fault.column}: ${fault.message}`,
  );
}

/**
 * Runs a configuration module once the way each connection will: with the
 * program's permissions, and with a client where its output goes.
 *
 * @throws {BadConfig} where it needs more than that, or prints something
 */
async function rehearse(
  file: URL,
  name: string,
  permissions: Permissions,
  flags: string[],
): Promise<void> {
  const script = `
    const { resolveConfig } = await import("${new URL("lib/config.ts", ROOT)}");
    resolveConfig((await import(${JSON.stringify(file.href)})).default);`;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      ...flags,
      ...permissionFlags(permissions),
      `data:text/javascript,${encodeURIComponent(script)}`,
    ],
    env: { NO_COLOR: "1", RUST_BACKTRACE: "0" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (!success) {
    const text = decoder.decode(stderr);
    const reason = /^error: (?:Uncaught )?(?:\(in promise\) )?(?:\w+: )?(.*)$/m
      .exec(text)?.[1].replace(/, run again with .*/, "") ?? text;
    throw new BadConfig(
      `${name}: ${reason}: expected a module that needs no more than the ` +
        "compiled program may do",
    );
  }
  const [printed] = decoder.decode(stdout).split("\n");
  if (stdout.length > 0) {
    throw new BadConfig(
      `${name}: prints ${JSON.stringify(printed.slice(0, 60))}: expected a ` +
        "module that prints nothing, for the client would read it",
    );
  }
}

/** Puts a module and all that it imports into one file. */
async function bundleModule(
  module: URL,
  output: string,
  flags: string[],
): Promise<void> {
  await ensureDir(dirname(output));
  await step([
    "bundle",
    ...flags,
    // A shorter text is loaded faster, and names no path of this machine.
    "--minify",
    `--output=${output}`,
    fromFileUrl(module),
  ]);
}

/**
 * Makes a binary of one module, with denort from wherever it can be had.
 *
 * @param scratch an existing directory to put denort in
 * @throws {TemporaryError} with what Deno says
 */
export async function compileBundle(
  module: string,
  { permissions, v8Flags }: Needs,
  output: string,
  scratch: string,
): Promise<void> {
  const args = [
    "compile",
    // The module is all that there is: nothing else is looked up or embedded.
    "--no-config",
    "--no-lock",
    "--no-check",
    // The cache would be a file in the temporary directory that anyone may plant.
    "--no-code-cache",
    "--no-prompt",
    `--v8-flags=${v8Flags}`,
    ...permissionFlags(permissions),
    // Deno's own default is half a dozen hosts. All there is, is in the binary.
    "--deny-import",
    `--output=${output}`,
    module,
  ];
  const own = Deno.env.has("DENORT_BIN");
  const cached = own ? undefined : await cachedDenort(scratch);
  const first = await deno(args, cached ? { DENORT_BIN: cached } : {});
  if (first.success) return;
  if (own || cached || !lacksDenort(first.output)) {
    throw new TemporaryError(`deno compile failed:\n${first.output.trimEnd()}`);
  }
  const second = await deno(args, { DENORT_BIN: await fetchDenort(scratch) });
  if (second.success) return;
  throw new TemporaryError(`deno compile failed:\n${second.output.trimEnd()}`);
}

/** Builds in a directory of its own and puts the result in its place. */
async function build(
  options: Record<string, string | boolean | undefined>,
  scratch: string,
): Promise<void> {
  const name = options.config as string | undefined;
  const file = name === undefined ? ORIGINAL : toFileUrl(resolve(name));
  const shown = name ?? "greylist.config.ts";
  const output = resolve(
    options.output as string | undefined ??
      fromFileUrl(new URL("dist/greylist", ROOT)),
  );
  if (await isDirectory(output)) {
    throw new UsageError(`--output: ${output} is a directory: expected a file`);
  }
  const std: Std = Deno.env.get(STD_VARIABLE) === "npm" ? "npm" : "jsr";
  const { raw, config, needs } = await loadConfig(file, shown);
  const { permissions } = needs;
  await checkTypes(file, shown, await stdFlags(std, scratch));
  await rehearse(file, shown, permissions, await stdFlags(std, scratch));

  const baked = toFileUrl(join(scratch, "baked.ts"));
  await Deno.writeTextFile(baked, bakedModule(file, raw, config));
  const flags = await stdFlags(std, scratch, { original: ORIGINAL, by: baked });
  const bundle = join(scratch, "bundle", "greylist.js");
  await bundleModule(new URL("main.ts", ROOT), bundle, [
    ...flags,
    ...Object.keys(LATER).map((name) => `--external=${name}`),
  ]);
  for (const [name, module] of Object.entries(LATER)) {
    await bundleModule(module, join(scratch, "bundle", name), flags);
  }

  // Renamed into place, since a running binary cannot be written to.
  const fresh = `${output}.${Deno.pid}.new`;
  try {
    await ensureDir(dirname(output));
    await compileBundle(bundle, needs, fresh, scratch);
    await Deno.rename(fresh, output);
  } catch (error) {
    await Deno.remove(fresh).catch(() => {});
    throw error;
  }

  const { size } = await Deno.stat(output);
  console.log(`config ${fromFileUrl(file)}`);
  for (const line of describePermissions(permissions)) console.log(line);
  console.log(`output ${output} (${(size / 1e6).toFixed(1)} MB)`);
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}

/**
 * Runs one command line.
 *
 * @returns the exit code
 */
async function main(args: string[]): Promise<number> {
  let scratch: string | undefined;
  try {
    scratch = await Deno.makeTempDir({ prefix: "greylist-" });
    const { options, operands } = parseOptions(args, {
      string: ["config", "output"],
    });
    if (operands.length > 0) {
      throw new UsageError(
        `${operands[0]}: expected --config=FILE, if anything`,
      );
    }
    await build(options, scratch);
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error instanceof BadConfig) {
      console.error(error.message);
      return EXIT.wrong;
    }
    console.error(`greylist compile: ${error.message}`);
    return error instanceof UsageError ? EXIT.wrong : EXIT.temporary;
  } finally {
    if (scratch !== undefined) await Deno.remove(scratch, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
