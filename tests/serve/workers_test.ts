import { assertEquals, assertMatch } from "@std/assert";
import { neededBy } from "../../lib/commands/check/limits.ts";
import { StoreSlots } from "../../lib/serve/store_slots.ts";
import { pruneInWorker, startStoreWorker } from "../../lib/serve/workers.ts";
import type { Site } from "../harness/begin.ts";
import { logLines } from "../harness/binary.ts";
import { namesIn } from "../harness/entry.ts";
import "../harness/libc.ts";
import { e2e } from "../harness/need.ts";
import { waitFor } from "../harness/process.ts";
import { BASE } from "../harness/root.ts";
import { logged, serving } from "../harness/serving.ts";
import { ATTEMPT, talk } from "../harness/smtp.ts";
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

/** Starts `serve` with pruning due, under a limit of data in bytes. */
function servingWith(data: bigint): Promise<Site> {
  const before = ["prlimit", `--data=${data}`];
  return serving({}, { before });
}

/** Checks that a new client is asked to come back. */
async function assertServes({ port }: Site): Promise<void> {
  assertMatch((await talk(port, ATTEMPT))[3], /^451 4\.7\.1 /);
}

e2e(
  "serve workers: without memory for another thread it goes on, and does not prune",
  {
    programs: ["prlimit"],
    kernel: () =>
      Deno.build.arch === "x86_64" ? undefined : "the limit is for x86_64",
  },
  async () => {
    // There is room for two threads with a heap of their own, and not for three.
    await using server = await servingWith(1_400_000_000n);
    await logged(/ warn prune .*what="no memory or no descriptors left /);
    await assertServes(server);
    assertEquals(namesIn(BASE).includes(".prune"), false);
  },
);

e2e(
  "serve workers: the limit of data that check calls enough is enough to prune",
  { programs: ["prlimit"] },
  async () => {
    await using server = await servingWith(neededBy(true, true).data);
    await assertServes(server);
    await waitFor("a pruning", () => namesIn(BASE).includes(".prune"));
    await assertServes(server);
    assertEquals(logLines().filter((line) => / warn /.test(line)), []);
  },
);
