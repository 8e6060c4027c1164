import { assert } from "@std/assert";
import { Stopwatch } from "./stopwatch.ts";

const sleep = (milliseconds: number) =>
  new Promise((done) => setTimeout(done, milliseconds));

Deno.test("stopwatch: leaves out that nothing ran, not that a thread was busy", async () => {
  // Its thread runs by then.
  await sleep(2000);
  const begin = Date.now();
  const watch = new Stopwatch();
  const stop = 'kill -STOP "$0"; sleep 1; kill -CONT "$0"';
  const { success } = await new Deno.Command("sh", {
    args: ["-c", stop, String(Deno.pid)],
  }).output();
  assert(success);
  await sleep(100);
  const elapsed = (Date.now() - begin) / 1000;
  const { seconds } = watch;
  assert(seconds <= elapsed - 0.9, `${seconds} of ${elapsed} s`);

  const busy = new Stopwatch();
  for (const end = Date.now() + 500; Date.now() < end;);
  assert(busy.seconds > 0.25, `${busy.seconds} s`);
});
