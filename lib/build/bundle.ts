/**
 * What lies in the binary: main.ts and all that a connection needs as one script,
 * beside which bytecode.ts puts what V8 made of it; the configuration module; the
 * commands; and what hardly any connection needs.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import { step } from "./deno.ts";
import { ROOT } from "./std.ts";

/** What stays a module of its own, as it is named where it is imported. */
const COMMANDS = "./lib/commands/mod.ts";
const SELDOM = "./seldom.ts";
const CONFIG = "./greylist.config.ts";
const OTHERS = [COMMANDS, SELDOM, CONFIG];

/** Files of a bundle that others have to know. */
export const SCRIPT = "greylist.script";

/** See {@linkcode SCRIPT}. */
export const BYTECODE = "greylist.bytecode";

/** The module that is run; see {@linkcode SCRIPT}. */
export const BOOT = "boot.js";

/**
 * Bundles main.ts with a configuration module.
 *
 * @param config the module, or one in its place
 * @param directory where the files are put; it must exist
 * @param flags the options of `deno bundle` that say where @std is
 * @throws {TemporaryError} with what Deno says
 */
export async function makeBundle(
  config: string,
  directory: string,
  flags: readonly string[],
): Promise<void> {
  const bundle = async (module: string, name: string, more: string[] = []) => {
    const output = join(directory, name);
    await step([
      "bundle",
      ...flags,
      ...more,
      // A shorter text is read faster, and names no path of this machine.
      "--minify",
      `--output=${output}`,
      module,
    ]);
    return output;
  };
  const source = (name: string) => fromFileUrl(new URL(name, ROOT));
  await bundle(config, asJavaScript(CONFIG));
  await bundle(source(COMMANDS), asJavaScript(COMMANDS));
  await bundle(source(`lib/${SELDOM}`), asJavaScript(SELDOM));
  const main = await bundle(source("main.ts"), "main.js", [
    ...OTHERS.map((name) => `--external=${name}`),
  ]);
  const script = scriptOf(await Deno.readTextFile(main));
  await Deno.remove(main);
  await Deno.writeTextFile(join(directory, SCRIPT), script);
  await Deno.writeTextFile(join(directory, BOOT), BOOT_TEXT);
}

/** A module of TypeScript would be translated once more, and grow. */
function asJavaScript(name: string): string {
  return name.replace(/\.ts$/, ".js");
}

/**
 * Makes a script of main.ts's bundle, since node:vm has bytecode of scripts only.
 * It is a function that is told how to import a module, and gives `main`.
 *
 * @throws {Error} where the bundle holds something that no script may
 */
export function scriptOf(bundle: string): string {
  const main = /export\s*\{\s*([\w$]+) as main\s*\};?\s*$/;
  let text = bundle.replace(main, "return $1;");
  text = text.replaceAll("import.meta.main", "false");
  for (const name of OTHERS) {
    text = text.replaceAll(
      `import("${name}")`,
      `load("${asJavaScript(name)}")`,
    );
  }
  if (!main.test(bundle) || /(^|[;}])import\b|\bimport[(.]/.test(text)) {
    throw new Error("main.ts: its bundle cannot be made a script");
  }
  return `(async load=>{"use strict";${text}})`;
}

/**
 * The first module of the program. Should V8 refuse the bytecode, it reads the
 * script.
 */
const BOOT_TEXT = `import { Script } from "node:vm";
let code = 111;
try {
  const { dirname } = import.meta;
  const script = new Script(Deno.readTextFileSync(dirname + "/${SCRIPT}"), {
    filename: "${SCRIPT}",
    cachedData: Deno.readFileSync(dirname + "/${BYTECODE}"),
  });
  const main = await script.runInThisContext()((name) => import(name));
  code = await main(Deno.args, () => import("./greylist.config.js"));
} catch {
  // There is no log, and nobody but the client who would read it.
}
Deno.exit(code);
`;
