/**
 * Reads a directory of any size in bounded memory. Deno's own readDir holds the
 * whole list before it gives the first name: 600 MB for a million.
 *
 * @module
 */

import { lazily } from "./lazily.ts";
import { check, cString, ENOENT, errno, LIBC, LibcError } from "./libc.ts";
import {
  AT_SYMLINK_NOFOLLOW,
  BTIME,
  MASK,
  MODE,
  MTIME,
  S_IFMT,
  S_IFREG,
  SIZE,
  STATX_BASIC_STATS,
  STATX_BTIME,
  STATX_WORDS,
  time,
  wide,
} from "./statx.ts";

const O_DIRECTORY = Deno.build.arch === "aarch64" ? 0o40000 : 0o200000;
const O_CLOEXEC = 0o2000000;
const SEEK_SET = 0;

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

/** What is told of the names in a directory. */
export interface Visitor {
  /**
   * Whether a name is to be looked at. Its characters are the name's bytes,
   * where these are ASCII.
   */
  wanted(name: string): boolean;
  /**
   * There is a regular file.
   *
   * @param mtime seconds since 1970
   * @param birth the same, undefined where the file system does not keep it
   * @returns whether to stop here
   */
  file(
    name: string,
    size: number,
    mtime: number,
    birth: number | undefined,
  ): boolean;
  /** There is something else; a symbolic link is not followed. */
  other(): void;
  /** It cannot be looked at. What this throws is thrown. */
  failed(error: LibcError): void;
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
  readonly #state = new Uint32Array(STATX_WORDS);
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

  /** The current name, whatever it is made of. */
  get name(): string {
    const start = this.#at + 19;
    const end = this.#records.indexOf(0, start);
    return new TextDecoder().decode(this.#records.subarray(start, end));
  }

  /**
   * Goes through the names from here on, in the directory's own order; `.` and
   * `..` are among them. The one that is told of is the current one. Names may
   * be removed meanwhile.
   *
   * A million go through here under an interpreter (V8's --lite-mode), so there
   * is no object and no call that a name could do without.
   *
   * @throws {LibcError} where the directory cannot be read
   */
  visit({ wanted, file, other, failed }: Visitor): void {
    const { statx } = this.#libc;
    const fd = this.#fd, records = this.#records, lengths = this.#lengths;
    const state = this.#state, bytes = this.#stateBytes;
    const flags = AT_SYMLINK_NOFOLLOW, mask = STATX_BASIC_STATS | STATX_BTIME;
    while (this.#after < this.#filled || this.#read()) {
      const text = this.#text, filled = this.#filled;
      let next = this.#after;
      while (next < filled) {
        const begin = next + 19;
        this.#at = next;
        this.#after = next += lengths[(next + 16) / 2];
        const name = text.slice(begin, text.indexOf("\0", begin));
        if (!wanted(name)) continue;
        const path = records.subarray(begin);
        if (statx(fd, path, flags, mask, bytes) === -1) {
          const error = missingOr("statx");
          if (error !== undefined) failed(error);
        } else if ((state[MODE] & S_IFMT) !== S_IFREG) {
          other();
        } else {
          const size = state[SIZE + 1] === 0 ? state[SIZE] : wide(state, SIZE);
          const mtime = state[MTIME + 1] === 0
            ? state[MTIME] + state[MTIME + 2] / 1e9
            : time(state, MTIME);
          const birth = (state[MASK] & STATX_BTIME) === 0
            ? undefined
            : state[BTIME + 1] === 0
            ? state[BTIME] + state[BTIME + 2] / 1e9
            : time(state, BTIME);
          if (file(name, size, mtime, birth)) return;
        }
      }
    }
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

  /**
   * Removes the file under the current name.
   *
   * @returns false where somebody else was faster
   * @throws {LibcError}
   */
  remove(): boolean {
    const name = this.#records.subarray(this.#at + 19);
    if (this.#libc.unlinkat(this.#fd, name, 0) !== -1) return true;
    const error = missingOr("unlink");
    if (error !== undefined) throw error;
    return false;
  }
}

/** Why a call failed, undefined where there is nothing of that name. */
function missingOr(call: string): LibcError | undefined {
  const code = errno();
  return code === ENOENT ? undefined : new LibcError(call, code);
}
