/**
 * Semaphores that processes of one user share: semget(2), semop(2), semctl(2). What
 * a process has added is taken back when it ends, whatever ends it (SEM_UNDO).
 *
 * @module
 */

import { C, E } from "./constants.ts";
import { check, errno, fromLibcAtStart, LibcError } from "./libc.ts";
import { userId } from "./user.ts";

// fromLibcAtStart: once a set exists, each start of the wrapper calls most of these.
const libc = fromLibcAtStart({
  // int semget(key_t key, int nsems, int semflg);
  semget: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int semop(int semid, struct sembuf *sops, size_t nsops);
  semop: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  // int semctl(int semid, int semnum, int cmd, ...);
  semctl: { parameters: ["i32", "i32", "i32", "isize"], result: "i32" },
  semctl_into: {
    name: "semctl",
    parameters: ["i32", "i32", "i32", "buffer"],
    result: "i32",
  },
});

/** The size of a struct semid_ds with room for what a later libc may add. */
const ROOM = 256;

// Offsets in a struct semid_ds.
/** Of the user who made the set. */
export const SEM_CUID = 12;

/** Of its permissions. */
export const SEM_MODE = 20;

/** Of the time of the last operation. */
export const SEM_OTIME = 48;

/** The permissions of a set: those of its user alone. */
const MODE = 0o600;

/** A set of semaphores, all 0 when it is made. It stays until the machine restarts. */
export class Semaphores {
  readonly #id: number;

  private constructor(id: number) {
    this.#id = id;
  }

  /**
   * Finds the set of this user.
   *
   * @param name what it is for
   * @param count how many semaphores it has
   * @returns undefined if there is none, or one that another user has made or may
   * change
   * @throws {LibcError} if the kernel has no semaphores
   */
  static find(name: string, count: number): Semaphores | undefined {
    const id = libc.semget(keyOf(name), count, 0);
    if (id === -1) {
      // EACCES: another user's. EINVAL: one with fewer semaphores.
      const code = errno();
      const isOther = code === E.EACCES || code === E.EINVAL;
      if (isOther || code === E.ENOENT) return undefined;
      throw new LibcError("semget", code);
    }
    return isOwn(id) ? new Semaphores(id) : undefined;
  }

  /**
   * Finds the set of this user, or makes it.
   *
   * @returns undefined if another user has it
   * @throws {LibcError}
   */
  static findOrMake(name: string, count: number): Semaphores | undefined {
    const id = libc.semget(keyOf(name), count, C.IPC_CREAT | MODE);
    check("semget", id);
    return isOwn(id) ? new Semaphores(id) : undefined;
  }

  /**
   * The value of a semaphore.
   *
   * @throws {LibcError}
   */
  value(index: number): number {
    return check("semctl", libc.semctl(this.#id, index, C.GETVAL, 0n));
  }

  /**
   * When something was last added, or a process that had added something ended, in
   * seconds since 1970; 0 for never.
   *
   * @throws {LibcError}
   */
  get lastAdded(): number {
    return Number(statusOf(this.#id).getBigInt64(SEM_OTIME, true));
  }

  /**
   * Sets a value, and forgets what processes have added.
   *
   * @throws {LibcError}
   */
  set(index: number, value: number): void {
    check("semctl", libc.semctl(this.#id, index, C.SETVAL, BigInt(value)));
  }

  /**
   * Adds 1 until this process ends.
   *
   * @throws {LibcError}
   */
  add(index: number): void {
    this.#operate([index, 1, C.SEM_UNDO]);
  }

  /**
   * Adds 1, until this process ends, if the semaphore is 0.
   *
   * @returns false if it is not 0
   * @throws {LibcError}
   */
  addToZero(index: number): boolean {
    return this.#operate(
      [index, 0, C.IPC_NOWAIT],
      [index, 1, C.SEM_UNDO],
    );
  }

  /**
   * @param operations structs sembuf, all of which are done, or none
   * @returns false if they would have to wait
   */
  #operate(...operations: [number: number, op: number, flag: number][]) {
    const words = Int16Array.from(operations.flat());
    const bytes = new Uint8Array(words.buffer);
    const result = libc.semop(this.#id, bytes, BigInt(operations.length));
    if (result === -1 && errno() === E.EAGAIN) return false;
    check("semop", result);
    return true;
  }
}

/** Whether this user made a set, and nobody else may change it. */
function isOwn(id: number): boolean {
  const view = statusOf(id);
  return view.getUint32(SEM_CUID, true) === userId() &&
    (view.getUint16(SEM_MODE, true) & 0o777) === MODE;
}

/** A struct semid_ds. */
function statusOf(id: number): DataView {
  const bytes = new Uint8Array(ROOM);
  check("semctl", libc.semctl_into(id, 0, C.IPC_STAT, bytes));
  return new DataView(bytes.buffer);
}

/**
 * The key of a name and this user, by FNV-1a, so that no other user has it by
 * accident. 0 is IPC_PRIVATE, which is not a key.
 */
function keyOf(name: string): number {
  let hash = 0x811c9dc5;
  const text = `greylist ${userId()} ${name}`;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash === 0 ? 1 : hash | 0;
}
