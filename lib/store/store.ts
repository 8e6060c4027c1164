/**
 * The database: a directory with one file for each client network. The file's
 * size is the number of accepted connections; its mtime is the time of the last
 * change. Nothing else is stored.
 *
 * @module
 */

import { C, E } from "../system/constants.ts";
import { isOwnerMasked } from "../system/create.ts";
import {
  createNew,
  lookAt,
  openOrCreate,
  resize,
  shut,
  stamp,
} from "../system/file_call.ts";
import { type FileTask, make, runLater, runNow } from "../system/file_task.ts";
import { isErrno, isPassing, LibcError } from "../system/libc.ts";
import { stateOf } from "../system/statx.ts";
import { type Entry, judge, type Timeouts, type Verdict } from "./policy.ts";

/** The database is not usable; the message is one line with the path. */
export class StoreError extends Error {
  override name = "StoreError";

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`${path}: ${problem}`, options);
  }

  /**
   * Whether the same call may succeed later. EIO, or ESTALE of a network file system,
   * may pass. A base directory that is missing, or belongs to another user, is a
   * mistake in the installation.
   */
  get isPassing(): boolean {
    return this.cause instanceof LibcError && isPassing(this.cause);
  }
}

/** The error of a call on a file of the store; a StoreError stays as it is. */
export function storeError(path: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  return new StoreError(path, (error as Error).message, { cause: error });
}

/** The entries below one base directory. */
export class Store {
  readonly #dir: string;
  readonly #isOwnerMasked: boolean;
  /** See {@linkcode lookAt}. */
  readonly #sync: number;

  /**
   * @param dir the base directory, an absolute path
   * @param ownerMasked what {@linkcode isOwnerMasked} says, for a thread that
   * must not ask
   * @param onFuse whether the directory is on a FUSE file system. There the look-up
   * of a path brings the attributes of the file, and AT_STATX_DONT_SYNC saves a
   * second request for them. On GlusterFS one tenth more clients are answered in the
   * same time. The entry-timeout of the mount limits how old the attributes are.
   */
  constructor(
    dir: string,
    ownerMasked: boolean = isOwnerMasked(),
    onFuse = false,
  ) {
    this.#dir = dir;
    this.#isOwnerMasked = ownerMasked;
    this.#sync = onFuse ? C.AT_STATX_DONT_SYNC : 0;
  }

  /**
   * Reads an entry.
   *
   * @param name its name; see {@linkcode entryName}
   * @returns undefined if there is none
   * @throws {StoreError} if it cannot be read, or is not a regular file
   */
  read(name: string): Entry | undefined {
    return this.#run(name, this.look(name));
  }

  /**
   * Judges a client and changes its entry accordingly.
   *
   * @param name the name of its entry; see {@linkcode entryName}
   * @param now seconds since 1970
   * @throws {StoreError} if the entry cannot be read or written
   */
  decide(name: string, now: number, timeouts: Timeouts): Verdict {
    return this.#run(name, this.#decision(name, now, timeouts));
  }

  /**
   * Does what {@linkcode decide} does, with its calls in another thread. A call
   * that hangs hangs there.
   *
   * @param isLate see {@linkcode runLater}: `now` would be in the past
   * @throws {StoreError} if the entry cannot be read or written
   */
  async decideLater(
    name: string,
    now: number,
    timeouts: Timeouts,
    isLate?: () => boolean,
  ): Promise<Verdict> {
    try {
      return await runLater(this.#decision(name, now, timeouts), isLate);
    } catch (error) {
      throw storeError(`${this.#dir}/${name}`, error);
    }
  }

  /**
   * Judges a client that most likely has no entry: creates the entry without a look
   * at it first. On a shared file system that look takes a quarter of the time that
   * a new client takes. See {@linkcode decide} for the parameters.
   *
   * @throws {StoreError} if the entry cannot be read or written
   */
  decideNew(name: string, now: number, timeouts: Timeouts): Verdict {
    return this.#run(name, this.#decision(name, now, timeouts, true));
  }

  #run<T>(name: string, task: FileTask<T>): T {
    try {
      return runNow(task);
    } catch (error) {
      throw storeError(`${this.#dir}/${name}`, error);
    }
  }

  /** Looks at an entry. Tests override it to come between the look and the write. */
  protected *look(
    name: string,
    mayFail = false,
  ): FileTask<Entry | undefined> {
    const path = `${this.#dir}/${name}`;
    const state = yield* make(lookAt(path, mayFail, this.#sync));
    if (state === undefined) return undefined;
    const { isFile, kind, size, mtime } = state;
    if (!isFile) throw new StoreError(path, `${kind}: expected a regular file`);
    return { accepted: size, mtime };
  }

  /** @param isLikelyNew whether to create the entry before any look at it */
  *#decision(
    name: string,
    now: number,
    timeouts: Timeouts,
    isLikelyNew = false,
  ): FileTask<Verdict> {
    const created = isLikelyNew && (yield* this.#create(name));
    let entry = created ? undefined : yield* this.look(name, true);
    let verdict = judge(entry, now, timeouts);
    if (created) return verdict;
    if (verdict.write === "create" && !(yield* this.#create(name))) {
      // Another connection of the network was faster, so its entry counts.
      entry = yield* this.look(name);
      verdict = judge(entry ?? { accepted: 0, mtime: now }, now, timeouts);
    }
    if (verdict.write !== "create") {
      yield* this.#write(name, verdict, entry, now);
    }
    return verdict;
  }

  /** @returns false if the entry exists already */
  *#create(name: string): FileTask<boolean> {
    try {
      yield* createNew(`${this.#dir}/${name}`, this.#isOwnerMasked);
      return true;
    } catch (error) {
      if (isErrno(error, E.EEXIST)) return false;
      throw error;
    }
  }

  *#write(
    name: string,
    verdict: Verdict,
    entry: Entry | undefined,
    now: number,
  ): FileTask<void> {
    if (verdict.write === "none") return;
    // Created if it is missing: if `prune` took the entry away between look and
    // write, a client that has waited would start again.
    const path = `${this.#dir}/${name}`;
    const fd = yield* openOrCreate(path, this.#isOwnerMasked);
    try {
      switch (verdict.write) {
        case "touch":
          yield* make(stamp(fd, now));
          break;
        case "reset":
          yield* make(resize(fd, 0));
          break;
        case "accept":
          yield* grow(fd, verdict.accepted, entry, now);
      }
    } finally {
      yield* make(shut(fd));
    }
  }
}

/** Sets the accepted count, and with it the mtime. */
function* grow(
  fd: number,
  accepted: number,
  entry: Entry | undefined,
  now: number,
): FileTask<void> {
  try {
    yield* make(resize(fd, accepted));
  } catch (error) {
    // At a file size limit the count of a known client stays, and the new mtime
    // keeps the entry. A grey entry cannot become known, which is an error.
    const isKnown = (entry?.accepted ?? 0) > 0;
    if (!isKnown || !isErrno(error, E.EFBIG)) throw error;
    yield* make(stamp(fd, now));
  }
}

/**
 * The permissions of a base directory.
 *
 * @returns undefined if they cannot be read: the next use of the directory says why
 */
export function modeOf(dir: string): number | undefined {
  try {
    return stateOf(dir, "follow")?.mode;
  } catch {
    return undefined;
  }
}
