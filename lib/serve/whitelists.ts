/**
 * The whitelist files, read once and kept until they are read again.
 *
 * @module
 */

import type { Address } from "../address.ts";
import { tellBadLines } from "../whitelist.ts";
import { parseLines, type Rule } from "../whitelist_file.ts";

/** All whitelist files of a configuration. */
export class Whitelists {
  readonly #files: { path: string; rules: readonly Numbered[] }[];

  /** Knows the files, but reads none yet. */
  constructor(paths: readonly string[]) {
    this.#files = paths.map((path) => ({ path, rules: [] }));
  }

  /**
   * Reads all files. What cannot be read stays as it was.
   *
   * @param read gives a file's text, or throws
   * @param warn told of what cannot be read, and of bad lines
   */
  load(
    read: (path: string) => string,
    warn: (message: string) => void,
  ): void {
    for (const file of this.#files) {
      let text: string;
      try {
        text = read(file.path);
      } catch (error) {
        warn(`whitelist file ${file.path}: ${(error as Error).message}`);
        continue;
      }
      const { rules, bad } = parseLines(text);
      tellBadLines(file.path, bad, warn);
      file.rules = rules;
    }
  }

  /**
   * Finds the first line that exempts a caller.
   *
   * @returns the file and its line as the log names it
   */
  find(address: Address, host: string | undefined): string | undefined {
    for (const { path, rules } of this.#files) {
      const line = rules.find(({ rule }) => rule(address, host));
      if (line !== undefined) return `${path}:${line.number}`;
    }
    return undefined;
  }
}

interface Numbered {
  readonly number: number;
  readonly rule: Rule;
}
