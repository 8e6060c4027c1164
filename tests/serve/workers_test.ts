import { assertEquals } from "@std/assert";
import { StoreSlots } from "../../lib/serve/store_slots.ts";
import { pruneInWorker, startStoreWorker } from "../../lib/serve/workers.ts";
import "../harness/libc.ts";
import { waitFor } from "../harness/process.ts";
import { descriptors, temporary } from "../harness/temporary.ts";

/** Starts a worker, asks it about a client, and ends it. */
async function life(baseDir: string): Promise<void> {
  const slots = new StoreSlots();
  const failures: string[] = [];
  startStoreWorker({
    memory: slots.memory,
    // This test looks for the answer itself, and needs no event.
    event: -1,
    baseDir,
    ownerMasked: false,
    timeouts: { delay: 60, retryWindow: 86400, expireAfter: 3110400 },
  }, (reason) => failures.push(reason));
  slots.ask(0, { entry: "192.0.2.0_24", now: 0, isNew: false });
  slots.call();
  const answer = await waitFor("an answer", () => slots.takeAnswer(0));
  assertEquals(typeof answer.result, "object");
  slots.end();
  assertEquals(failures, []);
}

Deno.test("store worker: at its end it closes its descriptors", async () => {
  using dir = temporary();
  // The runtime opens some files with its first worker, and keeps them open.
  await life(dir.path);
  const open = () => descriptors(/^\/dev\/null$/).length;
  const before = open();
  for (let i = 0; i < 4; i++) await life(dir.path);
  await waitFor("the descriptors of before", () => open() <= before);
});

Deno.test("pruneInWorker: the signal does not keep a worker that has ended", async () => {
  using dir = temporary();
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  signal.addEventListener = (_: string, listener: unknown) => {
    listeners.add(listener);
  };
  signal.removeEventListener = (_: string, listener: unknown) => {
    listeners.delete(listener);
  };
  const timeouts = { delay: 60, retryWindow: 86400, expireAfter: 3110400 };
  const pruned = pruneInWorker(
    { baseDir: dir.path, timeouts, prune: { every: 3600 } },
    signal,
  );
  assertEquals(listeners.size, 1);
  assertEquals(await pruned, "done");
  assertEquals(listeners.size, 0);
});

Deno.test("pruneInWorker: the thread is told of the umask, and does not touch it", async () => {
  const { signal } = new AbortController();
  const timeouts = { delay: 60, retryWindow: 86400, expireAfter: 3110400 };
  for (const ownerMasked of [true, false]) {
    using dir = temporary();
    const before = Deno.umask(0o277);
    try {
      const prune = { every: 3600 };
      const database = { baseDir: dir.path, timeouts, prune, ownerMasked };
      assertEquals(await pruneInWorker(database, signal), "done");
      const { mode } = Deno.statSync(`${dir.path}/.prune`);
      assertEquals(mode! & 0o777, ownerMasked ? 0o600 : 0o400);
    } finally {
      Deno.umask(before);
    }
  }
});
