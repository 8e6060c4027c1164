/**
 * Every entry of the database, one after the other.
 *
 * @module
 */

import { Directory } from "./directory.ts";
import { LibcError } from "./libc.ts";
import { type Entry, isForgotten, type Timeouts } from "./policy.ts";
import { parseEntryName, StoreError } from "./store.ts";

/** One entry as the commands show it. Times are seconds since 1970. */
export interface Listed extends Entry {
  /** The file's name. */
  readonly name: string;
  /** First contact, undefined where the file system does not keep it. */
  readonly first: number | undefined;
}

/** The three states an entry can be in. */
export type State = "grey" | "known" | "expired";

/** The state of an entry; `expired` is what `prune` removes. */
export function stateOf(entry: Entry, now: number, timeouts: Timeouts): State {
  if (isForgotten(entry, now, timeouts)) return "expired";
  return entry.accepted > 0 ? "known" : "grey";
}

const OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";

/** Names that need no arithmetic: IPv4 addresses, and IPv4 networks of 24 bits. */
const COMMON = new RegExp(
  `^${OCTET}\\.${OCTET}\\.${OCTET}\\.(?:0_24|${OCTET})$`,
);

function isEntryName(name: string): boolean {
  return COMMON.test(name) || parseEntryName(name) !== undefined;
}

/** The network of an entry in its canonical text, such as `192.0.2.0/24`. */
export function networkText({ name }: Pick<Listed, "name">): string {
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
      throw this.#explain(error);
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
      throw this.#explain(error);
    }
  }

  /**
   * Goes to the next entry, in the directory's own order. A name that is not
   * ours, or that is no regular file, is counted in {@linkcode foreign}; names
   * with a dot in front are the program's own bookkeeping.
   *
   * A million entries under an interpreter: a generator would cost a tenth more.
   *
   * @returns undefined at the end
   * @throws {StoreError} where the directory cannot be read
   */
  next(): Listed | undefined {
    const directory = this.#directory;
    let name: string | undefined;
    try {
      while ((name = directory.next()) !== undefined) {
        if (!isEntryName(name)) {
          if (!name.startsWith(".")) this.#countForeign();
          continue;
        }
        if (this.#wanted !== undefined && !this.#wanted(name)) continue;
        const state = directory.stat();
        if (state === undefined) continue;
        const { size: accepted, mtime, birth: first } = state;
        if (state.isFile) return { name, accepted, mtime, first };
        this.#countForeign();
      }
    } catch (error) {
      throw this.#explain(error, name);
    }
  }

  /**
   * Removes the entry given last if it is still forgotten: a client may have
   * come meanwhile.
   *
   * @param now seconds since 1970
   * @throws {StoreError}
   */
  removeForgotten(now: number, timeouts: Timeouts): boolean {
    try {
      const state = this.#directory.stat();
      if (!state?.isFile) return false;
      const entry = { accepted: state.size, mtime: state.mtime };
      return isForgotten(entry, now, timeouts) && this.#directory.remove();
    } catch (error) {
      throw this.#explain(error, this.#directory.name);
    }
  }

  #countForeign(): void {
    this.foreign.count++;
    this.foreign.example ??= this.#directory.name;
  }

  #explain(error: unknown, name?: string): unknown {
    if (!(error instanceof LibcError)) return error;
    const path = name ? `${this.#dir}/${name}` : this.#dir;
    return new StoreError(path, error.message, { cause: error });
  }
}
