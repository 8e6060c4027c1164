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
import { existingState, isSameFile, stateOf } from "../system/statx.ts";
import { UsageError } from "./command.ts";
import { fileError } from "./files.ts";

const PIECE = 65536;

/** What a {@linkcode FollowedFile} tells. */
export interface Follower {
  /**
   * Takes a line.
   *
   * @param written when the line was written, in seconds since 1970: now, or the
   * file's last write if the line was in the file when that was opened
   */
  line(line: string, written: number): void;
  /** Takes a message about a file that may not be read for now. */
  warn(message: string): void;
}

/** An open log file. */
interface OpenFile {
  readonly fd: number;
  /** How many bytes it had when it was opened. */
  readonly size: number;
  /** When these were last written to, in seconds since 1970. */
  readonly mtime: number;
}

/** A log file that another program writes to. */
export class FollowedFile {
  readonly #path: string;
  readonly #follower: Follower;
  readonly #lines: LineSplitter;
  readonly #buffer = new Uint8Array(PIECE);
  #file: OpenFile;
  /** How much of the open file has been read. */
  #position = 0;
  /** How many polls in a row were refused the file of this name. */
  #refusals = 0;

  /**
   * Opens a file at its beginning.
   *
   * @throws {UsageError} if there is no such file, if it is no regular file, or if it
   * may not be read
   * @throws {TemporaryError} if the disk or the file system fails
   */
  constructor(path: string, follower: Follower) {
    this.#path = path;
    this.#follower = follower;
    this.#lines = new LineSplitter(
      (line) => follower.line(line, this.#written),
      () => {},
    );
    try {
      this.#file = this.#open();
    } catch (error) {
      throw fileError(path, error);
    }
  }

  /**
   * Reads what has been written since the last time. If another file has taken
   * the name, the old one is read to its end, and then the new one. If there is
   * none, or it may not be read, the next call tries again.
   *
   * @throws {UsageError | TemporaryError} if it cannot be read
   */
  poll(): void {
    try {
      this.#readToEnd();
      if (this.#isReplaced()) this.#changeOver();
      this.#refusals = 0;
    } catch (error) {
      // During a rotation there is no file for a moment, or the new one does not
      // have its owner and permissions yet. A later poll finds it.
      if (isErrno(error, E.ENOENT)) return;
      const failure = fileError(this.#path, error);
      if (!isErrno(error, E.EACCES)) throw failure;
      if (++this.#refusals === 2) {
        this.#follower.warn(`${failure.message}: tried again until it is read`);
      }
    }
  }

  /** Closes the open file. */
  close(): void {
    close(this.#file.fd);
  }

  #open(): OpenFile {
    // Without O_NONBLOCK, open(2) of a FIFO waits for a program that writes to it.
    const { fd } = openUnnoticed(this.#path, C.O_NOCTTY | C.O_NONBLOCK);
    const { isFile, kind, size, mtime } = existingState(
      `/proc/self/fd/${fd}`,
    );
    if (isFile) return { fd, size, mtime };
    close(fd);
    // A read could wait for ever, and no signal would be heard.
    throw new UsageError(
      `is ${kind}: expected a regular file (a pipe is read without --follow)`,
    );
  }

  #changeOver(): void {
    this.#readToEnd();
    const next = this.#open();
    this.#lines.end();
    this.close();
    this.#file = next;
    this.#position = 0;
    this.#readToEnd();
  }

  #readToEnd(): void {
    for (;;) {
      // No piece has both what was there when the file was opened and what came
      // later: `#written` differs.
      const old = this.#file.size - this.#position;
      const piece = this.#buffer.subarray(0, old > 0 ? old : PIECE);
      const length = read(this.#file.fd, piece);
      if (length === 0) return;
      this.#position += length;
      this.#lines.push(piece.subarray(0, length));
    }
  }

  /** When the last piece that was read was written; see {@linkcode Follower}. */
  get #written(): number {
    const { size, mtime } = this.#file;
    return this.#position > size ? Date.now() / 1000 : mtime;
  }

  #isReplaced(): boolean {
    if (!isSameFile(`/proc/self/fd/${this.#file.fd}`, this.#path)) return true;
    return (stateOf(this.#path, "follow")?.size ?? 0) < this.#position;
  }
}
