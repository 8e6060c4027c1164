/**
 * Where @std comes from. `deno.json` names JSR; on a network without it the
 * same modules come from npm (`npm/imports.json`). The choice is made once, by
 * task.ts, and handed to every program below in GREYLIST_STD.
 *
 * This module imports nothing from @std, so that it runs where JSR does not answer.
 *
 * @module
 */

import { readReason } from "./deno_message.ts";

/** `GREYLIST_STD=jsr` forbids npm; `npm` does not even ask JSR. */
export type Std = "jsr" | "npm";

/** The variable in which the choice is handed on. */
export const STD_VARIABLE = "GREYLIST_STD";

/** The variable in which tests find the import map that they run with. */
export const IMPORT_MAP_VARIABLE = "GREYLIST_IMPORT_MAP";

/** The choice that was handed on to this program. */
export function chosenStd(): Std {
  return Deno.env.get(STD_VARIABLE) === "npm" ? "npm" : "jsr";
}

/** The directory of deno.json. */
export const ROOT: URL = new URL("../../", import.meta.url);

/** The file in which each source names its modules. */
export const IMPORTS: Readonly<Record<Std, URL>> = {
  jsr: new URL("deno.json", ROOT),
  npm: new URL("npm/imports.json", import.meta.url),
};

/** The lock file of each source. */
export const LOCKS: Readonly<Record<Std, URL>> = {
  jsr: new URL("deno.lock", ROOT),
  npm: new URL("npm/deno.lock", import.meta.url),
};

/**
 * How long a source may be silent, in milliseconds, before it counts as absent. Of
 * npm, Deno says nothing while it fetches a package.
 */
const SILENCE: Readonly<Record<Std, number>> = { jsr: 8000, npm: 120_000 };

/** Deno's reports of a source that is out of reach, or of something in its place. */
const ABSENT =
  /failed to load|error sending request|JSR package (version )?not found/i;

/** Why Deno could not get the modules. */
export interface Failure {
  /** Whether the source is out of reach; otherwise something is wrong with the modules. */
  readonly absent: boolean;
  /** One line of Deno's. */
  readonly reason: string;
}

/**
 * Reads what `deno cache` wrote to stderr when it failed. Not every failure is a
 * reason to use npm: a wrong integrity value, for example, is not.
 */
export function readFailure(stderr: string): Failure {
  return {
    absent: ABSENT.test(stderr) && !/integrity/i.test(stderr),
    reason: readReason(stderr) ?? "deno cache failed without a word",
  };
}

/**
 * Lets Deno fetch the packages of a source, or find them in its cache.
 *
 * @returns the failure, undefined if there was none
 */
export async function fetchStd(std: Std): Promise<Failure | undefined> {
  const packages = await packagesOf(std);
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "cache",
      "--no-config",
      ...lockFlags(std),
      ...packages,
    ],
    env: { NO_COLOR: "1", RUST_BACKTRACE: "0" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let stderr = "";
  let silent = false;
  const giveUp = () => {
    silent = true;
    child.kill("SIGKILL");
  };
  let timer = setTimeout(giveUp, SILENCE[std]);
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    stderr += text;
    clearTimeout(timer);
    timer = setTimeout(giveUp, SILENCE[std]);
  }
  const { success } = await child.status;
  clearTimeout(timer);
  if (success) return undefined;
  if (!silent) return readFailure(stderr);
  return { absent: true, reason: "no answer" };
}

/** The packages of a source, as Deno names them. */
async function packagesOf(std: Std): Promise<string[]> {
  if (std === "jsr") {
    const { imports } = JSON.parse(await Deno.readTextFile(IMPORTS.jsr));
    return Object.values(imports);
  }
  // The imports name modules here, and the lock file no other packages.
  const { specifiers } = JSON.parse(await Deno.readTextFile(LOCKS.npm));
  return Object.keys(specifiers);
}

/**
 * The options that make `deno run`, `test`, `check` and `bundle` take @std from
 * there, each package held to the integrity value in the lock file.
 *
 * @param scratch an existing directory for files that Deno is to read
 */
export async function stdFlags(
  std: Std,
  scratch: string,
): Promise<string[]> {
  const file = `${scratch}/imports.json`;
  const map = await importMap(std);
  await Deno.writeTextFile(file, JSON.stringify(map));
  return ["--no-config", `--import-map=${file}`, ...lockFlags(std)];
}

/**
 * The options that name the lock file. Frozen, it is never rewritten, and a package
 * that is not in it is refused before any module runs.
 */
function lockFlags(std: Std): string[] {
  return [`--lock=${path(LOCKS[std])}`, "--frozen"];
}

/** An import map with absolute targets, which may be written to any directory. */
async function importMap(std: Std) {
  const source = JSON.parse(await Deno.readTextFile(IMPORTS[std]));
  const imports: Record<string, string> = {};
  for (const [name, target] of Object.entries<string>(source.imports)) {
    imports[name] = target.startsWith("./")
      ? new URL(target, IMPORTS[std]).href
      : target;
    // In deno.json, `@std/fs` stands for `@std/fs/walk` too.
    if (target.startsWith("jsr:")) {
      imports[`${name}/`] = `${target.replace("jsr:", "jsr:/")}/`;
    }
  }
  return { imports };
}

/** The path of a file URL. */
export function path(url: URL): string {
  return decodeURIComponent(url.pathname);
}
