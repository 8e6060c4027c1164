/**
 * The worker that prunes the database of `serve`. It is a thread beside the event
 * loop, since removing one entry takes some 30 ms on a shared file system.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { reasonOf } from "../reason.ts";
import { type Database, type Progress, pruneSome } from "../store/prune.ts";
import { sleep } from "../system/sleep.ts";

/**
 * How long one piece may take, and how long the next one waits, in milliseconds.
 * A piece ends with a bookmark: if the program ends, at most one piece is lost.
 */
const PIECE = 1000, PAUSE = 100;

/** The worker's only message: how pruning has ended. */
export type PruneResult = "done" | "busy" | { readonly failure: string };

let isStopping = false;

self.onmessage = async ({ data }: MessageEvent<Database | "stop">) => {
  if (data === "stop") isStopping = true;
  else self.postMessage(await prune(data));
};

async function prune(database: Database): Promise<PruneResult> {
  const progress: Progress = { position: 0n };
  try {
    while (true) {
      const result = pruneSome(database, PIECE, progress);
      if (result !== "more") return result;
      await sleep(PAUSE);
      if (isStopping) return "done";
    }
  } catch (error) {
    return { failure: reasonOf(error) };
  }
}
