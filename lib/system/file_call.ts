/**
 * Calls on one file that can be made in this thread or in another one; see
 * file_task.ts.
 *
 * @module
 */

import { C, E } from "./constants.ts";
import {
  createFile,
  creationOf,
  MKNODAT,
  OWNER_MODE,
  setMode,
} from "./create.ts";
import { close } from "./descriptor.ts";
import {
  flagsForWriting,
  mtimeAlone,
  openForWriting,
  setMtime,
  truncate,
  unlink,
} from "./file.ts";
import {
  callOf,
  type FileCall,
  type FileTask,
  keeping,
  make,
} from "./file_task.ts";
import { cString, fromLibc, fromLibcAtStart, isErrno } from "./libc.ts";
import { readState, type State, stateOf, STATX, STATX_WORDS } from "./statx.ts";

const libc = fromLibcAtStart({
  // The functions of descriptor.ts, file.ts and statx.ts, in another thread.
  open_later: {
    name: "open",
    parameters: ["buffer", "i32", "u32"],
    result: "i32",
    nonblocking: true,
  },
  close_later: {
    name: "close",
    parameters: ["i32"],
    result: "i32",
    nonblocking: true,
  },
  mknodat_later: { ...MKNODAT.mknodat, nonblocking: true },
  ftruncate_later: {
    name: "ftruncate",
    parameters: ["i32", "i64"],
    result: "i32",
    nonblocking: true,
  },
  statx_later: { ...STATX.statx, name: "statx", nonblocking: true },
});

/** Those that few clients need. */
const rare = fromLibc({
  futimens_later: {
    name: "futimens",
    parameters: ["i32", "buffer"],
    result: "i32",
    nonblocking: true,
  },
  fchmod_later: {
    name: "fchmod",
    parameters: ["i32", "u32"],
    result: "i32",
    nonblocking: true,
  },
  unlink_later: {
    name: "unlink",
    parameters: ["buffer"],
    result: "i32",
    nonblocking: true,
  },
});

/** Those of a file that is written. */
const output = fromLibc({
  write_later: {
    name: "write",
    parameters: ["i32", "buffer", "usize"],
    result: "isize",
    nonblocking: true,
  },
});

/**
 * statx(2) in another thread, because the disk may hang.
 *
 * @returns a struct statx in words of 32 bits; undefined if the call fails
 */
export async function statxLater(
  path: string,
  flags: number,
): Promise<Uint32Array | undefined> {
  const words = new Uint32Array(STATX_WORDS);
  const bytes = new Uint8Array(words.buffer);
  const name = cString(path);
  const result = await keeping(
    [name, bytes],
    libc.statx_later(C.AT_FDCWD, name, flags, C.STATX_BASIC_STATS, bytes),
  );
  return result === -1 ? undefined : words;
}

/**
 * Looks at a file, and does not follow a symbolic link; see {@linkcode stateOf}.
 *
 * @param mayFail whether undefined may also mean that the call has failed. A caller
 * that goes on to create the file does not need the reason, and a second call to
 * learn it is saved.
 * @param sync flags of statx(2) on what a remote file system is asked
 */
export function lookAt(
  path: string,
  mayFail = false,
  sync = 0,
): FileCall<State | undefined> {
  const now = () => stateOf(path, "keep", sync);
  return {
    now,
    async later() {
      const words = await statxLater(path, C.AT_SYMLINK_NOFOLLOW | sync);
      if (words !== undefined) return readState(words);
      return mayFail ? undefined : now();
    },
  };
}

/**
 * Opens a file in another thread. The descriptor is closed on exec.
 *
 * @returns the descriptor, or -1 if the file cannot be opened
 */
export function openLater(
  path: string,
  flags: number,
  mode: number,
): Promise<number> {
  const name = cString(path);
  return keeping(name, libc.open_later(name, flags | C.O_CLOEXEC, mode));
}

