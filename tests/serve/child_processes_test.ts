import { assertEquals } from "@std/assert";
import { ChildProcesses } from "../../lib/serve/child_processes.ts";
import type { Spawn } from "../../lib/serve/spawn.ts";
import type { ExitStatus } from "../../lib/system/child.ts";
import { abiOf, E } from "../../lib/system/constants.ts";
import type { Epoll } from "../../lib/system/epoll.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { ChildProgram } from "../../lib/system/spawn.ts";
import "../harness/libc.ts";
import { waitFor } from "../harness/process.ts";

Deno.test("child processes: the end of one that has ended before its start is known", async () => {
  const program = new ChildProgram(abiOf(Deno.build)!, ["true"]);
  const pid = program.spawn(0, {});
  const isZombie = () =>
    /^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  await waitFor("the end", isZombie);
  // As without pidfd_open(2).
  const add = () => {
    throw new LibcError("epoll_ctl", E.EAGAIN);
  };
  const processes = new ChildProcesses({ add } as unknown as Epoll);
  const spawn: Spawn = {
    name: "true",
    start: (_fd, _variables, done) => done(pid),
    settle() {},
  };
  const ends: ExitStatus[] = [];
  processes.start(spawn, 0, {}, () => {}, (status) => ends.push(status));
  assertEquals(ends.map(({ pid, code }) => [pid, code]), [[pid, 0]]);
  assertEquals([processes.running, processes.descriptors], [0, 0]);
});
