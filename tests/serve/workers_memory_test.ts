// The threads of serve under a limit of memory. The other tests of workers.ts run on
// any Deno, without a binary.

import { assertEquals, assertMatch } from "@std/assert";
import { neededBy } from "../../lib/commands/check/limits.ts";
import type { Site } from "../harness/begin.ts";
import { logLines } from "../harness/binary.ts";
import { namesIn } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { waitFor } from "../harness/process.ts";
import { BASE } from "../harness/root.ts";
import { logged, serving } from "../harness/serving.ts";
import { ATTEMPT, talk } from "../harness/smtp.ts";

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
    assertEquals(logLines().filter((line) => / warn prune /.test(line)), []);
  },
);
