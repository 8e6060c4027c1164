/**
 * The sites of the binary `growth`: many base directories and whitelists, of which
 * one is in use at a time. There is one binary for all of them, because two equal
 * binaries differ by some percent, depending on where in memory the page cache has
 * them.
 *
 * @module
 */

import { join } from "@std/path";
import { E } from "../../system/constants.ts";
import { isErrno } from "../../system/libc.ts";
import { siteOf } from "./binaries.ts";
import { makeEntries, whitelistText } from "./entries.ts";
import type { Bench } from "./plan.ts";

/** How long making one database may take, in seconds. */
const MAKING = 60;

/** A file system in memory, for a machine whose disk is too slow. */
const IN_MEMORY = "/dev/shm";
/** What an entry takes there, in bytes, generously. */
const BYTES = 2000;

/** Where a base directory is, as far as that is worth saying. */
export function placeOf(database: string): string {
  return database.startsWith(IN_MEMORY) ? `, in ${IN_MEMORY}` : "";
}

/** A client that is in none of the networks that are made. */
export const CLIENT = "192.0.2.1";
const ENTRY = "192.0.2.0_24";

/** Base directories and whitelists. */
export class Sites {
  readonly #bench: Bench;
  readonly #elsewhere: string[] = [];
  /** How many entries the disk was too slow for. */
  #tooMany = Infinity;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  /**
   * Makes a base directory that {@linkcode CLIENT} is known in.
   *
   * @param count how many entries there are besides
   * @returns undefined if no file system is fast enough
   */
  async database(count: number): Promise<string | undefined> {
    const { scratch } = this.#bench;
    if (count < this.#tooMany) {
      const dir = await Deno.makeTempDir({ dir: scratch, prefix: "base-" });
      if (await this.#fill(dir, count)) return dir;
      this.#bench.say("removing what was made too slowly");
      await Deno.remove(dir, { recursive: true });
      this.#tooMany = count;
    }
    const { available } = Deno.systemMemoryInfo();
    if (available < count * BYTES) return undefined;
    let other: string;
    try {
      other = await Deno.makeTempDir({ dir: IN_MEMORY, prefix: "greylist-" });
    } catch {
      return undefined;
    }
    this.#elsewhere.push(other);
    return await this.#fill(other, count) ? other : undefined;
  }

  /** Fills a base directory. @returns false if that takes too long */
  async #fill(dir: string, count: number): Promise<boolean> {
    await Deno.writeTextFile(join(dir, ENTRY), "x");
    const all = count.toLocaleString("en-US");
    try {
      return await makeEntries(dir, count, MAKING, (made) => {
        this.#bench.say(
          `making ${made.toLocaleString("en-US")} of ${all} entries`,
        );
        this.#bench.signal.throwIfAborted();
      });
    } catch (error) {
      if (isErrno(error, E.ENOSPC)) return false;
      throw error;
    }
  }

  /**
   * Puts a base directory and a whitelist together.
   *
   * @param lines how many lines the whitelist has
   * @returns what {@linkcode use} takes
   */
  async make(database: string, lines: number): Promise<string> {
    const { scratch } = this.#bench;
    const site = await Deno.makeTempDir({ dir: scratch, prefix: "site-" });
    await Deno.symlink(database, join(site, "base"));
    await Deno.writeTextFile(join(site, "whitelist"), whitelistText(lines));
    return site;
  }

  /** From now on the binary works with this. */
  use(site: string): void {
    const link = siteOf(this.#bench);
    try {
      Deno.removeSync(link);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    Deno.symlinkSync(site, link);
  }

  /** Removes what is not in the directory that is removed anyway. */
  async remove(): Promise<void> {
    for (const dir of this.#elsewhere) {
      await Deno.remove(dir, { recursive: true });
    }
  }
}
