/**
 * The checks of a configuration module by `deno task compile`: its values, its
 * types, and the permissions that it needs while it runs.
 *
 * @module
 */

import type { ResolvedConfig } from "../config.ts";
import { resolveConfig } from "../config/resolve.ts";
import { ConfigError } from "../config/fields.ts";
import { TemporaryError } from "../commands/command.ts";
import { V8_LINEAR } from "../whitelist/expression.ts";
import { type Needs, needsOf } from "./binary.ts";
import { deno } from "./deno.ts";
import { permissionFlags, type Permissions } from "./permissions.ts";
import { inOneLine, readTypeError } from "./deno_message.ts";
import { ROOT } from "./std.ts";

/** A configuration module that cannot be used; the message begins with FILE. */
export class BadConfig extends Error {}

/** A configuration module that was imported and checked. */
export interface Loaded {
  /** Its default export. */
  readonly raw: unknown;
  readonly config: ResolvedConfig;
  /** The needs of its binary. */
  readonly needs: Needs;
}

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
export async function checkTypes(
  file: URL,
  name: string,
  flags: string[],
): Promise<void> {
  const { success, output } = await deno(["check", ...flags, file.href]);
  if (success) return;
  const fault = readTypeError(output);
  if (/lockfile is out of date/i.test(output)) {
    throw new BadConfig(
      `${name}: imports a package, or a module of Node's whose types are one: ` +
        "expected a module without packages, which the lock file does not know",
    );
  }
  if (fault === undefined) {
    throw new TemporaryError(`deno check failed:\n${output.trimEnd()}`);
  }
  const module = fault.module === file.href ? name : fault.module;
  throw new BadConfig(
    `${module}:${fault.line}:${fault.column}: ${fault.message}`,
  );
}

/**
 * Runs a configuration module once under the conditions of a connection: with the
 * program's permissions, and with a client's socket as its output.
 *
 * @throws {BadConfig} if it needs more permissions, or prints something
 */
export async function rehearse(
  file: URL,
  name: string,
  permissions: Permissions,
  flags: string[],
): Promise<void> {
  const script = `
    const { resolveConfig } = await import("${new URL(
    "lib/config/resolve.ts",
    ROOT,
  )}");
    resolveConfig((await import(${JSON.stringify(file.href)})).default);`;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      `--v8-flags=${V8_LINEAR}`,
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
        "compiled program may do: no files but its own, no network, no programs",
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
