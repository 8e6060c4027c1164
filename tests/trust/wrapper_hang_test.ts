// The wrapper on a base directory that hangs.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { MOST_WAITING } from "../../lib/system/hang_count.ts";
import { Semaphores } from "../../lib/system/semaphore.ts";
import { clean, compile, deciding, logLines } from "../harness/binary.ts";
import { makeEntry } from "../harness/entry.ts";
import { ENTRY } from "../harness/fault.ts";
import {
  DEFAULT_TIMEOUT,
  greeting,
  hanging,
  hangingServer,
  promptGreeting,
} from "../harness/hanging.ts";
import { e2e, programPath } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { childrenOf, run, waitFor } from "../harness/process.ts";
import { BASE, writeFile } from "../harness/root.ts";
import { Client } from "../harness/smtp.ts";
import { release, STORE_TIMEOUT } from "../harness/strace.ts";
import { tcpserver } from "../harness/way_in.ts";

const DAY = 86400;

const CASES: readonly [string, string, () => void][] = [
  ["the look at the entry hangs", "statx", () => {}],
  ["the creation of the entry hangs", "mknodat", () => {}],
  [
    "the change of the entry hangs",
    "openat",
    () => makeEntry("127.0.0.0_24", 3, 60),
  ],
  [
    "the new time of the entry hangs",
    "utimensat",
    () => makeEntry("127.0.0.0_24", 0, 2 * DAY),
  ],
];

for (const onError of ["accept", "defer"] as const) {
  for (const [name, call, prepare] of CASES) {
    e2e(`wrapper, onError ${onError}: ${name}`, {
      programs: ["tcpserver", "strace"],
    }, async () => {
      await using server = await hangingServer(
        call,
        deciding(onError),
        prepare,
      );
      const { reply, seconds } = await promptGreeting(server.port);
      if (onError === "accept") assertEquals(reply, NEXT);
      else assertMatch(reply!, /^220 mx\.example /);
      assert(seconds >= STORE_TIMEOUT, `${seconds} s`);
      const verb = onError === "accept" ? "pass" : "defer";
      const lines = logLines();
      assertEquals(lines.length, 1, lines.join("\n"));
      assertMatch(
        lines[0],
        new RegExp(`Z error ${verb} ip=127\\.0\\.0\\.1 .*no answer within 2 s`),
      );
      // Else the call would be made in the midst of another test.
      release(server);
      await server.idle();
    });
  }
}

