/**
 * `greylist check` and what it finds.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import type { Path } from "../../lib/config.ts";
import { clean, compile } from "./binary.ts";
import { makeEntry } from "./entry.ts";
import { type Outcome, run } from "./process.ts";
import { ROOT, writeFile } from "./root.ts";

export const FILE = `${ROOT}/check-whitelist` as Path;
export const NOBODY = "65534";
export const AS_NOBODY = [
  "setpriv",
  `--reuid=${NOBODY}`,
  `--regid=${NOBODY}`,
  "--clear-groups",
];

export const binary = () =>
  compile({ whitelist: { files: [FILE] }, serve: undefined });

/** Everything as it should be. */
export function setUp(): void {
  clean();
  removeIfThere(FILE);
  makeEntry("192.0.2.0_24", 0, 0);
  writeFile("check-whitelist", "192.0.2.0/24\n");
}

export function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

export async function check(...args: string[]): Promise<Outcome> {
  return await run([await binary(), "check", ...args]);
}

/** Sees that exactly the lines that match need to be mended, in that order. */
export function assertFindings(outcome: Outcome, ...fixes: RegExp[]): void {
  const { code, stdout, stderr } = outcome;
  assertEquals(stderr, "");
  const lines = stdout.split("\n");
  assertEquals(lines.pop(), "");
  for (const line of lines) {
    assertMatch(line, /^(ok {3}|note |warn |FIX {2})[ -~]+$/);
  }
  const found = lines.filter((line) => line.startsWith("FIX"));
  assertEquals(found.length, fixes.length, stdout);
  found.forEach((line, i) => assertMatch(line, fixes[i]));
  assertEquals(code, fixes.length === 0 ? 0 : 100);
}
