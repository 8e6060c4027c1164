/**
 * Files that other threads open, read, write and close, so that the event loop of
 * `serve` does not wait for a disk that hangs. Deno 2.4 opens and closes files in
 * the thread of the event loop.
 *
 * @module
 */

import { C } from "./constants.ts";
import { open } from "./descriptor.ts";
import { read } from "./file.ts";
import { openLater, shut, writeLater } from "./file_call.ts";
import { keeping } from "./file_task.ts";
import { fromLibc, LibcError } from "./libc.ts";

const libc = fromLibc({
  // ssize_t read(int fd, void *buf, size_t count);
  read: {
    parameters: ["i32", "buffer", "usize"],
    result: "isize",
    nonblocking: true,
  },
});

/** How much is read at once, in bytes. */
const PIECE = 65536;

/**
 * Reads a regular file. A FIFO or a device in its place is not waited for.
 *
 * @returns its text; what is no UTF-8 becomes U+FFFD
 * @throws {Error} if it cannot be read or is no regular file
 */
export async function readRegularFileLater(path: string): Promise<string> {
  const { isFile } = await Deno.stat(path);
  if (!isFile) throw new Error("expected a regular file");
  // Something else may have taken its place by now.
  const fd = await opened(path, C.O_RDONLY | C.O_NONBLOCK | C.O_NOCTTY);
  try {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const buffer = new Uint8Array(PIECE);
    let text = "";
    for (let length; (length = await readLater(fd, buffer)) > 0;) {
      text += decoder.decode(buffer.subarray(0, length), { stream: true });
    }
    return text + decoder.decode();
  } finally {
    await shut(fd).later();
  }
}

/** A file that is appended to. */
export class AppendedFile {
  /** -1 if the file is closed. */
  #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Opens a file, and creates it if it is missing.
   *
   * @param mode the permissions of a new file, less the umask
   * @throws {Error} if it cannot be opened
   */
  static async open(path: string, mode: number): Promise<AppendedFile> {
    const flags = C.O_WRONLY | C.O_APPEND | C.O_CREAT | C.O_NOCTTY;
    return new AppendedFile(await opened(path, flags, mode));
  }

  /** @returns how many bytes were written, or -1 if that has failed */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
    // A closed file's write fails with EBADF.
    return writeLater(this.#fd, bytes);
  }

  /** Closes the file. No {@linkcode write} may be under way. */
  async close(): Promise<void> {
    const fd = this.#fd;
    if (fd === -1) return;
    this.#fd = -1;
    await shut(fd).later();
  }
}

/**
 * A failed call that took longer than this, in milliseconds, is not made again to
 * learn its errno. A mount that is "soft" may fail after many seconds, and again.
 */
const SLOW = 1000;

/**
 * Makes a call in another thread, whose errno cannot be read. So a call that fails
 * there is made again in this thread: a disk that has just answered does not hang.
 *
 * @throws {Error} what `again` throws, or how long the call took to fail
 */
async function orReason(
  later: () => Promise<number>,
  again: () => number,
): Promise<number> {
  const began = performance.now();
  const result = await later();
  if (result !== -1) return result;
  const took = performance.now() - began;
  if (took > SLOW) throw new Error(`failed after ${Math.round(took)} ms`);
  return again();
}

/** @throws {Error} with the reason alone, as Deno's functions give it */
async function opened(path: string, flags: number, mode = 0): Promise<number> {
  try {
    return await orReason(
      () => openLater(path, flags, mode),
      () => open(path, flags, mode),
    );
  } catch (error) {
    if (!(error instanceof LibcError)) throw error;
    throw new Error(error.reason, { cause: error });
  }
}

/** @throws {Error} */
function readLater(
  fd: number,
  buffer: Uint8Array<ArrayBuffer>,
): Promise<number> {
  const size = BigInt(buffer.length);
  return orReason(
    async () => Number(await keeping(buffer, libc().read(fd, buffer, size))),
    () => read(fd, buffer),
  );
}
