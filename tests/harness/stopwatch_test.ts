import { assert } from "@std/assert";
import { DEADLINE, waitFor } from "./process.ts";
import { isWatched, Stopwatch } from "./stopwatch.ts";

const sleep = (milliseconds: number) =>
  new Promise((done) => setTimeout(done, milliseconds));

Deno.test("stopwatch: leaves out that nothing ran, not that a thread was busy", async () => {
  await waitFor("the thread of the stopwatch", isWatched);
  const begin = Date.now();
  const watch = new Stopwatch();
  const stop = 'kill -STOP "$0"; sleep 1; kill -CONT "$0"';
  const { success } = await new Deno.Command("sh", {
    args: ["-c", stop, String(Deno.pid)],
  }).output();
  assert(success);
  await sleep(100);
  const { seconds } = watch;
  const elapsed = (Date.now() - begin) / 1000;
  assert(seconds <= elapsed - 0.9, `${seconds} of ${elapsed} s`);

  // A busy machine stops both threads now and then: that much is left out.
  const busy = new Stopwatch();
  const end = Date.now() + DEADLINE * 1000;
  while (busy.seconds < 0.25 && Date.now() < end);
  assert(busy.seconds >= 0.25, `${busy.seconds} s`);
});
