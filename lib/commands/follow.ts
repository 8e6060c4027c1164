/**
 * Reads log files as they grow, through rotation: by renaming, as multilog and
 * logrotate do, or by copying and truncating.
 *
 * @module
 */

import { LineSplitter } from "../report/lines.ts";
import { C, E } from "../system/constants.ts";
import { close, openUnnoticed } from "../system/descriptor.ts";
import { read } from "../system/file.ts";
import { isErrno } from "../system/libc.ts";
import { isSameFile, stateOf } from "../system/statx.ts";
import { fileError } from "./files.ts";

const PIECE = 65536;

/** A log file that another program writes to. */
export class FollowedFile {
  readonly #path: string;
  readonly #lines: LineSplitter;
  readonly #buffer = new Uint8Array(PIECE);
  #fd: number;
  /** How much of the open file has been read. */
  #position = 0;

  /**
   * Opens a file at its beginning.
   *
   * @param line is called with each line
   * @throws {UsageError} if there is no such file or it may not be read
   */
  constructor(path: string, line: (line: string) => void) {
    this.#path = path;
    this.#lines = new LineSplitter(line, () => {});
    try {
      this.#fd = this.#open();
    } catch (error) {
      throw fileError(path, error);
    }
  }

  /**
   * Reads what has been written since the last time. If another file has taken
   * the name, the old one is read to its end, and then the new one.
   *
   * @throws {UsageError | TemporaryError} if it cannot be read
   */
  poll(): void {
    try {
      this.#readToEnd();
      if (!this.#isReplaced()) return;
      this.#readToEnd();
      const next = this.#open();
      close(this.#fd);
      this.#fd = next;
      this.#position = 0;
      this.#lines.end();
      this.#readToEnd();
    } catch (error) {
      // During a rotation there is no file for a moment. The next poll finds it.
      if (!isErrno(error, E.ENOENT)) throw fileError(this.#path, error);
    }
  }

  close(): void {
    close(this.#fd);
  }

  #open(): number {
    return openUnnoticed(this.#path, C.O_RDONLY | C.O_NOCTTY).fd;
  }

  #readToEnd(): void {
    for (let length; (length = read(this.#fd, this.#buffer)) > 0;) {
      this.#position += length;
      this.#lines.push(this.#buffer.subarray(0, length));
    }
  }

  #isReplaced(): boolean {
    if (!isSameFile(`/proc/self/fd/${this.#fd}`, this.#path)) return true;
    return (stateOf(this.#path, "follow")?.size ?? 0) < this.#position;
  }
}
