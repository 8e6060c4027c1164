/**
 * A worker that decides about clients, one after the other. It is a thread beside
 * the event loop, since a disk may be slow or hang. See store_slots.ts for how it
 * is asked.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { reasonOf } from "../reason.ts";
import { Store } from "../store/store.ts";
import type { Timeouts, Verdict } from "../store/policy.ts";
import { FS } from "../system/constants.ts";
import { SpareDescriptor } from "../system/descriptor.ts";
import { wake } from "../system/epoll.ts";
import { type FileSystem, fileSystemOf, isRemote } from "../system/statfs.ts";
import { SLOTS, StoreSlots } from "./store_slots.ts";

/** What the worker is told when it begins. */
export interface StoreWorkerSetup {
  readonly memory: SharedArrayBuffer;
  /** The eventfd(2) descriptor that the event loop waits for. */
  readonly event: number;
  readonly baseDir: string;
  /** See {@linkcode isOwnerMasked}. */
  readonly ownerMasked: boolean;
  readonly timeouts: Timeouts;
}

/**
 * How long the event loop is not woken after the first of several answers, so that
 * it takes them all at once, in milliseconds.
 */
const TOGETHER = 0.5;

self.onmessage = ({ data }: MessageEvent<StoreWorkerSetup>) => {
  const { memory, event, baseDir, ownerMasked, timeouts } = data;
  const slots = new StoreSlots(memory);
  const spare = new SpareDescriptor();
  const fileSystem = findFileSystem(baseDir);
  if (fileSystem !== undefined && isRemote(fileSystem)) slots.tellRemote();
  const onFuse = fileSystem?.magic === FS.FUSE;
  const store = new Store(baseDir, ownerMasked, onFuse);
  let calls: number | undefined = 0;
  while ((calls = slots.wait(calls)) !== undefined) {
    let told = performance.now();
    let answers = 0;
    for (let slot = 0; slot < SLOTS; slot++) {
      const question = slots.takeQuestion(slot);
      if (question === undefined) continue;
      const begin = performance.now();
      const result = attempt(
        spare,
        () =>
          question.isNew
            ? store.decideNew(question.entry, question.now, timeouts)
            : store.decide(question.entry, question.now, timeouts),
      );
      const end = performance.now();
      slots.answer(slot, { result, took: end - begin });
      answers++;
      if (end - told < TOGETHER) continue;
      wake(event);
      answers = 0;
      told = end;
    }
    if (answers > 0) wake(event);
  }
  // The end of a thread does not close descriptors that the C library has opened.
  spare.close();
  self.close();
};

/** The file system of the base directory. May hang as the calls there may. */
function findFileSystem(baseDir: string): FileSystem | undefined {
  try {
    return fileSystemOf(baseDir);
  } catch {
    // The decision about a client fails for the same reason, and says so.
    return undefined;
  }
}

/** @returns the verdict, or the message of the error */
function attempt(
  spare: SpareDescriptor,
  decide: () => Verdict,
): Verdict | string {
  try {
    return spare.lend(decide);
  } catch (error) {
    return reasonOf(error);
  }
}
