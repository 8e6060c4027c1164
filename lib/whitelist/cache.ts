/**
 * Searches whitelist files at each connection. What a large one says is kept in
 * the base directory as an index, so that a connection reads some kilobytes of
 * it and not the file; when the file changes, the next connection makes it anew.
 *
 * @module
 */

import { isExisting, readRegularFile, replaceFile } from "../system/file.ts";
import { type Client, type Found, searchFile } from "./file.ts";
import { buildIndex, type Reader, searchIndex } from "./index.ts";

/** A file of fewer bytes is read faster than an index. */
const SMALL = 2048;

/**
 * For how long a file has to be as it is before its index is kept, in
 * milliseconds: two changes within one tick of the clock (a second, as Deno
 * gives it) look like one.
 */
const SETTLED = 3_000;

/**
 * For how long an index that is being made keeps others from making it, in
 * milliseconds. If making one ends a process, the next tries after that long.
 */
const GIVEN_UP = 600_000;

/**
 * Looks through a whitelist file for a client.
 *
 * @param dir the base directory, where the index is kept
 * @param now milliseconds since 1970
 * @throws {Error} where the file cannot be read or is no regular file
 */
export function searchWhitelist(
  path: string,
  dir: string,
  client: Client,
  now = Date.now(),
): Found {
  const info = Deno.statSync(path);
  if (info.size >= SMALL && info.isFile) {
    const seal = sealOf(path, info);
    const index = `${dir}/.whitelist-${nameOf(path)}`;
    let found = searchKept(index, seal, client);
    const age = now - (info.ctime?.getTime() ?? NaN);
    if (found === undefined && age >= SETTLED) {
      found = searchNew(path, index, seal, client, now);
    }
    if (found !== undefined) return found;
  }
  return searchFile(readRegularFile(path), client);
}

/** To be changed with what an index holds or what a line means. */
const FORMAT = 2;

/** Whatever changes a file changes this; ctime is not for anybody to set. */
function sealOf(path: string, info: Deno.FileInfo): string {
  const { dev, ino, size, mtime, ctime } = info;
  const state = [dev, ino, size, mtime?.getTime(), ctime?.getTime(), path];
  return [FORMAT, ...state].join(" ");
}

/** Two files may have one name: the seal tells them apart. */
function nameOf(path: string): string {
  let hash = 0;
  for (let i = 0; i < path.length; i++) {
    hash = Math.imul(hash, 31) + path.charCodeAt(i) | 0;
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
}

function searchKept(
  index: string,
  seal: string,
  client: Client,
): Found | undefined {
  try {
    // Opening a FIFO would wait for somebody who writes.
    if (!Deno.lstatSync(index).isFile) return undefined;
    using file = Deno.openSync(index);
    return searchIndex(readerOf(file), seal, client);
  } catch {
    // There is none, or none that can be used.
    return undefined;
  }
}

function readerOf(file: Deno.FsFile): Reader {
  return (offset, length) => {
    const bytes = new Uint8Array(length);
    file.seekSync(offset, Deno.SeekMode.Start);
    return bytes.subarray(0, file.readSync(bytes) ?? 0);
  };
}

/** Makes the index; undefined if it cannot be made, or another process makes it. */
function searchNew(
  path: string,
  index: string,
  seal: string,
  client: Client,
  now: number,
): Found | undefined {
  const fresh = `${index}.new`;
  let bytes = new Uint8Array();
  try {
    // Only the process that creates the temporary file builds the index.
    replaceFile(index, fresh, 0o600, () => {
      return bytes = buildIndex(readRegularFile(path), seal);
    });
  } catch (error) {
    if (isExisting(error)) removeGivenUp(fresh, now);
    return undefined;
  }
  const reader: Reader = (offset, length) =>
    bytes.subarray(offset, offset + length);
  return searchIndex(reader, seal, client);
}

function removeGivenUp(fresh: string, now: number): void {
  try {
    const { mtime } = Deno.lstatSync(fresh);
    const age = now - (mtime?.getTime() ?? 0);
    if (age >= GIVEN_UP || age < 0) Deno.removeSync(fresh);
  } catch {
    // Whoever made it was done in the meantime.
  }
}