/** Opens a file; see {@linkcode openForWriting}. */
export function openFile(
  path: string,
  how: "existing" | "new",
  mode: number = OWNER_MODE,
): FileCall<number> {
  const now = () => openForWriting(path, how, mode);
  return {
    now,
    async later() {
      const fd = await openLater(path, flagsForWriting(how), mode);
      return fd === -1 ? now() : fd;
    },
  };
}

/** Creates a file; see {@linkcode createFile}. */
function create(path: string): FileCall<void> {
  return callOf(() => createFile(path), () => {
    const parameters = creationOf(cString(path));
    return keeping(parameters, libc.mknodat_later(...parameters));
  });
}

/** Sets a file's size, and with it the mtime if the size changes. */
export function resize(fd: number, size: number): FileCall<void> {
  return callOf(
    () => truncate(fd, size),
    () => libc.ftruncate_later(fd, BigInt(size)),
  );
}

/**
 * write(2) in another thread.
 *
 * @returns how many bytes were written, or -1 if the call fails
 */
export async function writeLater(
  fd: number,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<number> {
  const size = BigInt(bytes.length);
  return Number(await keeping(bytes, output().write_later(fd, bytes, size)));
}

/** Closes a descriptor. On a shared file system the servers have to answer. */
export function shut(fd: number): FileCall<void> {
  return {
    now: () => close(fd),
    async later() {
      await libc.close_later(fd);
    },
  };
}

/** Sets the mtime; see {@linkcode setMtime}. */
export function stamp(fd: number, time: number): FileCall<void> {
  return callOf(() => setMtime(fd, time), () => {
    const times = mtimeAlone(time);
    return keeping(times, rare().futimens_later(fd, times));
  });
}

/** Gives a file's owner its permissions; see {@linkcode setMode}. */
function permit(fd: number): FileCall<void> {
  return callOf(
    () => setMode(fd, OWNER_MODE),
    () => rare().fchmod_later(fd, OWNER_MODE),
  );
}

/** Removes a file. */
export function remove(path: string): FileCall<void> {
  return callOf(() => unlink(path), () => {
    const name = cString(path);
    return keeping(name, rare().unlink_later(name));
  });
}

/** Removes a file, unless another process was faster. */
function* removeIfThere(path: string): FileTask<void> {
  try {
    yield* make(remove(path));
  } catch (error) {
    if (!isErrno(error, E.ENOENT)) throw error;
  }
}

/**
 * Creates an empty file with mode 0600; it must not exist yet. That is one call,
 * unless the umask or the file system does not allow it.
 *
 * @param ownerMasked see {@linkcode isOwnerMasked}
 */
export function* createNew(path: string, ownerMasked: boolean): FileTask<void> {
  if (!ownerMasked) {
    try {
      return yield* make(create(path));
    } catch (error) {
      if (!isErrno(error, E.ENOSYS, E.EOPNOTSUPP, E.EPERM)) throw error;
    }
  }
  yield* make(shut(yield* openNew(path, ownerMasked)));
}

/** Creates a file as {@linkcode createNew} does, and opens it. */
function* openNew(path: string, ownerMasked: boolean): FileTask<number> {
  const fd = yield* make(openFile(path, "new"));
  try {
    if (ownerMasked) yield* make(permit(fd));
  } catch (error) {
    yield* make(shut(fd));
    throw error;
  }
  return fd;
}

/**
 * Opens a file, and creates it if it is missing. A file that only another user may
 * write is removed first: an administrator who tries the program as root creates
 * such files.
 *
 * @param ownerMasked see {@linkcode isOwnerMasked}
 * @returns its descriptor
 */
export function* openOrCreate(
  path: string,
  ownerMasked: boolean,
): FileTask<number> {
  try {
    return yield* make(openFile(path, "existing"));
  } catch (error) {
    if (isErrno(error, E.EACCES)) yield* removeIfThere(path);
    else if (!isErrno(error, E.ENOENT)) throw error;
  }
  try {
    return yield* openNew(path, ownerMasked);
  } catch (error) {
    // Another process has created it in between.
    if (!isErrno(error, E.EEXIST)) throw error;
    return yield* make(openFile(path, "existing"));
  }
}
