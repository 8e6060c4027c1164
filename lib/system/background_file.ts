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
import { keeping, openLater, shut } from "./file_call.ts";
import { fromLibc, type LibcError } from "./libc.ts";

const libc = fromLibc({
  // ssize_t read(int fd, void *buf, size_t count);
  read: {
    parameters: ["i32", "buffer", "usize"],
    result: "isize",
    nonblocking: true,
  },
  // ssize_t write(int fd, const void *buf, size_t count);
  write: {
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
  readonly #fd: number;

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
  async write(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
    const size = BigInt(bytes.length);
    return Number(await keeping(bytes, libc().write(this.#fd, bytes, size)));
  }

  /** Closes the file, which must not be used any more. */
  async close(): Promise<void> {
    await shut(this.#fd).later();
  }
}

// The errno of another thread cannot be read. So a call that fails there is made
// again in this thread: a disk that has just answered does not hang.

/** @throws {Error} with the reason alone, as Deno's functions give it */
async function opened(path: string, flags: number, mode = 0): Promise<number> {
  const fd = await openLater(path, flags, mode);
  if (fd !== -1) return fd;
  try {
    return open(path, flags, mode);
  } catch (error) {
    throw new Error((error as LibcError).reason, { cause: error });
  }
}

/** @throws {LibcError} */
async function readLater(
  fd: number,
  buffer: Uint8Array<ArrayBuffer>,
): Promise<number> {
  const size = BigInt(buffer.length);
  const length = Number(await keeping(buffer, libc().read(fd, buffer, size)));
  return length === -1 ? read(fd, buffer) : length;
}
