/**
 * The look for PROGRAM at the start of `serve`, so that no start of PROGRAM has to
 * search PATH, and the log says if there is no such program.
 *
 * @module
 */

import { formatLine, quote } from "../log/line.ts";
import { findProgramLater } from "../system/access.ts";
import type { ChildProgram } from "../system/spawn.ts";
import { userId } from "../system/user.ts";
import { within } from "../system/within.ts";
import type { SiteFiles } from "./site_files.ts";

/**
 * One look. Another thread makes it, and nothing waits for it: the disk may hang.
 * Until the look is over, each start searches PATH itself.
 */
export class ProgramLook {
  readonly #name: string;
  readonly #found: Promise<string | undefined>;
  #isOver = false;

  /** Begins to look, and tells the program its path later. */
  constructor(program: ChildProgram) {
    this.#name = program.name;
    this.#found = findProgramLater(program.name).then((path) => {
      this.#isOver = true;
      program.found = path;
      return path;
    });
  }

  /** Whether no thread looks any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Logs if the look takes too long, and if there is no such program. Never rejects.
   *
   * @param patience milliseconds
   */
  async report(
    files: Pick<SiteFiles, "log">,
    patience: number,
  ): Promise<void> {
    const say = (problem: string) => {
      const what = quote(`${this.#name}: ${problem}`);
      files.log.error(formatLine("serve", { what }));
    };
    if (await within(this.#found, patience) === undefined) {
      say(`not found yet: no answer within ${patience / 1000} s`);
    }
    if (await this.#found === undefined) {
      say(`no program that uid ${userId()} can execute`);
    }
  }
}
