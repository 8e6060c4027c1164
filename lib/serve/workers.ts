/**
 * The threads beside the event loop, which make the calls on the base directory.
 *
 * @module
 */

import { canOpen } from "../system/descriptor.ts";
import { canMap, returnFreeMemory } from "../system/memory.ts";
import type { Database } from "../store/prune.ts";
import { sleep } from "../system/sleep.ts";
import type { PruneResult } from "./prune_worker.ts";
import type { StoreWorkerSetup } from "./store_worker.ts";

/**
 * Starts a worker that decides about clients. The calling thread stands still while
 * the runtime makes the other one.
 *
 * @param failed called with the reason if an error has ended the worker
 * @returns how long that took, in milliseconds
 */
export function startStoreWorker(
  setup: StoreWorkerSetup,
  failed: (reason: string) => void,
): number {
  const begin = performance.now();
  const worker = start("store_worker", failed);
  worker.postMessage(setup);
  return performance.now() - begin;
}

/** How long the thread of a worker that was terminated takes to end, in milliseconds. */
const THREAD_END = 100;

/**
 * Prunes a database in a worker.
 *
 * @param signal ends that after the piece that has begun
 * @returns `busy` if another process is pruning
 * @throws {Error} with why it has failed
 */
export async function pruneInWorker(
  database: Database,
  signal: AbortSignal,
): Promise<"done" | "busy"> {
  if (!canStartWorker()) {
    throw new Error("no memory or no descriptors left for a thread");
  }
  const { promise, resolve, reject } = Promise.withResolvers<
    "done" | "busy"
  >();
  const fail = (reason: string) => reject(new Error(reason));
  const worker = start("prune_worker", fail);
  worker.onmessage = ({ data }: MessageEvent<PruneResult>) => {
    if (typeof data === "string") resolve(data);
    else fail(data.failure);
  };
  const stop = () => worker.postMessage("stop");
  signal.addEventListener("abort", stop);
  worker.postMessage(database);
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", stop);
    worker.terminate();
    await sleep(THREAD_END);
    await returnFreeMemory();
  }
}

/**
 * How many descriptors a worker opens at its start, with some to spare. If it
 * finds none, the runtime ends the whole process.
 */
const DESCRIPTORS = 16;

/**
 * How many bytes a worker makes writable, with some to spare: V8 takes 512 MiB for
 * its code and writes to little of that, and the rest of the thread was 11 MiB. If
 * there is no room for them, V8 ends the whole process.
 */
const MEMORY = 544n * 2n ** 20n;

/** Whether a worker can be started now. */
export function canStartWorker(): boolean {
  return canOpen(DESCRIPTORS) && canMap(MEMORY);
}

function start(module: string, failed: (reason: string) => void): Worker {
  // In the binary this module is a part of lib/commands/mod.js: the path has to
  // lead to the worker from there too, and the worker is JavaScript as well.
  const suffix = import.meta.url.slice(-3);
  const url = new URL(`../serve/${module}${suffix}`, import.meta.url);
  const worker = new Worker(url, { type: "module" });
  worker.onerror = (event) => {
    // Without this the error would end the program.
    event.preventDefault();
    failed(event.message);
  };
  return worker;
}
