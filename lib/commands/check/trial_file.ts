/**
 * `greylist check`: a file of its own in the base directory.
 *
 * @module
 */

import { E } from "../../system/constants.ts";
import { close } from "../../system/descriptor.ts";
import { openForWriting, unlink } from "../../system/file.ts";
import { isErrno } from "../../system/libc.ts";

/**
 * A new file, removed when it is disposed of. A listing of the entries passes over
 * its name, and pruning removes one that is left because the process was killed.
 */
export class TrialFile implements Disposable {
  readonly path: string;
  readonly fd: number;

  /** @throws {LibcError} if it cannot be created */
  constructor(dir: string) {
    // Not the process id: in a container each process has the same one.
    this.path = `${dir}/.check-${crypto.randomUUID()}`;
    this.fd = openForWriting(this.path, "new");
  }

  /** @throws {LibcError} if it cannot be removed */
  [Symbol.dispose](): void {
    close(this.fd);
    try {
      unlink(this.path);
    } catch (error) {
      // Pruning was faster: to its clock, the file is old.
      if (!isErrno(error, E.ENOENT)) throw error;
    }
  }
}
