/**
 * The database: a directory with one file for each client network. The file's
 * size is how often the network was accepted, its mtime when it last changed.
 * Nothing else is stored.
 *
 * @module
 */

import {
  formatAddress,
  type Network,
  parseNetwork,
  width,
} from "../address.ts";
import { close } from "../system/descriptor.ts";
import {
  openForWriting,
  openOrCreate,
  touch,
  truncate,
} from "../system/file.ts";
import { E } from "../system/constants.ts";
import { isErrno } from "../system/libc.ts";
import { type Entry, judge, type Timeouts, type Verdict } from "./policy.ts";
import { type State, stateOf } from "../system/statx.ts";

/** The database is not usable; the message is one line with the path. */
export class StoreError extends Error {
  override name = "StoreError";

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`${path}: ${problem}`, options);
  }
}

/**
 * The file name of a network: a whole address is its canonical text; anything
 * shorter has `_` and the prefix length behind it (a `/` cannot be in a name).
 */
export function entryName(network: Network): string {
  const text = formatAddress(network);
  return network.prefix === width(network.family)
    ? text
    : `${text}_${network.prefix}`;
}

/**
 * The network of a file name.
 *
 * @returns undefined where the name is none that {@linkcode entryName} gives
 */
export function parseEntryName(name: string): Network | undefined {
  if (name.includes("/")) return undefined;
  const network = parseNetwork(name.replace("_", "/"));
  // Only the canonical name is found again when the network calls. That of IPv4
  // has no second form but `_32`.
  if (network?.family === 4 && !name.includes(":")) {
    return name.endsWith("_32") ? undefined : network;
  }
  return network && entryName(network) === name ? network : undefined;
}

/** The entries below one base directory. */
export class Store {
  readonly #dir: string;

  /** @param dir the base directory, an absolute path */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Reads an entry.
   *
   * @returns undefined where there is none
   * @throws {StoreError} where it cannot be read, or is not a regular file
   */
  read(network: Network): Entry | undefined {
    const path = this.#path(network);
    let state: State | undefined;
    try {
      state = stateOf(path, "keep");
    } catch (error) {
      throw wrap(path, error);
    }
    if (state === undefined) return undefined;
    const { isFile, kind, size, mtime } = state;
    if (!isFile) throw new StoreError(path, `${kind}: expected a regular file`);
    return { accepted: size, mtime };
  }

  /**
   * Judges a network and writes down what follows from the verdict.
   *
   * @param now seconds since 1970
   * @throws {StoreError} where the entry cannot be read or written
   */
  decide(network: Network, now: number, timeouts: Timeouts): Verdict {
    let entry = this.read(network);
    let verdict = judge(entry, now, timeouts);
    if (verdict.write === "create" && !this.#create(network)) {
      // Another connection from there was faster: its entry counts.
      entry = this.read(network);
      verdict = judge(entry ?? { accepted: 0, mtime: now }, now, timeouts);
    }
    if (verdict.write !== "create") this.#write(network, verdict, entry);
    return verdict;
  }

  #create(network: Network): boolean {
    const path = this.#path(network);
    try {
      close(openForWriting(path, "new"));
      return true;
    } catch (error) {
      if (isErrno(error, E.EEXIST)) return false;
      throw wrap(path, error);
    }
  }

  #write(network: Network, verdict: Verdict, entry: Entry | undefined): void {
    if (verdict.write === "none") return;
    const path = this.#path(network);
    try {
      // Made where it is missing: an entry that `prune` took away between look
      // and write would make a client that has waited start again.
      const fd = openOrCreate(path);
      try {
        switch (verdict.write) {
          case "touch":
            touch(fd);
            break;
          case "reset":
            truncate(fd, 0);
            break;
          case "accept":
            grow(fd, verdict.accepted, entry);
        }
      } finally {
        close(fd);
      }
    } catch (error) {
      throw wrap(path, error);
    }
  }

  #path(network: Network): string {
    return `${this.#dir}/${entryName(network)}`;
  }
}

/** Sets the accepted count, and with it the mtime. */
function grow(fd: number, accepted: number, entry: Entry | undefined): void {
  try {
    truncate(fd, accepted);
  } catch (error) {
    // At a file size limit the count stands still; a pass that is not written
    // down would make the client wait again.
    const known = (entry?.accepted ?? 0) > 0;
    if (!known || !isErrno(error, E.EFBIG)) throw error;
    touch(fd);
  }
}

/** Whether every user of this machine can write to the base directory. */
export function isWritableByAll(dir: string): boolean {
  try {
    const state = stateOf(dir, "follow");
    return state !== undefined && (state.mode & 0o002) !== 0;
  } catch {
    // An entry could be made there, which counts: the client is to be answered.
    return false;
  }
}

function wrap(path: string, error: unknown): StoreError {
  const { message } = error as Error;
  // Deno's own messages end in ": remove '/the/path'", which is said already.
  return new StoreError(path, message.replace(/: \w+ '.*'$/, ""), {
    cause: error,
  });
}
