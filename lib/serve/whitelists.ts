/**
 * Whitelist files and others of their form, read once and kept until they are read
 * again.
 *
 * @module
 */

import {
  type Files,
  tellBadLines,
  unreadable,
} from "../whitelist/exemption.ts";
import type { Client, Found } from "../whitelist/file.ts";
import { Index } from "../whitelist/index.ts";

/** A client that no line matches, so that every line is parsed. */
const NOBODY: Client = { address: undefined, host: undefined };

/** All files with rules that one section of the configuration names. */
export class Whitelists implements Files {
  /** The section, such as `whitelist`. */
  readonly section: string;
  readonly #paths: readonly string[];
  readonly #files = new Map<string, Index>();

  /** Reads no file yet. */
  constructor(paths: readonly string[], section = "whitelist") {
    this.#paths = paths;
    this.section = section;
  }

  /** Does nothing: {@linkcode load} has warned already. */
  warn(): void {}

  /**
   * Reads all files. The rules of a file that cannot be read stay in force.
   *
   * @param read gives a file's text, or rejects
   * @param warn called for files that cannot be read, and for bad lines
   */
  async load(
    read: (path: string) => Promise<string>,
    warn: (message: string) => void,
  ): Promise<void> {
    for (const path of this.#paths) {
      try {
        const index = Index.inMemory(await read(path));
        this.#files.set(path, index);
        tellBadLines(path, index.search(NOBODY).bad, warn);
      } catch (error) {
        const kept = this.#files.has(path)
          ? "; until then the rules read before stay in force"
          : "";
        warn(unreadable(path, error, this.section) + kept);
      }
    }
  }

  /** Looks for a client. {@linkcode load} has warned of bad lines already. */
  search(path: string, client: Client): Found {
    const line = this.#files.get(path)?.search(client).line;
    return { line, bad: [] };
  }
}
