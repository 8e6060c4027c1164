/**
 * Reads a directory of any size in bounded memory. Deno's own readDir holds the
 * whole list before it gives the first name: 600 MB for a million.
 *
 * A million names go through here under an interpreter (V8's --lite-mode), so
 * it makes no object and calls no function that a name could do without.
 *
 * @module
 */

import { lazily } from "./lazily.ts";
import { check, cString, ENOENT, isErrno, LIBC } from "./libc.ts";

const O_DIRECTORY = Deno.build.arch === "aarch64" ? 0o40000 : 0o200000;
const O_CLOEXEC = 0o2000000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const SEEK_SET = 0;
const HIGH = 0x1_0000_0000;

const libc = lazily(() =>
  Deno.dlopen(LIBC, {
    // int open(const char *pathname, int flags);
    open: { parameters: ["buffer", "i32"], result: "i32" },
    // int close(int fd);
    close: { parameters: ["i32"], result: "i32" },
    // off_t lseek(int fd, off_t offset, int whence);
    lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
    // ssize_t getdents64(int fd, void *dirp, size_t count);
    getdents64: { parameters: ["i32", "buffer", "u64"], result: "i64" },
    // int statx(int dirfd, const char *pathname, int flags, unsigned int mask,
    //           struct statx *statxbuf);
    statx: {
      parameters: ["i32", "buffer", "i32", "u32", "buffer"],
      result: "i32",
    },
    // int unlinkat(int dirfd, const char *pathname, int flags);
    unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  }).symbols
);

/** What statx(2) says about one name. Times are seconds since 1970. */
export interface FileState {
  readonly isFile: boolean;
  readonly size: number;
  readonly mtime: number;
  /** When the file was made, undefined where the file system keeps no such time. */
  readonly birth: number | undefined;
}

/** An open directory, and a place in it. */
export class Directory {
  readonly #fd: number;
  readonly #libc = libc();
  // struct linux_dirent64, one behind the other: inode, offset of the next,
  // record length, type, then the name up to a zero byte.
  readonly #records = new Uint8Array(65536);
  readonly #lengths = new Uint16Array(this.#records.buffer);
  #text = "";
  #filled = 0;
  /** Where the record of the current name is, and that of the next one. */
  #at = 0;
  #after = 0;
  // struct statx, the same on every Linux.
  readonly #state = new Uint32Array(64);
  readonly #stateBytes = new Uint8Array(this.#state.buffer);

  /** @throws {LibcError} where it cannot be opened */
  constructor(path: string) {
    const flags = O_DIRECTORY | O_CLOEXEC;
    this.#fd = check("open", libc().open(cString(path), flags));
  }

  /** Closes it. */
  close(): void {
    this.#libc.close(this.#fd);
  }

  /**
   * Goes to a place in it.
   *
   * @param position 0 for the beginning, or a {@linkcode position} from before
   * @throws {LibcError}
   */
  seek(position: bigint): void {
    check("lseek", this.#libc.lseek(this.#fd, position, SEEK_SET));
    this.#filled = this.#after = 0;
  }

  /** Where the name behind the current one is. */
  get position(): bigint {
    return new DataView(this.#records.buffer).getBigInt64(this.#at + 8, true);
  }

  /**
   * Goes to the next name, in the directory's own order; `.` and `..` are among
   * them. Names may be removed meanwhile.
   *
   * @returns the name, whose characters are its bytes where these are ASCII; or
   * undefined at the end
   * @throws {LibcError}
   */
  next(): string | undefined {
    if (this.#after >= this.#filled && !this.#read()) return undefined;
    this.#at = this.#after;
    this.#after += this.#lengths[(this.#at + 16) / 2];
    const start = this.#at + 19;
    return this.#text.slice(start, this.#text.indexOf("\0", start));
  }

  #read(): boolean {
    const length = BigInt(this.#records.length);
    const filled = this.#libc.getdents64(this.#fd, this.#records, length);
    this.#filled = Number(check("getdents64", filled));
    this.#after = 0;
    // A byte a character, so that places in the text are places in the buffer.
    this.#text = new TextDecoder("latin1").decode(
      this.#records.subarray(0, this.#filled),
    );
    return this.#filled > 0;
  }

  /** The current name, whatever it is made of. */
  get name(): string {
    const start = this.#at + 19;
    const end = this.#records.indexOf(0, start);
    return new TextDecoder().decode(this.#records.subarray(start, end));
  }

  /**
   * What there is under the current name; a symbolic link is not followed.
   *
   * @returns undefined where there is nothing
   * @throws {LibcError}
   */
  stat(): FileState | undefined {
    const result = this.#libc.statx(
      this.#fd,
      this.#records.subarray(this.#at + 19),
      AT_SYMLINK_NOFOLLOW,
      STATX_BASIC_STATS | STATX_BTIME,
      this.#stateBytes,
    );
    if (result === -1 && isMissing("statx")) return undefined;
    // In words of 32 bits: 0 stx_mask, 7 stx_mode, 10 stx_size, 20 stx_btime,
    // 28 stx_mtime (statx(2)).
    const state = this.#state;
    return {
      isFile: (state[7] & S_IFMT) === S_IFREG,
      size: state[11] === 0 ? state[10] : state[10] + state[11] * HIGH,
      mtime: time(state, 28),
      birth: state[0] & STATX_BTIME ? time(state, 20) : undefined,
    };
  }

  /**
   * Removes the file under the current name.
   *
   * @returns false where somebody else was faster
   * @throws {LibcError}
   */
  remove(): boolean {
    const name = this.#records.subarray(this.#at + 19);
    const result = this.#libc.unlinkat(this.#fd, name, 0);
    return result !== -1 || !isMissing("unlink");
  }
}

/** A struct statx_timestamp: signed seconds in two words, nanoseconds in one. */
function time(words: Uint32Array, at: number): number {
  const high = words[at + 1] | 0;
  const seconds = high === 0 ? words[at] : words[at] + high * HIGH;
  return seconds + words[at + 2] / 1e9;
}

/**
 * Whether a call that failed did so because there is nothing of that name.
 *
 * @throws {LibcError} where it failed for another reason
 */
function isMissing(call: string): boolean {
  try {
    check(call, -1);
    return false;
  } catch (error) {
    if (!isErrno(error, ENOENT)) throw error;
    return true;
  }
}