e2e("wrapper: after the dialogue the base directory is left alone", {
  programs: ["tcpserver", "strace"],
}, async () => {
  clean();
  makeEntry(".prune", 0, 0);
  const output = writeFile("calls", "", 0o666);
  const calls = () => Deno.readTextFileSync(output);
  await using server = await tcpserver.start({
    binary: await compile(DEFAULT_TIMEOUT),
    before: [
      programPath("strace"),
      ...["-f", "-qq", "-e", "signal=none", "-o", output],
      ...["-P", BASE, "-P", `${BASE}/.prune`],
    ],
    next: greeter(),
  });
  using client = await Client.connect(server.port);
  assertMatch(await client.reply() ?? "", /^220 mx\.example /);
  const before = calls();
  assertMatch(before, /statx\(.*\/\.prune"/);
  await client.send("QUIT\r\n");
  assertMatch(await client.rest(), /^221 /);
  await server.idle();
  assertEquals(calls(), before);
});

e2e("wrapper: a few wait for the directory, the others leave it alone", {
  programs: ["tcpserver", "strace"],
}, async () => {
  const others = 6;
  {
    await using server = await hangingServer("statx");
    // MOST_WAITING, and one that tries.
    const waiting = Array.from(
      { length: MOST_WAITING },
      () => greeting(server.port),
    );
    for (const { reply } of await Promise.all(waiting)) {
      assertEquals(reply, NEXT);
    }
    const { reply } = await greeting(server.port);
    assertEquals(reply, NEXT);
    // All of them still hang.
    const further = Array.from({ length: others }, () => greeting(server.port));
    for (const { reply } of await Promise.all(further)) {
      assertEquals(reply, NEXT);
    }
    const lines = logLines();
    const alone = lines.filter((line) =>
      /Z pass ip=127\.0\.0\.1 .*: left alone, since 8 processes wait/
        .test(line)
    );
    assertEquals(alone.length, others, lines.join("\n"));
    const errors = lines.filter((line) => / error /.test(line));
    assertEquals(errors.length, 1, lines.join("\n"));
    const late = lines.filter((line) => /no answer within 2 s/.test(line));
    assertEquals(late.length, MOST_WAITING + 1, lines.join("\n"));
    await waitFor(
      "the end of the others",
      () => childrenOf(server.pid).length === MOST_WAITING + 1,
    );
    release(server);
    await server.idle();
    const set = Semaphores.find(BASE, 2)!;
    // A process that has no memory any more still counts for a moment.
    await waitFor(
      "the count to be 0",
      () => set.value(0) === 0 && set.value(1) === 0,
    );
  }
  clean();
  const binary = await compile(DEFAULT_TIMEOUT);
  await using server = await tcpserver.start({ binary, next: greeter() });
  const { reply } = await greeting(server.port);
  assertMatch(reply!, /^220 mx\.example /, logLines().join("\n"));
  await waitFor("its line", () => logLines().length > 0);
  assertMatch(logLines().join(), / defer ip=127\.0\.0\.1 .*reason=new /);
});

e2e("wrapper: while only writes hang, clients without a write end nothing", {
  programs: ["tcpserver", "strace"],
}, async () => {
  await using server = await hangingServer("mknodat");
  const waiting = Array.from(
    { length: MOST_WAITING },
    () => greeting(server.port),
  );
  for (const { reply } of await Promise.all(waiting)) assertEquals(reply, NEXT);
  const set = Semaphores.find(BASE, 2)!;
  assertEquals([set.value(0), set.value(1)], [MOST_WAITING, 0]);
  makeEntry("127.0.0.0_24", 0, 10);
  const { reply } = await greeting(server.port);
  assertMatch(reply!, /^220 mx\.example /, logLines().join("\n"));
  assertEquals([set.value(0), set.value(1)], [MOST_WAITING, 0]);
  release(server);
  await server.idle();
});

/** What the standard output of a process is, for each thread that has not ended. */
function outputsOf(pid: number): string[] {
  try {
    const threads = [...Deno.readDirSync(`/proc/${pid}/task`)];
    return threads.flatMap(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/${pid}/task/${name}/fd/1`);
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

/** The wrapper below strace(1), without a super-server. */
async function wrapperBelow(before: readonly string[], program: string) {
  const [strace, ...args] = [
    ...before,
    await compile(DEFAULT_TIMEOUT),
    program,
  ];
  const child = new Deno.Command(strace, {
    args,
    env: { TCPREMOTEIP: "127.0.0.1" },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  return {
    /** Waits until the wrapper has left its standard output. */
    async leaves() {
      // strace has other children for a moment at its start.
      await waitFor(
        "its standard output to be gone",
        () => childrenOf(child.pid).flatMap(outputsOf).includes("/dev/null"),
      );
    },
    async end() {
      // Without strace, the call is made.
      child.kill("SIGKILL");
      const { stdout } = await child.output();
      return new TextDecoder().decode(stdout);
    },
  };
}

e2e("wrapper: pruning that hangs does not hold the connection", {
  programs: ["strace"],
}, async () => {
  clean();
  makeEntry(".prune", 0, 2 * DAY);
  const wrapper = await wrapperBelow(hanging("flock", []), "/bin/true");
  await wrapper.leaves();
  assertMatch(await wrapper.end(), /^220 mx\.example /);
});

e2e("wrapper: neither does a PROGRAM that is not there, while a call hangs", {
  programs: ["strace"],
}, async () => {
  clean();
  const before = hanging("statx", [ENTRY]);
  const wrapper = await wrapperBelow(before, "/nonexistent/program");
  await wrapper.leaves();
  assertMatch(await wrapper.end(), /^421 4\.3\.0 /);
});

e2e("wrapper: it waits no more when the call returns, whatever PROGRAM does", {
  programs: ["tcpserver", "strace"],
}, async () => {
  await using server = await hangingServer("statx");
  using client = await Client.connect(server.port);
  assertEquals(await client.reply(), NEXT);
  const set = Semaphores.find(BASE, 2)!;
  assertEquals(set.value(0), 1);
  release(server);
  await waitFor("the call to return", () => set.value(0) === 0);
  await client.send("one\r\n");
  assertEquals(await client.reply(), "250 one");
  await client.send("QUIT\r\n");
  assertEquals(await client.rest(), "250 QUIT\r\n");
});

e2e(
  "wrapper: PROGRAM's exit code and environment are the same if the store hangs",
  {
    programs: ["strace"],
  },
  async () => {
    clean();
    const binary = await compile(DEFAULT_TIMEOUT);
    const told = 'echo "$GREYLIST $TCPREMOTEIP $1"';
    const ends = async (name: string, end: string) => {
      const next = writeFile(name, `${told}; ${end}\n`);
      const { code, stdout } = await run([
        ...hanging("statx", [ENTRY], 12),
        binary,
        "/bin/sh",
        next,
        "one",
      ], { env: { TCPREMOTEIP: "127.0.0.1" }, patience: 60 });
      return [code, stdout];
    };
    assertEquals(
      await Promise.all([
        ends("exits.sh", "exit 42"),
        ends("killed.sh", "kill -9 $$"),
      ]),
      [42, 128 + 9].map((code) => [code, "error 127.0.0.1 one\n"]),
    );
  },
);
