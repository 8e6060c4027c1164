/**
 * Reads a directory of any size in bounded memory. Deno's own readDir collects all
 * names before it gives the first one: 600 MB for a million.
 *
 * @module
 */

import { C, E } from "./constants.ts";
import { close, open, openUnnoticed } from "./descriptor.ts";
import { check, errno, fromLibc, LibcError } from "./libc.ts";
import {
  ATIME,
  BTIME,
  MASK,
  MODE,
  MTIME,
  SIZE,
  STATX,
  STATX_WORDS,
  time,
  wide,
} from "./statx.ts";

const libc = fromLibc({
  // off_t lseek(int fd, off_t offset, int whence);
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  // ssize_t getdents64(int fd, void *dirp, size_t count);
  getdents64: { parameters: ["i32", "buffer", "u64"], result: "i64" },
  // int unlinkat(int dirfd, const char *pathname, int flags);
  unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  ...STATX,
});

/** What {@linkcode Directory.visit} calls for the names in a directory. */
export interface Visitor {
  /**
   * Decides by the name whether a file is looked at. Each character of the name
   * stands for one byte.
   */
  wanted(name: string): boolean;
  /**
   * Called for a regular file.
   *
   * @param mtime seconds since 1970
   * @param birth the same, undefined if the file system does not keep it
   * @returns true to stop here
   */
  file(
    name: string,
    size: number,
    mtime: number,
    birth: number | undefined,
  ): boolean;
  /** Called for anything else; a symbolic link is not followed. */
  other(): void;
  /** Called for a file that cannot be looked at. An error that it throws ends the
   * visit. */
  failed(error: LibcError): void;
  /**
   * Called last for each name that `file` was not called for.
   *
   * @returns true to stop here
   */
  skipped?(): boolean;
}

/** An open directory, and a position in it. */
export class Directory {
  readonly #fd: number;
  readonly #libc = libc();
  // struct linux_dirent64, one behind the other: inode, offset of the next,
  // record length, type, then the name up to a zero byte.
  readonly #records = new Uint8Array(65536);
  readonly #lengths = new Uint16Array(this.#records.buffer);
  #text = "";
  #filled = 0;
  /** The offsets of the current name's record and of the next one. */
  #at = 0;
  #after = 0;
  readonly #state = new Uint32Array(STATX_WORDS);
  readonly #stateBytes = new Uint8Array(this.#state.buffer);

  /** False if reading the directory changes its atime. */
  readonly keepsAtime: boolean;

  /**
   * @param options `keepAtime`: opens it as {@linkcode openUnnoticed} does
   * @throws {LibcError} if it cannot be opened
   */
  constructor(path: string, options: { keepAtime?: boolean } = {}) {
    const { fd, keepsAtime } = options.keepAtime
      ? openUnnoticed(path, C.O_DIRECTORY)
      : { fd: open(path, C.O_DIRECTORY), keepsAtime: false };
    this.#fd = fd;
    this.keepsAtime = keepsAtime;
  }

  /** Closes the directory. */
  close(): void {
    close(this.#fd);
  }

  /**
   * Goes to a position.
   *
   * @param position 0 for the beginning, or a {@linkcode position} from before
   * @throws {LibcError}
   */
  seek(position: bigint): void {
    check("lseek", this.#libc.lseek(this.#fd, position, C.SEEK_SET));
    this.#filled = this.#after = 0;
  }

  /** The position behind the current name. */
  get position(): bigint {
    return new DataView(this.#records.buffer).getBigInt64(this.#at + 8, true);
  }

  /** The current name; bytes that are not UTF-8 become U+FFFD. */
  get name(): string {
    const start = this.#at + 19;
    const end = this.#records.indexOf(0, start);
    return new TextDecoder().decode(this.#records.subarray(start, end));
  }

  /** The atime of the file that the visitor is called for, in seconds since 1970. */
  get atime(): number {
    return time(this.#state, ATIME);
  }

  /** Whether {@linkcode Visitor.other} is called for a directory. */
  get isDirectory(): boolean {
    return (this.#state[MODE] & C.S_IFMT) === C.S_IFDIR;
  }

  /**
   * Goes through the names from here on, in the directory's own order; `.` and
   * `..` are among them. The current name is the one that the visitor is called
   * for. Names may be removed meanwhile.
   *
   * V8 only interprets this loop (--lite-mode), for up to a million names. So the
   * loop makes no object and no call that is not needed.
   *
   * @throws {LibcError} if the directory cannot be read
   */
  visit({ wanted, file, other, failed, skipped }: Visitor): void {
    const { statx } = this.#libc;
    const fd = this.#fd, records = this.#records, lengths = this.#lengths;
    const state = this.#state, bytes = this.#stateBytes;
    const flags = C.AT_SYMLINK_NOFOLLOW, withBirth = C.STATX_BTIME;
    const mask = C.STATX_BASIC_STATS | withBirth;
    const typeMask = C.S_IFMT, regular = C.S_IFREG;
    while (this.#after < this.#filled || this.#read()) {
      const text = this.#text, filled = this.#filled;
      let next = this.#after;
      while (next < filled) {
        const begin = next + 19;
        this.#at = next;
        this.#after = next += lengths[(next + 16) / 2];
        const name = text.slice(begin, text.indexOf("\0", begin));
        if (!wanted(name)) {
          if (skipped?.()) return;
          continue;
        }
        const path = records.subarray(begin);
        if (statx(fd, path, flags, mask, bytes) === -1) {
          const error = missingOr("statx");
          if (error !== undefined) failed(error);
        } else if ((state[MODE] & typeMask) !== regular) {
          other();
        } else {
          const size = state[SIZE + 1] === 0 ? state[SIZE] : wide(state, SIZE);
          const mtime = state[MTIME + 1] === 0
            ? state[MTIME] + state[MTIME + 2] / 1e9
            : time(state, MTIME);
          const birth = (state[MASK] & withBirth) === 0
            ? undefined
            : state[BTIME + 1] === 0
            ? state[BTIME] + state[BTIME + 2] / 1e9
            : time(state, BTIME);
          if (file(name, size, mtime, birth)) return;
          continue;
        }
        if (skipped?.()) return;
      }
    }
  }

  #read(): boolean {
    const length = BigInt(this.#records.length);
    const filled = this.#libc.getdents64(this.#fd, this.#records, length);
    this.#filled = Number(check("getdents64", filled));
    this.#after = 0;
    // Latin-1 has one character for each byte: an offset in the text is an offset
    // in the buffer.
    this.#text = new TextDecoder("latin1").decode(
      this.#records.subarray(0, this.#filled),
    );
    return this.#filled > 0;
  }

  /**
   * Removes the file under the current name.
   *
   * @returns false if another process was faster
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

/** The error of a failed call; undefined if the file does not exist. */
function missingOr(call: string): LibcError | undefined {
  const code = errno();
  return code === E.ENOENT ? undefined : new LibcError(call, code);
}
