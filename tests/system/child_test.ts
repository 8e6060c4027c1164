import { assertEquals, assertThrows } from "@std/assert";
import {
  type ExitStatus,
  takeExitStatus,
  watchChild,
} from "../../lib/system/child.ts";
import { close, poll, POLLIN } from "../../lib/system/descriptor.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { ChildProgram } from "../../lib/system/spawn.ts";
import { waitFor } from "../harness/process.ts";
import { pair } from "../harness/pair.ts";

Deno.test("child: the status of each of several is given once", async () => {
  using connection = await pair();
  const spawner = new ChildProgram(["/bin/sh", "-c", "read line; exit 3"]);
  const pids = Array.from(
    { length: 50 },
    (_, i) => spawner.spawn(connection.fd, { NUMBER: `${i}`, [`V${i}`]: "" }),
  );
  close(connection.fd);
  assertEquals(takeExitStatus(-1), undefined);
  connection.client.close();
  const ended: ExitStatus[] = [];
  await waitFor("all of them", () => {
    let how: ExitStatus | undefined;
    while ((how = takeExitStatus(-1)) !== undefined) ended.push(how);
    return ended.length >= pids.length;
  });
  assertEquals(ended.map(({ pid }) => pid).sort(), pids.sort());
  assertEquals(new Set(ended.map(({ code }) => code)), new Set([3]));
});

Deno.test("child: a descriptor reports the end, even an earlier one", async () => {
  using connection = await pair();
  const spawner = new ChildProgram(["/bin/sh", "-c", "read line"]);
  const pid = spawner.spawn(connection.fd, {});
  close(connection.fd);
  const watch = watchChild(pid);
  assertEquals(poll(watch, POLLIN, 0), false);
  connection.client.close();
  await waitFor("the end", () => poll(watch, POLLIN, 0));
  const again = watchChild(pid);
  assertEquals(poll(again, POLLIN, 0), true);
  close(watch);
  close(again);
  assertEquals(await waitFor("how", () => takeExitStatus(pid)), {
    pid,
    code: 1,
  });
  assertThrows(() => watchChild(pid), LibcError, "pidfd_open: ");
});
