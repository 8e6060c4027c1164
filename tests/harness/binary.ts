/**
 * Binaries like those that `deno task compile` makes for an administrator.
 *
 * @module
 */

import { existsSync } from "@std/fs/exists";
import type { Config } from "../../lib/config.ts";
import { moduleUrl, program } from "./evaluate.ts";
import { hashOf, keep, openKept, restore } from "./kept.ts";
import { areAtRest, type Outcome, run } from "./process.ts";
import { PROJECT } from "./project.ts";
import { BASE, CONTROL, emptyDir, LOG, ROOT, writeFile } from "./root.ts";
import { standStill } from "./still.ts";

/** Root has to name the user of PROGRAM; all clients come from 127.0.0.0/8. */
export const SERVE: NonNullable<Config["serve"]> = {
  ...Deno.uid() === 0 ? { user: "root" } : {},
  limitPerNetwork: 0,
};

/** The fields that the configurations of the tests have in common. */
const COMMON: Config = {
  baseDir: BASE,
  controlDir: CONTROL,
  timeouts: { delay: "60s" },
  // A busy machine or disk may be slower than the default, and onError would decide.
  // Tests of what it decides have the default or a limit of their own.
  storeTimeout: "1m",
  log: { target: LOG },
  serve: SERVE,
};

/**
 * The text of a configuration module.
 *
 * @param config fields that differ from what all tests have in common
 * @param before lines in front of the export
 */
export function configModule(config: Partial<Config>, before = ""): string {
  const library = moduleUrl("lib/config.ts");
  return `import { defineConfig } from ${
    JSON.stringify(library)
  };\n${before}\n` +
    `export default defineConfig(${literal({ ...COMMON, ...config })});\n`;
}

/** A value as an expression. A function must not refer to anything outside. */
function literal(value: unknown): string {
  if (typeof value === "function") return value.toString();
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  const fields = Object.entries(value).filter(([, v]) => v !== undefined);
  return `{ ${fields.map(([k, v]) => `${k}: ${literal(v)}`).join(", ")} }`;
}

/** How long a build may take, in seconds: the first may have to download. */
export const PATIENCE = 300;

/**
 * Runs `deno task compile` with a configuration module and an output file, for
 * tests that are about compiling.
 *
 * @param before programs in front, such as `env A=b`
 */
export function compileTask(
  config: string,
  output: string,
  before: readonly string[] = [],
): Promise<Outcome> {
  const args = [`--config=${config}`, `--output=${output}`];
  return run([...before, Deno.execPath(), "task", "compile", ...args], {
    cwd: PROJECT,
    patience: PATIENCE,
  });
}

const made = new Map<string, Promise<string>>();

/**
 * Makes a binary as `deno task compile` does, or takes one that was kept.
 *
 * @param before see {@linkcode configModule}
 * @returns its path
 */
export function compile(
  config: Partial<Config> = {},
  before?: string,
): Promise<string> {
  const source = configModule(config, before);
  let binary = made.get(source);
  if (binary === undefined) made.set(source, binary = make(source));
  return binary;
}

async function make(source: string): Promise<string> {
  // Where the project is makes no difference to the binary.
  const key = await hashOf(source.replaceAll(moduleUrl(""), ""));
  const path = `${ROOT}/bin/${key}/greylist`;
  const config = writeFile(`bin/${key}/greylist.config.ts`, source);
  const kept = await openKept();
  if (restore(kept, key, path)) return path;
  const maker = `${PROJECT}lib/build/maker.ts`;
  const { code, stdout, stderr } = await run(
    program(maker, config, path, kept.shared),
    { cwd: PROJECT, patience: PATIENCE },
  );
  if (code !== 0) {
    throw new Error(`making a binary: exit ${code}\n${stdout}${stderr}`);
  }
  keep(kept, key, path);
  return path;
}

/**
 * The field `onError`, left out if it is the default: then the binary is one that
 * other tests have too.
 */
export function deciding(onError: "accept" | "defer"): Partial<Config> {
  return onError === "accept" ? {} : { onError };
}

/** Begins a test with an empty database, an empty log and a known name. */
export function clean(): void {
  emptyDir("base", 0o700);
  emptyDir("log");
  writeFile("control/me", "mx.example\n");
}

/**
 * Empties the log file and does not replace it: a listener has it open, or will
 * soon, since it opens it in another thread than the one that listens.
 */
export function emptyLog(): void {
  const end = Date.now() + BUSY;
  while (!existsSync(LOG) && Date.now() < end) standStill(QUIET);
  Deno.truncateSync(LOG);
}

/** The lines of the log file, or of another one. */
export function logLines(path: string = LOG): string[] {
  if (path === LOG && listeners.size > 0) settle(path);
  try {
    return Deno.readTextFileSync(path).split("\n").slice(0, -1);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** The listeners that were started. They write their lines in the background. */
const listeners = new Set<string>();

/** Says that a binary listens from now on. */
export function addListener(binary: string): void {
  listeners.add(binary);
}

/** How long a log that grows no more counts as complete, in milliseconds. */
const QUIET = 60;

/** How long a listener that is never at rest is waited for, in milliseconds. */
const BUSY = 30_000;

/**
 * Waits until a file grows no more, and the listeners are at rest. All of this
 * process stands still.
 */
function settle(path: string): void {
  const size = () => {
    try {
      return Deno.statSync(path).size;
    } catch {
      return 0;
    }
  };
  const end = Date.now() + BUSY;
  let before: number;
  let areBusy: boolean;
  do {
    before = size();
    standStill(QUIET);
    areBusy = ![...listeners].every(areAtRest) && Date.now() < end;
  } while (size() !== before || areBusy);
}

/**
 * The lines about clients: without what `serve` says about itself, and about
 * programs that have ended.
 */
export function clientLines(lines: readonly string[] = logLines()): string[] {
  return lines.filter((line) => !OTHER.test(line));
}

/** A line of the other kind, behind the stamp of a file, multilog or syslog. */
const OTHER =
  /^(?:\S+Z |@[0-9a-f]{24} |<\d+>.{15} \S+: )?(?:(?:(?:warn|error) )?serve [a-z]+=.*|end ip=\S+ net=\S+ pid=\d+ (?:code|signal)=\d+)$/;

/** Makes an entry older, instead of waiting. */
export function age(entry: string, seconds: number): void {
  const path = `${BASE}/${entry}`;
  const mtime = Deno.statSync(path).mtime!.getTime() / 1000 - seconds;
  Deno.utimeSync(path, mtime, mtime);
}

/** Names and accepted counts of all entries; names with a leading dot are none. */
export function entries(): Record<string, number> {
  const names = [...Deno.readDirSync(BASE)].map(({ name }) => name)
    .filter((name) => !name.startsWith(".")).sort();
  return Object.fromEntries(
    names.map((name) => [name, Deno.lstatSync(`${BASE}/${name}`).size]),
  );
}
