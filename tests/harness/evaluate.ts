/**
 * Code that runs in a process of its own, whose descriptors, limits and signals it
 * may change.
 *
 * @module
 */

import { V8_LINEAR } from "../../lib/whitelist/expression.ts";
import { IMPORT_MAP_VARIABLE } from "../../lib/build/std.ts";
import { type Outcome, run } from "./process.ts";

/** The URL of a module of the project, such as `lib/log.ts`. */
export function moduleUrl(path: string): string {
  return new URL(`../../${path}`, import.meta.url).href;
}

/** The option for the import map of these tests, if they have one. */
function importMap(): string[] {
  const file = Deno.env.get(IMPORT_MAP_VARIABLE);
  return file === undefined ? [] : [`--import-map=${file}`];
}

/** The command line that evaluates TypeScript. */
export function evaluation(code: string): string[] {
  const flags = ["--quiet", "--no-lock", "--unstable-net", ...importMap()];
  return [Deno.execPath(), "eval", ...flags, code];
}

/** The command line that runs a module of the project with all permissions. */
export function program(file: string, ...args: string[]): string[] {
  const flags = ["-A", "--quiet", "--no-lock", "--no-check", ...importMap()];
  const v8 = `--v8-flags=${V8_LINEAR}`;
  return [Deno.execPath(), "run", v8, ...flags, file, ...args];
}

/**
 * Evaluates TypeScript with all permissions.
 *
 * @param shell the command of sh(1) that runs it as `"$@"`, and may redirect it
 */
export function evaluate(
  code: string,
  shell = 'exec "$@"',
): Promise<Outcome> {
  return run(["sh", "-c", shell, "sh", ...evaluation(code)]);
}
