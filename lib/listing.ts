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
    let name: string | undefined;
    while ((name = this.nextName()) !== undefined) {
      const entry = this.#look(name);
      if (entry !== undefined) return entry;
    }
  }

  /**
   * Goes to the next name that is ours, without a look at what is there.
   *
   * @returns undefined at the end
   * @throws {StoreError} where the directory cannot be read
   */
  nextName(): string | undefined {
    const directory = this.#directory;
    const wanted = this.#wanted;
    try {
      let name: string | undefined;
      while ((name = directory.next()) !== undefined) {
        if (COMMON.test(name) || parseEntryName(name) !== undefined) {
          if (wanted === undefined || wanted(name)) return name;
        } else if (!name.startsWith(".")) {
          this.#countForeign();
        }
      }
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** The entry of the current name, undefined where there is none. */
  #look(name: string): Listed | undefined {
    try {
      const state = this.#directory.stat();
      if (state === undefined) return undefined;
      if (state.isFile) {
        return {
          name,
          accepted: state.size,
          mtime: state.mtime,
          first: state.birth,
        };
      }
      this.#countForeign();
    } catch (error) {
      throw this.#explain(error, this.#directory.name);
    }
  }

  /**
   * Looks at the entry of the current name and removes it if it is forgotten.
   *
   * @param now seconds since 1970
   * @param dry leaves it there
   * @returns what became of it: `gone` where there is no entry any more
   * @throws {StoreError}
   */
  removeForgotten(
    now: number,
    timeouts: Timeouts,
    dry = false,
  ): "removed" | "kept" | "gone" {
    const directory = this.#directory;
    const entry = this.#look("");
    if (entry === undefined) return "gone";
    if (!isForgotten(entry, now, timeouts)) return "kept";
    try {
      return dry || directory.remove() ? "removed" : "gone";
    } catch (error) {
      throw this.#explain(error, directory.name);
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
