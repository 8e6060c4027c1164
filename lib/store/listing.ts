/**
 * Every entry of the database, one after the other.
 *
 * @module
 */

import { Directory } from "../system/directory.ts";
import { LibcError } from "../system/libc.ts";
import type { Entry, Timeouts } from "./policy.ts";
import { parseEntryName, StoreError } from "./store.ts";

/** One entry as the commands show it. Times are seconds since 1970. */
export interface Listed extends Entry {
  /** The file's name. */
  readonly name: string;
  /** First contact, undefined where the file system does not keep it. */
  readonly first: number | undefined;
}

/** Is told of an entry, as {@linkcode Listed} has it; returns true to stop. */
export type Visit = (
  name: string,
  accepted: number,
  mtime: number,
  first: number | undefined,
) => boolean;

/** The three states an entry can be in; `expired` is what `prune` removes. */
export type State = "grey" | "known" | "expired";

/**
 * What tells the state of an entry.
 *
 * @param now seconds since 1970
 */
export function statesAt(
  now: number,
  { retryWindow, expireAfter }: Timeouts,
): (accepted: number, mtime: number) => State {
  // As isForgotten has it, without an object or a call for each of a million.
  const oldestGrey = now - retryWindow, oldestKnown = now - expireAfter;
  return (accepted, mtime) =>
    mtime < (accepted > 0 ? oldestKnown : oldestGrey)
      ? "expired"
      : accepted > 0
      ? "known"
      : "grey";
}

const OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";

/** Names that need no arithmetic: IPv4 addresses, and IPv4 networks of 24 bits. */
const COMMON = new RegExp(
  `^${OCTET}\\.${OCTET}\\.${OCTET}\\.(?:0_24|${OCTET})$`,
);

/** The network of an entry in its canonical text, such as `192.0.2.0/24`. */
export function networkText(name: string): string {
  if (name.includes("_")) return name.replace("_", "/");
  return name + (name.includes(":") ? "/128" : "/32");
}

/** An open base directory. */
export class Listing {
  readonly #dir: string;
  readonly #directory: Directory;
  readonly #wanted: ((name: string) => boolean) | undefined;
  /** Names so far that are not ours, and one of them. */
  readonly foreign: { count: number; example: string | undefined } = {
    count: 0,
    example: undefined,
  };

  /**
   * @param wanted leaves out entries before they cost a look at the file
   * @throws {StoreError} where it cannot be opened
   */
  constructor(dir: string, wanted?: (name: string) => boolean) {
    this.#dir = dir;
    this.#wanted = wanted;
    try {
      this.#directory = new Directory(dir);
    } catch (error) {
      throw this.#explain(error as LibcError);
    }
  }

  /** Closes the directory. */
  close(): void {
    this.#directory.close();
  }

  /**
   * Where in the directory the entry is that follows the one given last.
   */
  get position(): bigint {
    return this.#directory.position;
  }

  /**
   * Goes to a place in the directory.
   *
   * @param position a {@linkcode position} from before
   * @throws {StoreError}
   */
  seek(position: bigint): void {
    try {
      this.#directory.seek(position);
    } catch (error) {
      throw this.#explain(error as LibcError);
    }
  }

  /**
   * Goes through the entries from here on, in the directory's own order. A name
   * that is not ours, or that is no regular file, is counted in
   * {@linkcode foreign}; names with a dot in front are the program's own
   * bookkeeping.
   *
   * @param visit is told of each entry; it returns true to stop there
   * @param failed is told of each that cannot be looked at; without it, that is
   * thrown
   * @throws {StoreError} where the directory cannot be read
   */
  visit(visit: Visit, failed?: (error: StoreError) => void): void {
    const wanted = this.#wanted;
    const directory = this.#directory;
    try {
      directory.visit({
        wanted: (name) => {
          if (COMMON.test(name) || parseEntryName(name) !== undefined) {
            return wanted === undefined || wanted(name);
          }
          if (!name.startsWith(".")) this.#countForeign();
          return false;
        },
        file: visit,
        other: () => this.#countForeign(),
        failed: (error) => {
          const explained = this.#explain(error, directory.name);
          if (failed === undefined) throw explained;
          failed(explained);
        },
      });
    } catch (error) {
      throw error instanceof LibcError ? this.#explain(error) : error;
    }
  }

  /**
   * Removes the entry that is being visited.
   *
   * @returns false where somebody else was faster
   * @throws {StoreError}
   */
  remove(): boolean {
    try {
      return this.#directory.remove();
    } catch (error) {
      throw this.#explain(error as LibcError, this.#directory.name);
    }
  }

  #countForeign(): void {
    this.foreign.count++;
    this.foreign.example ??= this.#directory.name;
  }

  #explain(error: LibcError, name?: string): StoreError {
    const path = name ? `${this.#dir}/${name}` : this.#dir;
    return new StoreError(path, error.message, { cause: error });
  }
}
