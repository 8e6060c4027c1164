/**
 * Goes through the state of a program that keeps a file for each client. It looks
 * only at names and times, and changes neither.
 *
 * @module
 */

import type { Network } from "../../address.ts";
import { Directory } from "../../system/directory.ts";
import type { LibcError } from "../../system/libc.ts";
import type { Found } from "./found.ts";

/** How a program names its files, and what it does to their times. */
export interface DirectoryFormat {
  /**
   * The network that a file stands for.
   *
   * @param path the names from the top directory down
   * @returns undefined if the program makes no such file
   */
  network(path: readonly string[]): Network | undefined;
  /** Whether all its files are empty: a file that is not is none of them. */
  readonly makesEmptyFiles?: boolean;
  /** Whether the program makes such a directory. */
  holdsEntries(path: readonly string[]): boolean;
  /**
   * When mail was last accepted.
   *
   * @param mtime of the file, in whole seconds since 1970
   * @param atime the same
   * @returns undefined if it never was, or if the program does not record it
   */
  lastAccepted(mtime: number, atime: number): number | undefined;
}

/** Takes what is found. */
export interface Collector {
  found(entry: Found): void;
  /** A name that the program does not make. */
  foreign(path: string): void;
}

/**
 * Reads a program's directory.
 *
 * @param failed is called with the path and the error of a directory or file that
 * cannot be looked at; it throws
 * @returns whether all directories have kept their atimes
 */
export function readDirectory(
  top: string,
  format: DirectoryFormat,
  collector: Collector,
  failed: (path: string, error: LibcError) => never,
): boolean {
  let keptAtimes = true;
  const read = (dir: string, above: readonly string[]) => {
    let directory: Directory;
    try {
      directory = new Directory(dir, { keepAtime: true });
    } catch (error) {
      return failed(dir, error as LibcError);
    }
    keptAtimes &&= directory.keepsAtime;
    let current = "";
    try {
      directory.visit({
        wanted: (name) => {
          current = name;
          return name !== "." && name !== "..";
        },
        file: (name, size, mtime) => {
          const isOther = format.makesEmptyFiles === true && size > 0;
          const network = isOther
            ? undefined
            : format.network([...above, name]);
          if (network === undefined) {
            collector.foreign(`${dir}/${directory.name}`);
            return false;
          }
          const firstSeen = Math.floor(mtime);
          const atime = Math.floor(directory.atime);
          const lastAccepted = format.lastAccepted(firstSeen, atime);
          const accepted = lastAccepted === undefined ? 0 : 1;
          collector.found({ network, firstSeen, lastAccepted, accepted });
          return false;
        },
        other: () => {
          const path = [...above, current];
          if (directory.isDirectory && format.holdsEntries(path)) {
            read(`${dir}/${current}`, path);
          } else {
            collector.foreign(`${dir}/${directory.name}`);
          }
        },
        failed: (error) => failed(`${dir}/${directory.name}`, error),
      });
    } finally {
      directory.close();
    }
  };
  read(top, []);
  return keptAtimes;
}
