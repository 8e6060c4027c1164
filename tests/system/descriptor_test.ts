import { assertEquals } from "@std/assert";
import { canOpen, poll, POLLIN, POLLOUT } from "../../lib/system/descriptor.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import { isOpen } from "../harness/pair.ts";
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

Deno.test("descriptor: how many can be opened below a number", () => {
  // The runtime may open other files meanwhile.
  const opened = () => descriptors(/^\/dev\/null$/);
  const before = opened();
  const free: number[] = [];
  for (let fd = 0; free.length < 5; fd++) if (!isOpen(fd)) free.push(fd);
  assertEquals(canOpen(5), true);
  assertEquals(canOpen(5, free[4] + 1), true);
  assertEquals(canOpen(5, free[4]), false);
  assertEquals(canOpen(5, free[0]), false);
  assertEquals(opened(), before);
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
