/**
 * The checks of a configuration module by `deno task compile`: its values, its
 * types, and the permissions that it needs while it runs.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import type { ResolvedConfig } from "../config.ts";
import { resolveConfig } from "../config/resolve.ts";
import { ConfigError } from "../config/fields.ts";
import { TemporaryError } from "../commands/command.ts";
import { inOneLine } from "../reason.ts";
import { V8_LINEAR } from "../whitelist/expression.ts";
import { bakedModule } from "./baked.ts";
import { type Needs, needsOf } from "./binary.ts";
import { deno } from "./deno.ts";
import { permissionFlags, type Permissions } from "./permissions.ts";
import { readTypeError } from "./deno_message.ts";
import { killDescendants } from "./signals.ts";
import { ROOT } from "./std.ts";

/**
 * How long a module may take, in milliseconds. The first time, Deno fetches the
 * standard library meanwhile.
 */
const PATIENCE = 120_000;

/**
 * How long a module that was imported is watched, in milliseconds. A rejected
 * promise or a timer may end the program after the import.
 */
export const MOMENT = 100;

/** A configuration module that cannot be used; the message begins with FILE. */
export class BadConfig extends Error {}

/** A configuration module that was imported and checked: plain data. */
export interface Loaded {
  /** The file's name in messages. */
  readonly name: string;
  /** The text of the module in its place, see `bakedModule`. */
  readonly baked: string;
  /** The configuration's `deferral.at`. */
  readonly at: ResolvedConfig["deferral"]["at"];
  /** The needs of its binary. */
  readonly needs: Needs;
}

/** How Deno says that an import is not in the lock file. */
const NOT_LOCKED = /lockfile is out of date/i;

/** Why a module with such an import is refused. */
const PACKAGE =
  "imports a package that the lock file does not know: expected a " +
  "module without packages";

/** What Deno 2.4 and 2.5 would add to the lock file for a module of Node.js. */
const NODE_TYPES = "npm:@types/node@";

/** What a module has to do without. */
const EXPECTED =
  "expected a module that needs no more than the compiled program may do: no " +
  "files but its own, no network, no programs";

/** Why a module that imports `node:fs` or the like is refused. */
const NODE =
  "imports a module of Node.js, whose types are a package that the " +
  `lock file does not know: ${EXPECTED}`;

/**
 * Imports a configuration module, checks it and finds out what it needs.
 *
 * @param name the file's name in messages
 * @throws {BadConfig} if it cannot be imported or its default export is wrong
 */
export async function loadConfig(file: URL, name: string): Promise<Loaded> {
  let module: { default?: unknown };
  try {
    const { isFile } = await Deno.stat(file);
    if (!isFile) throw new Error("expected a TypeScript module, not this");
    module = await import(file.href);
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    const reason = missing ? "no such file" : inOneLine(error);
    throw new BadConfig(
      `${name}: ${NOT_LOCKED.test(reason) ? PACKAGE : reason}`,
    );
  }
  if (!("default" in module)) {
    throw new BadConfig(
      `${name}: no default export: expected export default defineConfig({...})`,
    );
  }
  try {
    const raw = module.default;
    const config = resolveConfig(raw);
    return {
      name,
      baked: bakedModule(file, raw, config),
      at: config.deferral.at,
      needs: needsOf(raw),
    };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new BadConfig(`${name}: ${error.message}`);
  }
}

/** What loader.ts writes. */
export type LoadOutcome = { readonly loaded: Loaded } | {
  readonly fault: string;
};

/**
 * Loads a configuration module in a process of its own: a module may end its
 * process, or keep it busy for ever.
 *
 * @param flags the options of `deno run` that say where @std is
 * @param scratch an existing directory
 * @param patience how long the module may take, in milliseconds
 * @throws {BadConfig} see {@linkcode loadConfig}; also if it prints something, takes
 * too long, calls `Deno.exit`, or has an error that nothing catches
 */
