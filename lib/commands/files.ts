/**
 * Files that the administrator names on a command line. The compiled binary may
 * touch the configured paths only, and Deno refuses all others. Who has a shell
 * may name any file, so the C library opens it, with the rights of that user and
 * no others.
 *
 * @module
 */

import { lazily } from "../system/lazily.ts";
import {
  check,
  cString,
  ENOENT,
  isErrno,
  LIBC,
  LibcError,
} from "../system/libc.ts";
import { encode } from "../system/utf8.ts";
import { TemporaryError, UsageError } from "./command.ts";

/** An open file or device. */
export interface Handle {
  /** Reads into the buffer; gives the number of bytes, 0 at the end. */
  read(buffer: Uint8Array<ArrayBuffer>): number;
  /** Writes all of it. */
  write(bytes: Uint8Array<ArrayBuffer>): void;
  close(): void;
}

/** What a name stands for. */
export interface Info {
  readonly kind: "file" | "directory" | "link" | "other";
  /** Bytes. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
}

/**
 * Opens a file for reading.
 *
 * @throws {UsageError} where there is none, it is a directory or may not be read
 */
export function openInput(path: string): { info: Info; handle: Handle } {
  return told(path, () => {
    const info = stat(path, true);
    if (info.kind === "directory") {
      throw new UsageError(`${path}: is a directory: expected a file`);
    }
    return { info, handle: open(path, "read") };
  });
}

/**
 * Writes a file whole or not at all: what had the name before stays until the
 * new one is complete.
 *
 * @throws {UsageError} where there is no such place, or no regular file in it
 * @throws {TemporaryError} where the disk is full or failing
 */
export function replaceFile(path: string, text: string): void {
  const slash = path.lastIndexOf("/") + 1;
  const temporary = `${path.slice(0, slash)}.greylist-${Deno.pid}.tmp`;
  told(path, () => {
    refuseOthers(path);
    const handle = open(temporary, "create");
    try {
      try {
        handle.write(encode(text));
      } finally {
        handle.close();
      }
      check("rename", libc().rename(cString(temporary), cString(path)));
    } catch (error) {
      libc().unlink(cString(temporary));
      throw error;
    }
  });
}

/**
 * Says early what {@linkcode replaceFile} would not replace.
 *
 * @throws {UsageError}
 */
export function checkOutput(path: string): void {
  told(path, () => refuseOthers(path));
}

function refuseOthers(path: string): void {
  const slash = path.lastIndexOf("/");
  if (stat(path.slice(0, slash + 1) || ".", true).kind !== "directory") {
    throw new UsageError(`${path}: expected a file in a directory`);
  }
  let info: Info;
  try {
    info = stat(path, false);
  } catch (error) {
    if (isErrno(error, ENOENT)) return;
    throw error;
  }
  if (info.kind === "directory") {
    throw new UsageError(`${path}: is a directory: expected a file`);
  }
  if (info.kind !== "file") {
    throw new UsageError(`${path}: is no regular file: not replaced`);
  }
}

/** EINTR, EIO, ENOMEM, ENFILE, EMFILE, ENOSPC, EDQUOT. */
const PASSING = [4, 5, 12, 23, 24, 28, 122];

function told<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw fileError(path, error);
  }
}

/** Any error as one that says the file's name and the reason on one line. */
export function fileError(path: string, error: unknown): Error {
  const { message } = error as Error;
  if (!(error instanceof LibcError)) {
    return new UsageError(`${path}: ${message.replace(/ \(os error .*/s, "")}`);
  }
  // The name of the call is nothing to an administrator.
  const reason = message.slice(message.indexOf(": ") + 2);
  const Kind = PASSING.includes(error.code) ? TemporaryError : UsageError;
  return new Kind(`${path}: ${reason}`);
}

// Linux, the same on x86_64 and aarch64.
const O_RDONLY = 0;
const O_WRONLY = 0o1;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_NOCTTY = 0o400;
const O_CLOEXEC = 0o2000000;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const STATX_BASIC_STATS = 0x7ff;
const S_IFMT = 0o170000;
const KINDS: Record<number, Info["kind"]> = {
  0o100000: "file",
  0o040000: "directory",
  0o120000: "link",
};

const libc = lazily(() =>
  Deno.dlopen(LIBC, {
    // int open(const char *pathname, int flags, mode_t mode);
    open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
    // ssize_t read(int fd, void *buf, size_t count);
    read: { parameters: ["i32", "buffer", "u64"], result: "i64" },
    // ssize_t write(int fd, const void *buf, size_t count);
    write: { parameters: ["i32", "buffer", "u64"], result: "i64" },
    // int close(int fd);
    close: { parameters: ["i32"], result: "i32" },
    // int statx(int dirfd, const char *pathname, int flags, unsigned int mask,
    //           struct statx *statxbuf);
    statx: {
      parameters: ["i32", "buffer", "i32", "u32", "buffer"],
      result: "i32",
    },
    // int rename(const char *oldpath, const char *newpath);
    rename: { parameters: ["buffer", "buffer"], result: "i32" },
    // int unlink(const char *pathname);
    unlink: { parameters: ["buffer"], result: "i32" },
  }).symbols
);

function open(path: string, how: "read" | "create"): Handle {
  const { open, read, write, close } = libc();
  const flags = O_NOCTTY | O_CLOEXEC |
    (how === "read" ? O_RDONLY : O_WRONLY | O_CREAT | O_EXCL);
  const fd = check("open", open(cString(path), flags, 0o666));
  return {
    read: (buffer) =>
      Number(check("read", read(fd, buffer, BigInt(buffer.length)))),
    write(bytes) {
      while (bytes.length > 0) {
        const size = BigInt(bytes.length);
        bytes = bytes.subarray(Number(check("write", write(fd, bytes, size))));
      }
    },
    close: () => {
      close(fd);
    },
  };
}

function stat(path: string, follow: boolean): Info {
  // struct statx, the same everywhere: stx_mode is at 28, stx_size at 40,
  // stx_mtime at 112 (statx(2), linux/stat.h).
  const bytes = new Uint8Array(256);
  const flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
  const name = cString(path);
  const { statx } = libc();
  check("statx", statx(AT_FDCWD, name, flags, STATX_BASIC_STATS, bytes));
  const view = new DataView(bytes.buffer);
  const mode = view.getUint16(28, true);
  return {
    kind: KINDS[mode & S_IFMT] ?? "other",
    size: Number(view.getBigUint64(40, true)),
    mtime: Number(view.getBigInt64(112, true)),
  };
}
