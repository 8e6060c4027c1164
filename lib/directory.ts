/**
 * Reads a directory of any size in bounded memory. Deno's own readDir holds the
 * whole list before it gives the first name: 600 MB for a million.
 *
 * @module
 */

import { check, cString, ENOENT, isErrno, lazily, LIBC } from "./libc.ts";

const O_DIRECTORY = Deno.build.arch === "aarch64" ? 0o40000 : 0o200000;
const O_CLOEXEC = 0o2000000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
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

/** What statx(2) says about one name. Times are seconds since 1970. */
export interface FileState {
  readonly isFile: boolean;
  readonly size: number;
  readonly mtime: number;
  /** When the file was made, undefined where the file system keeps no such time. */
  readonly birth: number | undefined;
}

/** One name in a directory. */
export interface Name {
  readonly text: string;
  /** The same as C has it, for {@linkcode Directory.stat}; valid until the next. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where in the directory the next name is; see {@linkcode Directory.names}. */
  readonly next: bigint;
}

/** An open directory. */
export class Directory {
  readonly #fd: number;
  readonly #statx = new DataView(new ArrayBuffer(256));
  readonly #statxBytes = new Uint8Array(this.#statx.buffer);

  /** @throws {LibcError} where it cannot be opened */
  constructor(path: string) {
    const flags = O_DIRECTORY | O_CLOEXEC;
    this.#fd = check("open", libc().open(cString(path), flags));
  }

  /** Closes it. */
  close(): void {
    libc().close(this.#fd);
  }

  /**
   * The names in it but `.` and `..`, in the directory's own order. Names may be
   * removed meanwhile.
   *
   * @param from where to begin: 0, or `next` of a name that was given before
   * @throws {LibcError}
   */
  *names(from = 0n): Generator<Name> {
    const { lseek, getdents64 } = libc();
    check("lseek", lseek(this.#fd, from, SEEK_SET));
    const bytes = new Uint8Array(65536);
    const view = new DataView(bytes.buffer);
    const length = BigInt(bytes.length);
    const decoder = new TextDecoder();
    while (true) {
      const filled = Number(
        check("getdents64", getdents64(this.#fd, bytes, length)),
      );
      if (filled === 0) return;
      for (let at = 0; at < filled;) {
        // struct linux_dirent64: inode, offset of the next, record length, type,
        // then the name up to a zero byte.
        const next = view.getBigInt64(at + 8, true);
        const size = view.getUint16(at + 16, true);
        const name = bytes.subarray(at + 19, bytes.indexOf(0, at + 19) + 1);
        const text = decoder.decode(name.subarray(0, -1));
        at += size;
        if (text !== "." && text !== "..") yield { text, bytes: name, next };
      }
    }
  }

  /**
   * What there is under a name; a symbolic link is not followed.
   *
   * @returns undefined where there is nothing
   * @throws {LibcError}
   */
  stat(name: Uint8Array<ArrayBuffer>): FileState | undefined {
    const result = libc().statx(
      this.#fd,
      name,
      AT_SYMLINK_NOFOLLOW,
      STATX_BASIC_STATS | STATX_BTIME,
      this.#statxBytes,
    );
    if (result === -1 && orMissing(() => check("statx", result))) {
      return undefined;
    }
    // struct statx, the same on every Linux: statx(2). Numbers are read in two
    // halves, for a bigint costs more than the rest of the look.
    const view = this.#statx;
    const whole = (at: number, high: number) =>
      view.getUint32(at, true) + high * 0x1_0000_0000;
    const time = (at: number) =>
      whole(at, view.getInt32(at + 4, true)) +
      view.getUint32(at + 8, true) / 1e9;
    return {
      isFile: (view.getUint16(28, true) & S_IFMT) === S_IFREG,
      size: whole(40, view.getUint32(44, true)),
      mtime: time(112),
      birth: view.getUint32(0, true) & STATX_BTIME ? time(80) : undefined,
    };
  }

  /**
   * Removes a file.
   *
   * @returns false where somebody else was faster
   * @throws {LibcError}
   */
  remove(name: string): boolean {
    const { unlinkat } = libc();
    return !orMissing(() =>
      check("unlink", unlinkat(this.#fd, cString(name), 0))
    );
  }
}

/** Whether a call failed because there is nothing of that name. */
function orMissing(call: () => unknown): boolean {
  try {
    call();
    return false;
  } catch (error) {
    if (!isErrno(error, ENOENT)) throw error;
    return true;
  }
}
