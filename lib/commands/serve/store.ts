/**
 * `greylist serve`: the store with the configuration and the log of the site.
 *
 * @module
 */

import type { ResolvedConfig } from "../../config.ts";
import { formatLine, quote } from "../../log/line.ts";
import { hangLine } from "../../serve/hang.ts";
import { reasonOf } from "../../reason.ts";
import type { SiteFiles } from "../../serve/site_files.ts";
import { type Setup, StoreQueue } from "../../serve/store_queue.ts";
import { canStartWorker, startStoreWorker } from "../../serve/workers.ts";
import type { Epoll } from "../../system/epoll.ts";
import { TemporaryError } from "../command.ts";

/**
 * Makes the store, which does its file calls in other threads.
 *
 * @param ownerMasked what isOwnerMasked says
 * @throws {TemporaryError} if the system gives no thread
 */
export function storeOf(
  { baseDir, timeouts, storeTimeout, onError }: ResolvedConfig,
  ownerMasked: boolean,
  epoll: Epoll,
  files: SiteFiles,
): StoreQueue {
  const setup: Setup = {
    limit: storeTimeout * 1000,
    canStart: canStartWorker,
    start: (memory) =>
      startStoreWorker(
        { memory, event: epoll.wakeup, baseDir, ownerMasked, timeouts },
        (reason) => {
          const what = quote(`a thread of the store has ended: ${reason}`);
          files.log.error(formatLine("store", { what }));
        },
      ),
    failed: (reason) => {
      const what = quote(`another thread for the store: ${reason}`);
      files.log.warn(formatLine("store", { what }));
    },
    say: (notice) => {
      const what = notice.state === "ended"
        ? `${baseDir} answers again`
        : `${baseDir} does not answer within ${storeTimeout} s: onError ` +
          `("${onError}") decides until it does`;
      files.log.error(hangLine("store", notice, what));
    },
  };
  try {
    return new StoreQueue(setup);
  } catch (error) {
    throw new TemporaryError(`no thread for the store: ${reasonOf(error)}`);
  }
}
