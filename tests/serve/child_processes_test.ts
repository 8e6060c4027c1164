import { assertEquals } from "@std/assert";
import { ChildProcesses, type Spawn } from "../../lib/serve/child_processes.ts";
import type { ExitStatus } from "../../lib/system/child.ts";
import { E } from "../../lib/system/constants.ts";
import type { Epoll } from "../../lib/system/epoll.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { ChildProgram } from "../../lib/system/spawn.ts";
import "../harness/libc.ts";
import { waitFor } from "../harness/process.ts";
import { descriptors } from "../harness/temporary.ts";

/** As without pidfd_open(2). */
const UNWATCHED = {
  add() {
    throw new LibcError("epoll_ctl", E.EAGAIN);
  },
} as unknown as Epoll;

/** A program that has ended. */
async function ended(): Promise<{ pid: number; spawn: Spawn }> {
  const program = new ChildProgram(["true"]);
  const pid = program.spawn(0, {});
  const isZombie = () =>
    /^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  await waitFor("the end", isZombie);
  return {
    pid,
    spawn: {
      name: "true",
      spawnBeside: (_fd, _variables, done) => done(pid),
      settle() {},
    },
  };
}

Deno.test("child processes: the end of one that has ended before its start is known", async () => {
  const { pid, spawn } = await ended();
  const processes = new ChildProcesses(UNWATCHED);
  const ends: ExitStatus[] = [];
  processes.start(spawn, 0, {}, () => {}, (status) => ends.push(status));
  assertEquals(ends.map(({ pid, code }) => [pid, code]), [[pid, 0]]);
  assertEquals([processes.running, processes.descriptors], [0, 0]);
});

Deno.test("child processes: a pidfd that cannot be watched is closed", async () => {
  const { pid } = await ended();
  const processes = new ChildProcesses(UNWATCHED);
  const opened = () => descriptors(/pidfd/).length;
  const before = opened();
  processes.follow(pid, () => {});
  assertEquals([processes.running, opened()], [1, before]);
  processes.takeExitStatuses();
  assertEquals(processes.running, 0);
});

Deno.test("child processes: a start that hangs hides no end of another one", async () => {
  const { pid, spawn } = await ended();
  const processes = new ChildProcesses(UNWATCHED);
  const ends: number[] = [];
  const hangs: Spawn = { ...spawn, spawnBeside: () => {} };
  processes.start(hangs, 0, {}, () => {}, () => {});
  processes.start(spawn, 0, {}, () => {}, (status) => ends.push(status.pid));
  assertEquals([ends, processes.running, processes.starting], [[pid], 0, 1]);
});

Deno.test("child processes: a start that another one begins takes no end of that one", async () => {
  const [one, two] = [await ended(), await ended()];
  const processes = new ChildProcesses(UNWATCHED);
  const pids: number[] = [];
  const end = ({ pid }: ExitStatus) => void pids.push(pid);
  const next = () => processes.start(two.spawn, 0, {}, () => {}, end);
  processes.start(one.spawn, 0, {}, next, end);
  assertEquals(pids.sort(), [one.pid, two.pid].sort());
  assertEquals(processes.running, 0);
});

Deno.test("child processes: a start that throws is one that fails", () => {
  const processes = new ChildProcesses(UNWATCHED);
  const error = new LibcError("posix_spawn", E.ENOMEM);
  const throws: Spawn = {
    name: "x",
    spawnBeside() {
      throw error;
    },
    settle() {},
  };
  const results: unknown[] = [];
  processes.start(throws, 0, {}, (result) => results.push(result), () => {});
  assertEquals([results, processes.starting], [[error], 0]);
});
