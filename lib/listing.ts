/**
 * Every entry of the database, one after the other.
 *
 * @module
 */

import type { Network } from "./address.ts";
import { Directory } from "./directory.ts";
import { cString, LibcError } from "./libc.ts";
import { type Entry, isForgotten, type Timeouts } from "./policy.ts";
import { parseEntryName, StoreError } from "./store.ts";

/** One entry as the commands show it. Times are seconds since 1970. */
export interface Listed extends Entry {
  /** The file's name. */
  readonly name: string;
  readonly network: Network;
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

/** An open base directory. */
export class Listing {
  readonly #dir: string;
  readonly #directory: Directory;
  /** Names so far that are not ours, and one of them. */
  readonly foreign: { count: number; example: string | undefined } = {
    count: 0,
    example: undefined,
  };

  /** @throws {StoreError} where it cannot be opened */
  constructor(dir: string) {
    this.#dir = dir;
    this.#directory = this.#explain("", () => new Directory(dir));
  }

  /** Closes the directory. */
  close(): void {
    this.#directory.close();
  }

  /**
   * The entries in the directory's own order. A name that is not ours, or that is
   * no regular file, is counted in {@linkcode foreign}; names with a dot in front
   * are the program's own bookkeeping.
   *
   * @param wanted leaves out networks before they cost a look at the file
   * @param from where to begin: 0, or `next` of an entry that was given before
   * @throws {StoreError} where the directory cannot be read
   */
  *entries(
    wanted: (network: Network) => boolean = () => true,
    from = 0n,
  ): Generator<Listed & { readonly next: bigint }> {
    const names = this.#directory.names(from);
    while (true) {
      const { done, value } = this.#explain("", () => names.next());
      if (done) return;
      const { text: name, bytes, next } = value;
      if (name.startsWith(".")) continue;
      const network = parseEntryName(name);
      if (network === undefined) {
        this.#countForeign(name);
        continue;
      }
      if (!wanted(network)) continue;
      const state = this.#explain(name, () => this.#directory.stat(bytes));
      if (state === undefined) continue;
      if (!state.isFile) {
        this.#countForeign(name);
        continue;
      }
      const { size: accepted, mtime, birth: first } = state;
      yield { name, network, accepted, mtime, first, next };
    }
  }

  /**
   * Removes an entry if it is still forgotten: a client may have come meanwhile.
   *
   * @param now seconds since 1970
   * @throws {StoreError}
   */
  removeForgotten(name: string, now: number, timeouts: Timeouts): boolean {
    return this.#explain(name, () => {
      const state = this.#directory.stat(cString(name));
      if (!state?.isFile) return false;
      const entry = { accepted: state.size, mtime: state.mtime };
      return isForgotten(entry, now, timeouts) && this.#directory.remove(name);
    });
  }

  #countForeign(name: string): void {
    this.foreign.count++;
    this.foreign.example ??= name;
  }

  #explain<T>(name: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof LibcError)) throw error;
      const path = name ? `${this.#dir}/${name}` : this.#dir;
      throw new StoreError(path, error.message, { cause: error });
    }
  }
}
