/**
 * Whitelist files and others of their form, read once and kept until they are read
 * again.
 *
 * @module
 */

import { sleep } from "../system/sleep.ts";
import { type Files, tellBadLines, unreadable } from "./exemption.ts";
import type { Client, Found } from "./file.ts";
import { Index } from "./index.ts";
import { IndexBuilder } from "./index_builder.ts";

/** A client that no line matches, so that every line is parsed. */
const NOBODY: Client = { address: undefined, host: undefined };

/**
 * How much text is parsed at once while clients are served, in characters: some 1,000
 * lines, which take 4 ms. All of 50,000 lines take 200 ms.
 */
const PIECE = 20_000;

/**
 * Makes the index of a file's text.
 *
 * @param isServing whether the event loop has to go on between two pieces
 */
async function indexOf(text: string, isServing: boolean): Promise<Index> {
  const builder = new IndexBuilder();
  let line = 0;
  for (let start = 0; start < text.length;) {
    const found = text.indexOf("\n", start + PIECE);
    const end = found < 0 ? text.length : found + 1;
    const piece = text.slice(start, end);
    builder.add(piece, line);
    line += piece.split("\n").length - 1;
    start = end;
    if (isServing) await sleep(0);
  }
  return Index.inMemory(builder.build(""));
}

/** All files with rules that one section of the configuration names. */
export class RuleFiles implements Files {
  /** The section, such as `whitelist`. */
  readonly section: string;
  readonly #paths: readonly string[];
  readonly #files = new Map<string, Index>();
  /** Whether clients may be served: at the start they wait for the files. */
  #isLoaded = false;

  /** Reads no file yet. */
  constructor(paths: readonly string[], section: string) {
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
        const index = await indexOf(await read(path), this.#isLoaded);
        this.#files.set(path, index);
        tellBadLines(path, index.search(NOBODY).bad, warn);
      } catch (error) {
        const kept = this.#files.has(path)
          ? "; until then the rules read before stay in force"
          : "";
        warn(unreadable(path, error, this.section) + kept);
      }
    }
    this.#isLoaded = true;
  }

  /** Looks for a client. {@linkcode load} has warned of bad lines already. */
  search(path: string, client: Client): Found {
    const line = this.#files.get(path)?.search(client).line;
    return { line, bad: [] };
  }
}