export async function loadApart(
  file: URL,
  name: string,
  flags: readonly string[],
  scratch: string,
  patience: number = PATIENCE,
): Promise<Loaded> {
  const loader = fromFileUrl(new URL("lib/build/loader.ts", ROOT));
  const report = join(scratch, "loaded.json");
  const options = [...flags, "-A", loader, file.href, name, report];
  const failure = await runModule(name, options, patience);
  if (failure !== undefined) throw new BadConfig(`${name}: ${failure}`);
  let text: string;
  try {
    text = await Deno.readTextFile(report);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new BadConfig(
      `${name}: ends its process: expected a module that only exports`,
    );
  }
  const outcome: LoadOutcome = JSON.parse(text);
  if ("fault" in outcome) throw new BadConfig(outcome.fault);
  return outcome.loaded;
}

/**
 * Checks the types of a configuration module.
 *
 * @throws {BadConfig} with the place of the first error, or if the module imports
 * types of a package, or a module of Node.js
 * @throws {TemporaryError} if `deno check` fails for another reason
 */
export async function checkTypes(
  file: URL,
  name: string,
  flags: readonly string[],
): Promise<void> {
  const { success, output } = await deno(["check", ...flags, file.href]);
  if (success) return;
  if (NOT_LOCKED.test(output)) {
    const reason = output.includes(NODE_TYPES) ? NODE : PACKAGE;
    throw new BadConfig(`${name}: ${reason}`);
  }
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
 * Runs a configuration module under the conditions of a connection: with the
 * program's permissions, and with a client's socket as its output.
 *
 * @param patience how long the module may take, in milliseconds
 * @throws {BadConfig} if it needs more permissions, prints something, or takes too
 * long
 */
export async function rehearse(
  file: URL,
  name: string,
  permissions: Permissions,
  flags: readonly string[],
  patience: number = PATIENCE,
): Promise<void> {
  const script = `
    const { resolveConfig } = await import("${new URL(
    "lib/config/resolve.ts",
    ROOT,
  )}");
    resolveConfig((await import(${JSON.stringify(file.href)})).default);
    await new Promise((done) => setTimeout(done, ${MOMENT}));
    // As main.ts ends: timers of the module do not keep the program.
    Deno.exit(0);`;
  const options = [
    ...flags,
    ...permissionFlags(permissions),
    `data:text/javascript,${encodeURIComponent(script)}`,
  ];
  const failure = await runModule(name, options, patience);
  if (failure === undefined) return;
  throw new BadConfig(`${name}: ${failure}: ${EXPECTED}`);
}

/**
 * Runs a program that imports a configuration module.
 *
 * @param options of `deno run`, and the program
 * @returns why it failed, undefined if it did not
 * @throws {BadConfig} if it prints something, or takes too long
 */
async function runModule(
  name: string,
  options: readonly string[],
  patience: number,
): Promise<string | undefined> {
  const child = new Deno.Command(Deno.execPath(), {
    // Without --quiet, Deno's own warnings and downloads are on stderr.
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      `--v8-flags=${V8_LINEAR}`,
      ...options,
    ],
    env: { NO_COLOR: "1", RUST_BACKTRACE: "0", DENO_LOG: "error" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killDescendants();
  }, patience);
  const { success, stdout, stderr } = await child.output();
  clearTimeout(timer);
  if (late) {
    throw new BadConfig(
      `${name}: runs for more than ${patience / 1000} seconds: expected a ` +
        "module that comes to an end, for it runs at each connection",
    );
  }
  const decoder = new TextDecoder();
  const said = decoder.decode(stderr);
  if (!success) {
    const text = /^error: (?:Uncaught )?(?:\(in promise\) )?(?:\w+: )?(.*)$/m
      .exec(said)?.[1].replace(/, run again with [^"]*/, "");
    return text ?? inOneLine(said);
  }
  const printed = (decoder.decode(stdout) || said).split("\n")[0];
  if (stdout.length + stderr.length === 0) return undefined;
  throw new BadConfig(
    `${name}: prints ${JSON.stringify(printed.slice(0, 60))}: expected a ` +
      "module that prints nothing, for the client would read it",
  );
}
