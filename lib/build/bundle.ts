/**
 * Makes the files in the binary: one script of main.ts and the configuration
 * module, which is all that most connections need; the modules that hardly any
 * connection needs; and the pages of the manual. bytecode.ts adds the script's
 * bytecode.
 *
 * @module
 */

import { copy } from "@std/fs/copy";
import { fromFileUrl, join } from "@std/path";
import { TemporaryError } from "../commands/command.ts";
import { BadConfig } from "./configuration.ts";
import { deno } from "./deno.ts";
import { ROOT } from "./std.ts";

/**
 * Modules that hardly any connection needs: each stays a module of its own, so
 * that no other start pays for reading it. By the specifier of the import.
 */
const SEPARATE: Readonly<Record<string, string>> = {
  "./lib/commands/mod.ts": "lib/commands/mod.ts",
  "./resolve.ts": "lib/config/resolve.ts",
  "./store/prune.ts": "lib/store/prune.ts",
};

/** Modules that `serve` runs in threads of their own. */
const WORKERS = ["lib/serve/prune_worker.ts", "lib/serve/store_worker.ts"];

const CONFIG = "./greylist.config.ts";

/** The specifiers of all imports that stay imports. */
const EXTERNAL = [...Object.keys(SEPARATE), CONFIG];

/** The pages that `greylist help` finds beside the directory of the commands. */
const MANUAL = "lib/manual";

/** The name of the script. */
export const SCRIPT = "greylist.script";

/** The file that its bytecode is in. */
export const BYTECODE = "greylist.bytecode";

/** The module that the binary runs. */
export const BOOT = "boot.js";

/** main.ts by itself, until it becomes a part of the script. */
const MAIN = "./main.ts";

/**
 * Bundles the modules that do not depend on the configuration.
 *
 * @param directory where the files are put; it must exist
 * @param flags the options of `deno bundle` that say where @std is
 * @throws {TemporaryError} with what Deno says
 */
export async function bundleProgram(
  directory: string,
  flags: readonly string[],
): Promise<void> {
  const source = (name: string) => fromFileUrl(new URL(name, ROOT));
  for (const [specifier, path] of Object.entries(SEPARATE)) {
    await bundle(source(path), specifier, directory, flags);
  }
  for (const path of WORKERS) {
    await bundle(source(path), path, directory, flags);
  }
  await copy(source(MANUAL), join(directory, MANUAL));
  await bundle(source("main.ts"), MAIN, directory, [
    ...flags,
    ...EXTERNAL.map((name) => `--external=${name}`),
  ]);
}

/**
 * Bundles a configuration module and makes a script of it and main.ts.
 *
 * @param config the module, or one in its place
 * @param name the file's name in messages
 * @param directory a copy of what {@linkcode bundleProgram} made
 * @param flags the options of `deno bundle` that say where @std is
 * @returns the text of the script
 * @throws {BadConfig} if the module uses import.meta
 * @throws {TemporaryError} with what Deno says
 */
export async function bundleConfig(
  config: string,
  name: string,
  directory: string,
  flags: readonly string[],
): Promise<string> {
  const main = join(directory, asJavaScript(MAIN));
  const module = await bundle(config, CONFIG, directory, flags);
  const text = await Deno.readTextFile(module);
  if (usesMeta(text)) {
    throw new BadConfig(
      `${name}: uses import.meta: expected a module without it, for its value ` +
        "is another one in the binary",
    );
  }
  const body = bodyOf(text);
  const script = scriptOf(await Deno.readTextFile(main), body);
  await Deno.remove(main);
  if (body !== undefined) await Deno.remove(module);
  await Deno.writeTextFile(join(directory, BOOT), bootOf(script));
  return script;
}

/** Bundles one module, and returns the path of the result. */
async function bundle(
  module: string,
  name: string,
  directory: string,
  flags: readonly string[],
): Promise<string> {
  const output = join(directory, asJavaScript(name));
  const { success, output: said } = await deno([
    "bundle",
    ...flags,
    // A shorter text is read faster, and names no path of this machine.
    "--minify",
    `--output=${output}`,
    module,
  ]);
  if (!success) throw bundleError(said);
  return output;
}

/**
 * The error of a `deno bundle` that failed.
 *
 * @param output what it wrote. Before Deno 2.8.3 it panics if its esbuild is not
 * whole, which an interrupted download leaves behind
 */
