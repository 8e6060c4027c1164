/**
 * Lists the entries of a base directory, one after the other.
 *
 * @module
 */

import { Directory } from "../system/directory.ts";
import { LibcError } from "../system/libc.ts";
import type { Entry, Timeouts } from "./policy.ts";
import { isEntryName } from "./entry_name.ts";
import { type StoreError, storeError } from "./store.ts";

/** An entry and its name. Times are seconds since 1970. */
export interface Listed extends Entry {
  /** The file's name. */
  readonly name: string;
  /** First contact, undefined if the file system does not keep birth times. */
  readonly first: number | undefined;
}

/**
 * Called for each entry, with the fields of {@linkcode Listed}. Returns true to
 * stop.
 */
export type Visit = (
  name: string,
  accepted: number,
  mtime: number,
  first: number | undefined,
) => boolean;

/** The states of an entry; `greylist prune` removes an expired one. */
export type State = "grey" | "known" | "expired";

/**
 * Makes a function that gives the state of an entry at a certain time.
 *
 * @param now seconds since 1970
 */
export function statesAt(
  now: number,
  { retryWindow, expireAfter }: Timeouts,
): (accepted: number, mtime: number) => State {
  // The rule of isForgotten, written out: a million entries would need an object
  // and a second call each.
  const oldestGrey = now - retryWindow, oldestKnown = now - expireAfter;
  return (accepted, mtime) =>
    mtime < (accepted > 0 ? oldestKnown : oldestGrey)
      ? "expired"
      : accepted > 0
      ? "known"
      : "grey";
}

const OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";

/**
 * IPv4 addresses and /24 networks, which most names are. This expression replaces
 * parseEntryName for them.
 */
const COMMON = new RegExp(
  `^${OCTET}\\.${OCTET}\\.${OCTET}\\.(?:0_24|${OCTET})$`,
);

/** The canonical text of an entry's network, `192.0.2.0/24`; of a pool, `@big`. */
export function networkText(name: string): string {
  if (name.startsWith("@")) return name;
  if (name.includes("_")) return name.replace("_", "/");
  return name + (name.includes(":") ? "/128" : "/32");
}

/** An open base directory. */
export class Listing {
  readonly #dir: string;
  readonly #directory: Directory;
  readonly #wanted: ((name: string) => boolean) | undefined;
  /** Is called for each name that begins with a dot, if it is set. */
  bookkeeping?: (name: string) => void;
  /** The number of names so far that are no entries, and the first of them. */
  readonly foreign: { count: number; example: string | undefined } = {
    count: 0,
    example: undefined,
  };

  /**
   * @param wanted decides by the name whether an entry is looked at
   * @throws {StoreError} if the directory cannot be opened
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
   * The position in the directory behind the current entry.
   */
  get position(): bigint {
    return this.#directory.position;
  }

  /**
   * Goes to a position in the directory.
   *
   * @param position a {@linkcode position} from before
   * @throws {StoreError} if the directory does not have that position
   */
  seek(position: bigint): void {
    try {
      this.#directory.seek(position);
    } catch (error) {
      throw this.#explain(error as LibcError);
    }
  }

  /**
   * Calls a function for each entry from the current position on, in the
   * directory's own order. Any other name, and a name that is no regular file, is
   * counted in {@linkcode foreign}. Names that begin with a dot are the program's
   * own bookkeeping, and lost+found is that of ext4: they are not counted.
   *
   * @param visit is called for each entry; it returns true to stop there
   * @param failed is called for each entry that cannot be looked at; without it,
   * the error is thrown
   * @param skipped is called for each other name; it returns true to stop there
   * @throws {StoreError} if the directory cannot be read
   */
  visit(
    visit: Visit,
    failed?: (error: StoreError) => void,
    skipped?: () => boolean,
  ): void {
    const wanted = this.#wanted;
    const directory = this.#directory;
    try {
      directory.visit({
        wanted: (name) => {
          if (COMMON.test(name) || isEntryName(name)) {
            return wanted === undefined || wanted(name);
          }
          if (name.startsWith(".")) this.bookkeeping?.(name);
          else if (name !== "lost+found") this.#countForeign();
          return false;
        },
        file: visit,
        other: () => this.#countForeign(),
        failed: (error) => {
          const explained = this.#explain(error, directory.name);
          if (failed === undefined) throw explained;
          failed(explained);
        },
        skipped,
      });
    } catch (error) {
      throw error instanceof LibcError ? this.#explain(error) : error;
    }
  }

  /**
   * Removes the entry that the visitor is called for.
   *
   * @returns false if another process was faster
   * @throws {StoreError} if the entry cannot be removed
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
    return storeError(path, error);
  }
}
