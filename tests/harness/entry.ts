/**
 * Entries made by hand, as old as a test wants them.
 *
 * @module
 */

import { walkSync } from "@std/fs/walk";
import { BASE } from "./root.ts";

/**
 * Makes an entry, or changes it.
 *
 * @param accepted how often it was accepted; 0 is grey
 * @param age seconds since it was last written; negative for the future
 * @param dir the base directory
 */
export function makeEntry(
  name: string,
  accepted: number,
  age: number,
  dir: string = BASE,
): void {
  const path = `${dir}/${name}`;
  Deno.writeFileSync(path, new Uint8Array());
  Deno.truncateSync(path, accepted);
  const mtime = Date.now() / 1000 - age;
  Deno.utimeSync(path, mtime, mtime);
}

/**
 * The content of a directory with every attribute that a command could change, besides
 * the atime: a line for each name, and one for the directory itself.
 */
export function snapshot(dir: string = BASE): string[] {
  const paths = namesIn(dir).map((name) => `${dir}/${name}`);
  return [dir, ...paths].map((path) => JSON.stringify(attributes(path)));
}

function attributes(path: string) {
  const { ino, mode, uid, gid, size, mtime, ctime } = Deno.lstatSync(path);
  return [path, ino, mode, uid, gid, size, mtime, ctime];
}

/**
 * Watches a file, or a directory and all below it, for every change, also for reading.
 *
 * Its atime and those of its directories are set before the mtime: relatime (mount(8))
 * would not change another one.
 *
 * @returns a function that gives the attributes and reads nothing
 */
export function watch(source: string): () => string[] {
  const isFile = Deno.statSync(source).isFile;
  const paths = (includeFiles: boolean) =>
    isFile
      ? [source]
      : Array.from(walkSync(source, { includeFiles }), ({ path }) => path);
  const all = paths(true);
  for (const path of paths(false)) Deno.utimeSync(path, 1000, 2000);
  return () =>
    all.map((path) =>
      JSON.stringify([...attributes(path), Deno.lstatSync(path).atime])
    );
}

/** The names in a directory, in order. */
export function namesIn(dir: string = BASE): string[] {
  return Array.from(Deno.readDirSync(dir), ({ name }) => name).sort();
}