export function bundleError(output: string): TemporaryError {
  const panicked = output.includes("Deno has panicked");
  const remedy = panicked
    ? "\nIf esbuild in Deno's cache is not whole, this happens each time: remove " +
      "dl/esbuild-* below DENO_DIR, which `deno info` names, and try again."
    : "";
  return new TemporaryError(
    `deno bundle failed:\n${output.trimEnd()}${remedy}`,
  );
}

/** A module of TypeScript would be translated once more, and grow. */
function asJavaScript(name: string): string {
  return name.replace(/\.ts$/, ".js");
}

/**
 * Makes a script of main.ts's bundle and the configuration, because node:vm makes
 * bytecode of scripts only. The script is two functions. Each takes a function that
 * imports a module. The first returns the exports of main.ts, the second those of
 * the configuration module.
 *
 * @param config see {@linkcode bodyOf}; undefined if it stays a module
 * @throws {Error} if the bundle holds something that no script may
 */
export function scriptOf(bundle: string, config: string | undefined): string {
  let text = bundle.replaceAll("import.meta.main", "false");
  for (const name of EXTERNAL) {
    text = text.replaceAll(
      `import("${name}")`,
      `load("${asJavaScript(name)}")`,
    );
  }
  const main = bodyOf(text);
  if (main === undefined || !/return\{main:[\w$]+\};$/.test(main)) {
    throw new Error("main.ts: its bundle cannot be made a script");
  }
  const other = config ?? `return load("${asJavaScript(CONFIG)}");`;
  // V8 compiles a function with a parenthesis in front before it is called.
  const functions = [main, other].map((body) =>
    `(async function(load){"use strict";${body}})`
  );
  return `[${functions.join()}]`;
}

/**
 * Makes a function's body of a module's bundle. It returns the exports.
 *
 * @returns undefined if the bundle imports something, or may do so
 */
export function bodyOf(bundle: string): string | undefined {
  const found = /\bexport\s*\{([^{}]*)\};?\s*$/.exec(bundle);
  if (found === null) return undefined;
  const body = bundle.slice(0, found.index);
  if (/(^|[;}\s])(import|export)\b|\bimport\s*[(.]/.test(body)) {
    return undefined;
  }
  const fields = found[1].split(",").map((part) => {
    const [name, as = name] = part.trim().split(/\s+as\s+/);
    return `${as}:${name}`;
  });
  return `${body}return{${fields.join()}};`;
}

/**
 * Whether the bundle uses import.meta, which names a file in the temporary
 * directory once it is in a binary. import.meta.main is false here and there.
 */
export function usesMeta(bundle: string): boolean {
  return /\bimport\s*\.\s*meta\b(?!\.main\b)/.test(bundle);
}

/**
 * Whether the binary that this version of Deno makes holds bytecode.
 *
 * From 2.9 on, Deno's snapshot is without node:process, and a start that loads
 * node:vm takes 11 ms longer than one whose script V8 compiles each time: 42 ms,
 * or 48 ms by way of process.getBuiltinModule. On 2.4.2 bytecode saves 8 ms.
 */
export function usesBytecode(version: string): boolean {
  const [major, minor] = version.split(".").map(Number);
  return major < 2 || major === 2 && minor < 9;
}

/**
 * The first module of the program. If V8 refuses the bytecode, V8 compiles the
 * script. process.getBuiltinModule gives node:vm faster than an import before Deno
 * 2.9, and a text in this module is faster than a file.
 */
function bootOf(script: string): string {
  const text = JSON.stringify(script);
  const run = usesBytecode(Deno.version.deno)
    ? `const { Script } = process.getBuiltinModule("node:vm");
  const script = new Script(${text}, {
    filename: "${SCRIPT}",
    cachedData: Deno.readFileSync(import.meta.dirname + "/${BYTECODE}"),
  });
  const [start, config] = script.runInThisContext();`
    : `const [start, config] = (0, eval)(${text});`;
  return `const load = (name) => import(name);
let code = 111;
try {
  ${run}
  const { main } = await start(load);
  code = await main(Deno.args, () => config(load));
} catch {
  // There is no log, and only the client could read a message.
}
Deno.exit(code);
`;
}
