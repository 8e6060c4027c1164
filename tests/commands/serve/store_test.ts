import { assertEquals } from "@std/assert";
import { storeOf } from "../../../lib/commands/serve/store.ts";
import { resolveConfig } from "../../../lib/config/resolve.ts";
import type { SiteFiles } from "../../../lib/serve/site_files.ts";
import { SLOTS, StoreSlots } from "../../../lib/serve/store_slots.ts";
import type { StoreWorkerSetup } from "../../../lib/serve/store_worker.ts";
import type { Epoll } from "../../../lib/system/epoll.ts";
import "../../harness/libc.ts";

/** The first worker begins with what it is asked. There is no thread for another. */
class OnlyWorker {
  static made: OnlyWorker[] = [];
  slots = new StoreSlots();
  onerror = (_: Pick<ErrorEvent, "message" | "preventDefault">) => {};

  constructor() {
    if (OnlyWorker.made.push(this) === 1) return;
    throw new TypeError("Resource temporarily unavailable (os error 11)");
  }

  postMessage({ memory }: Pick<StoreWorkerSetup, "memory">) {
    this.slots = new StoreSlots(memory);
  }

  begin() {
    for (let slot = 0; slot < SLOTS; slot++) this.slots.takeQuestion(slot);
  }
}

Deno.test("serve's log: a thread of the store ends, or cannot be had", () => {
  const real = globalThis.Worker;
  globalThis.Worker = OnlyWorker as unknown as typeof Worker;
  try {
    const lines: string[] = [];
    const log = {
      warn: (line: string) => lines.push(`warn ${line}`),
      error: (line: string) => lines.push(`error ${line}`),
    };
    const store = storeOf(
      resolveConfig({ baseDir: "/x" }),
      false,
      { wakeup: -1 } as Epoll,
      { log } as unknown as SiteFiles,
    );
    const [worker] = OnlyWorker.made;
    worker.onerror({ message: "boom", preventDefault() {} });
    store.ask("192.0.2.0_24", 0, 0, () => {});
    worker.begin();
    store.ask("198.51.100.0_24", 0, 0, () => {});
    store.expire(1000);
    assertEquals(lines, [
      'error store what="a thread of the store has ended: boom"',
      'warn store what="another thread for the store: ' +
      'Resource temporarily unavailable"',
    ]);
  } finally {
    globalThis.Worker = real;
  }
});
