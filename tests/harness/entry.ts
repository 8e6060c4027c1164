/**
 * Entries made by hand, as old as a test wants them.
 *
 * @module
 */

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
 * The content of a directory with every attribute that a command could change: a
 * line for each name, and one for the directory itself.
 */
export function snapshot(dir: string = BASE): string[] {
  const line = (path: string) => {
    const { ino, mode, uid, gid, size, mtime, ctime } = Deno.lstatSync(path);
    return JSON.stringify([path, ino, mode, uid, gid, size, mtime, ctime]);
  };
  const names = Array.from(Deno.readDirSync(dir), ({ name }) => name).sort();
  return [dir, ...names.map((name) => `${dir}/${name}`)].map(line);
}

/** The names in a directory, in order. */
export function namesIn(dir: string = BASE): string[] {
  return Array.from(Deno.readDirSync(dir), ({ name }) => name).sort();
}
