/**
 * Binaries that are kept from one run of the tests to the next, by the hash of
 * the sources, the configuration and the version of Deno. Clones with the same
 * sources share them: a binary does not depend on where the sources are.
 *
 * Nearly all of a binary, 85 MB, is the same in all of them. Only the rest is kept:
 * the tail of each.
 *
 * @module
 */

import { walkSync } from "@std/fs/walk";
import { STD_VARIABLE } from "../../lib/build/std.ts";
import { STAND_IN_VARIABLE, usesStandIns } from "../../lib/build/stand_in.ts";
import { PROJECT } from "./project.ts";

/** How many versions of the sources have their binaries kept. */
const VERSIONS = 3;

/** How long after its last use a version is kept in any case, in milliseconds. */
const IN_USE = 20 * 60_000;

/** The first half of the SHA-256 of a text, in hexadecimal. */
export async function hashOf(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(
    new Uint8Array(digest, 0, 16),
    (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");
}

/** The hash of everything that a binary is made of, except its configuration. */
async function hashOfSources(): Promise<string> {
  const files = Array.from(
    walkSync(`${PROJECT}lib`, { includeDirs: false }),
    ({ path }) => path,
  ).sort();
  files.push(`${PROJECT}main.ts`, `${PROJECT}deno.json`);
  const texts = files.map((file) =>
    `${file.slice(PROJECT.length)}\0${Deno.readTextFileSync(file)}`
  );
  const { version, build, env } = Deno;
  return await hashOf(
    [
      version.deno,
      build.target,
      env.get(STD_VARIABLE),
      env.get(STAND_IN_VARIABLE),
      ...texts,
    ].join("\0"),
  );
}

/** The directory for kept binaries, below the user's cache. */
function cacheDirectory(): string {
  const home = Deno.env.get("HOME");
  const cache = Deno.env.get("XDG_CACHE_HOME") ??
    (home === undefined ? undefined : `${home}/.cache`);
  const temporary = Deno.env.get("TMPDIR") ?? "/tmp";
  const own = `greylist-tests-${Deno.uid()}`;
  return cache === undefined ? `${temporary}/${own}` : `${cache}/${own}`;
}

/** The binaries of one version of the sources. */
export interface Kept {
  /** For what is the same for every configuration. */
  readonly shared: string;
  /** For the tails of the binaries. */
  readonly tails: string;
}

let kept: Promise<Kept> | undefined;

/** Opens the directory for the sources as they are now. */
export function openKept(): Promise<Kept> {
  return kept ??= open();
}

async function open(): Promise<Kept> {
  const cache = cacheDirectory();
  const version = `${cache}/${await hashOfSources()}`;
  const [shared, tails] = [`${version}/shared`, `${version}/tails`];
  for (const directory of [shared, tails]) {
    Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  }
  const now = new Date();
  Deno.utimeSync(version, now, now);
  const versions = Array.from(
    Deno.readDirSync(cache),
    ({ name }) => ({
      path: `${cache}/${name}`,
      used: usedAt(`${cache}/${name}`),
    }),
  ).sort((a, b) => b.used - a.used);
  for (const { path, used } of versions.slice(VERSIONS)) {
    if (now.getTime() - used < IN_USE) continue;
    await Deno.remove(path, { recursive: true }).catch(() => {
      // Another process removes it.
    });
  }
  return { shared, tails };
}

function usedAt(path: string): number {
  try {
    return Deno.statSync(path).mtime!.getTime();
  } catch {
    return 0;
  }
}

/** How much of two files is compared at once, in bytes. */
const PIECE = 1 << 20;

/**
 * How many bytes the beginnings of two files have in common, rounded down to words.
 * Nothing depends on the exact number.
 */
function commonLength(one: string, other: string): number {
  using a = Deno.openSync(one);
  using b = Deno.openSync(other);
  const [words, others] = [
    new Int32Array(PIECE / 4),
    new Int32Array(PIECE / 4),
  ];
  let common = 0;
  while (true) {
    const bytes = Math.min(fill(a, words.buffer), fill(b, others.buffer));
    const length = bytes >> 2;
    for (let i = 0; i < length; i++) {
      if (words[i] !== others[i]) return common + 4 * i;
    }
    common += 4 * length;
    if (length < words.length) return common;
  }
}

/**
 * Reads until a buffer is full or the file ends.
 *
 * @returns how many bytes were read
 */
function fill(file: Deno.FsFile, buffer: ArrayBuffer): number {
  const bytes = new Uint8Array(buffer);
  let filled = 0;
  while (filled < bytes.length) {
    const length = file.readSync(bytes.subarray(filled));
    if (length === null) break;
    filled += length;
  }
  return filled;
}

/** The binary that others are compared with: a trainer of this version. */
function reference(shared: string): string | undefined {
  const names = Array.from(Deno.readDirSync(shared), ({ name }) => name)
    .filter((name) => /^trainer-[\w-]+$/.test(name)).sort();
  return names[0];
}

/** What a file holds from one of its bytes on. */
function restOf(path: string, start: number): Uint8Array<ArrayBuffer> {
  using file = Deno.openSync(path);
  const rest = new Uint8Array(file.statSync().size - start);
  file.seekSync(start, Deno.SeekMode.Start);
  if (fill(file, rest.buffer) < rest.length) {
    throw new Error(`${path}: shorter than before`);
  }
  return rest;
}

/** Keeps a binary. */
export function keep({ shared, tails }: Kept, key: string, binary: string) {
  const name = reference(shared);
  // A stand-in is a few small files, and is made anew each time.
  if (name === undefined || usesStandIns()) return;
  const common = commonLength(binary, `${shared}/${name}/trainer`);
  const head = new TextEncoder().encode(`${name} ${common}\n`);
  const fresh = `${tails}/${key}.${Deno.pid}`;
  Deno.writeFileSync(fresh, head);
  Deno.writeFileSync(fresh, restOf(binary, common), { append: true });
  Deno.renameSync(fresh, `${tails}/${key}`);
}

/**
 * Makes a binary of what was kept.
 *
 * @returns whether there was anything
 */
export function restore(
  { shared, tails }: Kept,
  key: string,
  binary: string,
): boolean {
  let bytes: Uint8Array;
  try {
    bytes = Deno.readFileSync(`${tails}/${key}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  const line = bytes.indexOf(10);
  const head = new TextDecoder().decode(bytes.subarray(0, line));
  const [name, common] = head.split(" ");
  const fresh = `${binary}.new`;
  Deno.copyFileSync(`${shared}/${name}/trainer`, fresh);
  Deno.truncateSync(fresh, Number(common));
  Deno.writeFileSync(fresh, bytes.subarray(line + 1), { append: true });
  Deno.chmodSync(fresh, 0o755);
  Deno.renameSync(fresh, binary);
  return true;
}
