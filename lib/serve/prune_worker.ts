/**
 * What prunes the database of `serve`, beside the event loop: on a shared file
 * system one forgotten entry takes some 30 ms.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { reasonOf } from "../reason.ts";
import { type Database, pruneSome } from "../store/prune.ts";

/**
 * How long one piece may take, and how long the next one waits, in milliseconds.
 * A piece ends with a bookmark, so that an end of the program loses no more.
 */
const PIECE = 1000, PAUSE = 100;

/** The worker's only message: what has come of it. */
export type PruneResult = "done" | "busy" | { readonly failure: string };

self.onmessage = async ({ data }: MessageEvent<Database>) => {
  self.postMessage(await prune(data));
};

async function prune(database: Database): Promise<PruneResult> {
  try {
    while (true) {
      const result = pruneSome(database, PIECE);
      if (result !== "more") return result;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  } catch (error) {
    return { failure: reasonOf(error) };
  }
}
