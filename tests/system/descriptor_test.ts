import { assertEquals } from "@std/assert";
import { poll, POLLIN, POLLOUT } from "../../lib/system/descriptor.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import "../harness/libc.ts";
import { run } from "../harness/process.ts";
import { descriptors, temporary } from "../harness/temporary.ts";

const MODULE = JSON.stringify(moduleUrl("lib/system/descriptor.ts"));

Deno.test("descriptor: poll", async () => {
  using dir = temporary();
  const fifo = `${dir.path}/fifo`;
  await run(["mkfifo", fifo]);
  using file = Deno.openSync(fifo, { read: true, write: true });
  const [fd] = descriptors(/\/fifo$/);
  assertEquals(poll(fd, POLLIN, 0), false);
  assertEquals(poll(fd, POLLIN, 1.5), false);
  assertEquals(poll(fd, POLLIN, -5), false);
  assertEquals(poll(fd, POLLOUT, 0), true);
  file.writeSync(Uint8Array.of(1));
  assertEquals(poll(fd, POLLIN, 0), true);
  // Infinitely long is long enough.
  assertEquals(poll(fd, POLLIN, Infinity), true);
  // A closed descriptor counts as broken: the wait is over.
  assertEquals(poll(999_999, POLLIN, 1000), true);
});

Deno.test("descriptor: whether more can be opened", async () => {
  const code = `
    import { canOpen } from ${MODULE};
    const opened = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const before = opened();
    console.log(canOpen(5), canOpen(80), opened() - before);`;
  const shell = 'ulimit -n 80; exec "$@"';
  const { code: exit, stdout, stderr } = await evaluate(code, shell);
  assertEquals([exit, stdout, stderr], [0, "true false 0\n", ""]);
});

Deno.test("descriptor: silence, and its end", async () => {
  const { code, stdout, stderr } = await evaluate(`
    import { silence } from ${MODULE};
    console.error("before");
    const restore = silence(2);
    console.error("lost");
    restore();
    console.error("after");
    console.log([...Deno.readDirSync("/proc/self/fd")].length > 0);`);
  assertEquals([code, stdout, stderr], [0, "true\n", "before\nafter\n"]);
});
