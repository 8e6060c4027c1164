/**
 * A file that is replaced whole or not at all.
 *
 * @module
 */

import { dataSync, imitate, rename, write } from "./file.ts";
import { openFile, remove, shut, writeLater } from "./file_call.ts";
import {
  callOf,
  type FileCall,
  type FileTask,
  keeping,
  make,
} from "./file_task.ts";
import { cString, fromLibc } from "./libc.ts";
import type { State } from "./statx.ts";

const libc = fromLibc({
  // The functions of file.ts, in another thread.
  fdatasync_later: {
    name: "fdatasync",
    parameters: ["i32"],
    result: "i32",
    nonblocking: true,
  },
  rename_later: {
    name: "rename",
    parameters: ["buffer", "buffer"],
    result: "i32",
    nonblocking: true,
  },
});

/**
 * Writes a file whole or not at all: the old one stays until the new one is
 * complete and on the disk.
 *
 * @param temporary a path in the same directory, which must not exist yet; it is
 * created before `content` is called
 * @param mode the permissions of the new file, less the umask
 * @param old a file whose owner and permissions the new one gets when it is
 * complete; not for a caller that must not wait for the disk
 * @throws {LibcError} if it cannot be replaced; EEXIST if `temporary` exists
 * @throws what `content` throws
 */
export function* replaceFile(
  path: string,
  temporary: string,
  mode: number,
  content: () => Uint8Array<ArrayBuffer>,
  old?: State,
): FileTask<void> {
  const fd = yield* make(openFile(temporary, "new", mode));
  try {
    try {
      yield* make(writeAll(fd, content()));
      if (old !== undefined) imitate(fd, old);
      // Without it, half a file might have the name after a power failure.
      yield* make(toDisk(fd));
    } finally {
      yield* make(shut(fd));
    }
    yield* make(moved(temporary, path));
  } catch (error) {
    try {
      yield* make(remove(temporary));
    } catch {
      // The first error says more.
    }
    throw error;
  }
}

function writeAll(
  fd: number,
  bytes: Uint8Array<ArrayBuffer>,
): FileCall<void> {
  return {
    now: () => write(fd, bytes),
    async later() {
      const written = await writeLater(fd, bytes);
      // More than 2 GB are written in parts, see write(2). An error comes again.
      if (written !== bytes.length) {
        write(fd, bytes.subarray(Math.max(0, written)));
      }
    },
  };
}

function toDisk(fd: number): FileCall<void> {
  return callOf(() => dataSync(fd), () => libc().fdatasync_later(fd));
}

function moved(from: string, to: string): FileCall<void> {
  return callOf(() => rename(from, to), () => {
    const names = [cString(from), cString(to)] as const;
    return keeping(names, libc().rename_later(...names));
  });
}
