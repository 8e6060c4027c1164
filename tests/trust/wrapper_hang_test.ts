// The wrapper on a base directory or a log file that hangs: strace(1) delays the calls
// on it by HANG seconds in the real program.

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { MOST_WAITING } from "../../lib/system/hang_count.ts";
import { Semaphores } from "../../lib/system/semaphore.ts";
import { clean, compile, deciding, logLines } from "../harness/binary.ts";
import { makeEntry } from "../harness/entry.ts";
import { ENTRY } from "../harness/fault.ts";
import { e2e, programPath } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { childrenOf, run, waitFor } from "../harness/process.ts";
import { BASE, LOG, ROOT, writeFile } from "../harness/root.ts";
import { Client } from "../harness/smtp.ts";
import { release, type Trace, traceFiles } from "../harness/strace.ts";
import { openSyslog } from "../harness/syslog.ts";
import { tcpserver } from "../harness/way_in.ts";

/** How long each call is delayed, in seconds. */
const HANG = 60;

/** A file that is not there. */
const ABSENT = `${ROOT}/absent`;

const DAY = 86400;

const CONFIG: Partial<Config> = { storeTimeout: undefined };

/** The default of storeTimeout, in seconds. */
const STORE_TIMEOUT = 2;

/** What the project promises besides storeTimeout, in seconds. */
const PROMISED = 1;

/**
 * What a client may wait besides, in times of what a client waits meanwhile for whom
 * nothing hangs.
 */
const ROOM = 3;

/** The same at least, in seconds: a machine may stand still for a moment. */
const LEAST_ROOM = 0.5;

/** A storeTimeout that is longer than a machine is slow, in seconds. */
const LONG = 8;

/** The time between two such clients, in milliseconds. */
const APART = 200;

/**
 * Delays calls on some paths.
 *
 * @param seconds how long each of them
 */
function hanging(
  calls: string,
  paths: readonly string[],
  seconds = HANG,
): string[] {
  return [
    programPath("strace"),
    ...["-f", "-qq", "-o", "/dev/null", "-e", `trace=${calls}`],
    ...paths.flatMap((path) => ["-P", path]),
    ...["-e", `inject=${calls}:delay_enter=${seconds * 1e6}`],
  ];
}

/**
 * The first line that a client reads, and the seconds until then; the seconds until
 * the end of the connection, after QUIT.
 */
async function greeting(port: number) {
  const begin = performance.now();
  const passed = () => (performance.now() - begin) / 1000;
  using client = await Client.connect(port);
  const reply = await client.reply();
  const seconds = passed();
  await client.send("QUIT\r\n");
  await client.rest();
  return { reply, seconds, end: passed() };
}

/**
 * What {@linkcode greeting} returns. Asserts that the client waits no longer than is
 * promised, and than this machine allows.
 *
 * @param storeTimeout in seconds
 * @param before the programs in front of a wrapper for whose clients nothing hangs
 * @returns also how much longer than promised the client might have waited, in seconds
 */
async function promptGreeting(
  port: number,
  storeTimeout = STORE_TIMEOUT,
  before: readonly string[] = hanging("statx", [ABSENT]),
) {
  // It writes no line, and needs no entry.
  const quiet = await compile({
    ...CONFIG,
    whitelist: { networks: ["127.0.0.0/8"] },
    log: { target: LOG, level: "ERROR" },
  });
  await using server = await tcpserver.start({
    binary: quiet,
    before,
    next: greeter(),
  });
  let longest = 0;
  // All of the time: the machine may stand still at any point of it.
  const measure = async () => {
    const began = performance.now();
    await greeting(server.port);
    await new Promise((resolve) => setTimeout(resolve, APART));
    const took = performance.now() - began - APART;
    longest = Math.max(longest, took / 1000);
  };
  await measure();
  let isOver = false;
  const measureOn = async () => {
    while (!isOver) await measure();
  };
  const [greeted] = await Promise.all([
    greeting(port).finally(() => isOver = true),
    measureOn(),
  ]);
  const room = Math.max(LEAST_ROOM, ROOM * longest);
  const most = storeTimeout + PROMISED + room;
  const { seconds } = greeted;
  assert(seconds <= most, `${seconds} s: at most ${most} s`);
  return { ...greeted, room };
}

/** As far as wrappers know, none waits for a path. */
function nobodyWaits(path: string): void {
  const set = Semaphores.find(path, 2);
  for (const index of [0, 1]) set?.set(index, 0);
}

/**
 * Starts wrappers whose call on the entry hangs. As far as they know, no other one
 * waits for the base directory.
 *
 * @param prepare makes the entry
 */
async function hangingServer(
  call: string,
  config: Partial<Config> = {},
  prepare = () => {},
) {
  clean();
  for (const path of [BASE, LOG]) nobodyWaits(path);
  prepare();
  return await tcpserver.start({
    binary: await compile({ ...CONFIG, ...config }),
    before: hanging(call, [ENTRY]),
    next: greeter(),
  });
}

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
    binary: await compile(CONFIG),
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
  const binary = await compile(CONFIG);
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

/** A whitelist file large enough for an index, which the base directory has. */
function largeFile(rule: string) {
  const text = `${"# filler\n".repeat(400)}${rule}\n`;
  return writeFile("list", text) as `/${string}`;
}

for (const isListed of [false, true]) {
  const who = isListed ? "a client that it exempts" : "a client";
  e2e(`wrapper: ${who} does not wait for a whitelist index`, {
    programs: ["tcpserver", "strace"],
  }, async () => {
    clean();
    const address = isListed ? "127.0.0.1" : "192.0.2.1";
    const list = largeFile(address);
    // The index of a file that has just changed is not kept.
    await new Promise((resolve) => setTimeout(resolve, 4000));
    await using server = await tcpserver.start({
      binary: await compile({
        ...CONFIG,
        whitelist: { files: [list] },
      }),
      before: hanging("fdatasync", []),
      next: greeter(),
    });
    const { reply, seconds } = await promptGreeting(server.port);
    if (isListed) assertEquals(reply, NEXT);
    else assertMatch(reply!, /^220 mx\.example /);
    assert(seconds >= STORE_TIMEOUT, `${seconds} s`);
    const [error, line, ...more] = await waitFor(
      "both lines",
      () => logLines().length >= 2 && logLines(),
    );
    assertMatch(error, / error baseDir what=".*: no answer within 2 s"$/);
    const verdict = isListed ? / pass .*whitelisted/ : / defer .*reason=new/;
    assertMatch(line, verdict);
    assertEquals(more, []);
    release(server);
    await server.idle();
  });
}

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
  const [strace, ...args] = [...before, await compile(CONFIG), program];
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
    const binary = await compile(CONFIG);
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

e2e("wrapper: a whitelist file that hangs ends it", {
  programs: ["strace"],
}, async () => {
  clean();
  const binary = await compile({ ...CONFIG, storeTimeout: "7s" });
  const calls = writeFile("calls", "");
  const { code } = await run([
    ...[programPath("strace"), "-qq", "-o", calls],
    ...["-e", "trace=alarm,setitimer"],
    binary,
    "/bin/true",
  ], { env: { TCPREMOTEIP: "127.0.0.1" } });
  assertEquals(code, 0);
  // alarm(3) of the C library makes the one call or the other.
  const [first, second] = Deno.readTextFileSync(calls).split("\n");
  assertMatch(first, /^(alarm\(60\)|setitimer\(ITIMER_REAL, .*tv_sec=60, )/);
  assertMatch(second, /^(alarm\(88\)|setitimer\(ITIMER_REAL, .*tv_sec=88, )/);
});

e2e("wrapper: a configuration that does not come to an end ends it", {
  programs: ["strace"],
}, async () => {
  clean();
  const binary = await compile(
    CONFIG,
    'if (Deno.env.has("RELAYCLIENT")) await new Promise(() => setInterval(() => {}, 1000));',
  );
  // The time limit is over as soon as it is set.
  const { code } = await run([
    ...[programPath("strace"), "-qq", "-o", writeFile("calls", "")],
    ...["-e", "trace=alarm,setitimer"],
    ...["-e", "inject=alarm,setitimer:signal=ALRM:when=1"],
    binary,
    "/bin/true",
  ], { env: { TCPREMOTEIP: "127.0.0.1", RELAYCLIENT: "" } });
  assertEquals(code, 128 + 14);
});

for (const call of ["openat", "write"]) {
  e2e(`wrapper: a log file whose ${call} hangs holds nothing up`, {
    programs: ["tcpserver", "strace"],
    mounts: true,
  }, async () => {
    clean();
    makeEntry("127.0.0.0_24", 3, 100);
    nobodyWaits(LOG);
    await using syslog = openSyslog();
    await using server = await tcpserver.start({
      binary: await compile(CONFIG),
      before: [...syslog.before, ...hanging(call, [LOG])],
      next: greeter(),
    });
    const before = [...syslog.before, ...hanging(call, [ABSENT])];
    const known = await promptGreeting(server.port, STORE_TIMEOUT, before);
    assertEquals(known.reply, NEXT);
    assert(known.seconds >= STORE_TIMEOUT, `${known.seconds} s`);
    const after = known.end - known.seconds;
    assert(after <= PROMISED + known.room, `its end ${after} s later`);
    await waitFor("two messages", () => syslog.messages.length >= 2);
    const [error, passed] = syslog.messages;
    assertMatch(
      error,
      /^<19>.*: error what="log file .*greylist\.log: no answer in time \(see storeTimeout\)"$/,
    );
    assertMatch(passed, /^<22>.*: pass ip=127\.0\.0\.1 .* reason=known /);

    Deno.removeSync(ENTRY);
    using client = await Client.connect(server.port);
    assertMatch(await client.reply() ?? "", /^220 mx\.example /);
    await client.send("QUIT\r\n");
    // The end of the connection comes with it.
    assertMatch(await client.rest(), /^221 /);
    await waitFor("its line", () => syslog.messages.length >= 3);
    assertMatch(syslog.messages[2], /^<22>.*: defer ip=127\.0\.0\.1 /);

    // Enough wait for the file: the others leave it alone.
    const set = Semaphores.find(LOG, 2)!;
    set.set(0, MOST_WAITING);
    set.set(1, 1);
    using _reset = { [Symbol.dispose]: () => nobodyWaits(LOG) };
    makeEntry("127.0.0.0_24", 3, 100);
    const others = childrenOf(server.pid).length;
    assertEquals((await greeting(server.port)).reply, NEXT);
    await waitFor("a line", () => syslog.messages.length >= 4);
    assertMatch(syslog.messages[3], /^<22>.*: pass .* reason=known /);
    await waitFor("its end", () => childrenOf(server.pid).length <= others);
    release(server);
    await server.idle();
  });
}

e2e("wrapper: a log file on the disk of a base directory that hangs", {
  programs: ["tcpserver", "strace"],
  mounts: true,
}, async () => {
  clean();
  for (const path of [BASE, LOG]) nobodyWaits(path);
  await using syslog = openSyslog();
  await using server = await tcpserver.start({
    binary: await compile({ ...CONFIG, storeTimeout: `${LONG}s` }),
    before: [...syslog.before, ...hanging("statx,openat", [ENTRY, LOG])],
    next: greeter(),
  });
  const before = [...syslog.before, ...hanging("statx,openat", [ABSENT])];
  const { reply } = await promptGreeting(server.port, LONG, before);
  assertEquals(reply, NEXT);
  await waitFor("two messages", () => syslog.messages.length >= 2);
  const [log, passed] = syslog.messages;
  assertMatch(log, /: error what="log file .*: no answer in time /);
  const late = new RegExp(`: error pass ip=.*: no answer within ${LONG} s"$`);
  assertMatch(passed, late);
  release(server);
  await server.idle();
});

e2e("wrapper: a base directory that is slow has one limit for all calls", {
  programs: ["tcpserver", "strace"],
}, async () => {
  clean();
  nobodyWaits(BASE);
  // The first call is before the index is read, the second one at the entry.
  const files = [largeFile("192.0.2.1")];
  await using server = await tcpserver.start({
    binary: await compile({
      ...CONFIG,
      storeTimeout: `${LONG}s`,
      whitelist: { files },
    }),
    before: hanging("statx", [BASE, ENTRY], 0.9 * LONG),
    next: greeter(),
  });
  const { reply } = await greeting(server.port);
  assertEquals(reply, NEXT);
  const late = new RegExp(` error pass ip=.*: no answer within ${LONG} s"$`);
  assertMatch(logLines().join("\n"), late);
  release(server);
  await server.idle();
});

/** What a whole run of the wrapper has touched in the base directory. */
function touched(trace: Trace): string[] {
  return trace.calls().flatMap(({ paths }) => paths)
    .filter((path) => path === BASE || path.startsWith(`${BASE}/`));
}

e2e("wrapper: a client that waits for nothing leaves the directory alone", {
  programs: ["strace"],
}, async () => {
  const small = writeFile("small", "127.0.0.1\n") as `/${string}`;
  const files = [largeFile("192.0.2.1")];
  const pools = [{ name: "pool", files: [small] }];
  const cases: readonly [Partial<Config>, RegExp][] = [
    [{ whitelist: { networks: ["127.0.0.0/8"], files }, pools }, /=networks:/],
    [{ whitelist: { files: [small] } }, /\/small:1$/],
    [{ whitelist: { files: [small, ...files] }, pools }, /\/small:1$/],
    [{ only: { nameless: false, files: [small] } }, / reason=unsuspected$/],
  ];
  for (const [i, [config, line]] of cases.entries()) {
    clean();
    const binary = await compile({ ...CONFIG, ...config });
    const calls = async (ip: string) => {
      const trace = traceFiles(`alone${i}`);
      const command = [...trace.before, binary, "/bin/true"];
      const { code } = await run(command, { env: { TCPREMOTEIP: ip } });
      assertEquals(code, 0);
      return touched(trace);
    };
    const [alone, other] = config.only === undefined
      ? ["127.0.0.1", "192.0.2.2"]
      : ["192.0.2.2", "127.0.0.1"];
    assertEquals(await calls(alone), []);
    assertMatch(logLines().join("\n"), line);
    // The entry of another client is there.
    assert((await calls(other)).length > 0);
  }
});

e2e("wrapper: a client waits for an index no longer than for its entry", {
  programs: ["tcpserver", "strace"],
}, async () => {
  clean();
  nobodyWaits(BASE);
  const whitelist = { files: [largeFile("127.0.0.1")] };
  await using server = await tcpserver.start({
    binary: await compile({ ...CONFIG, whitelist }),
    before: hanging("statx", [BASE, ENTRY]),
    next: greeter(),
  });
  const { reply } = await promptGreeting(server.port);
  assertEquals(reply, NEXT);
  assertMatch(logLines().at(-1)!, / pass ip=127\.0\.0\.1 .*whitelisted/);
  release(server);
  await server.idle();
});

e2e("wrapper: a client that has reset the connection starts no PROGRAM", {
  programs: ["perl"],
}, async () => {
  // Standard input is a connection that the other end has reset.
  const script = writeFile(
    "reset.pl",
    `use Socket;
socket(my $l, PF_INET, SOCK_STREAM, 0) or die; bind($l, sockaddr_in(0, INADDR_LOOPBACK)) or die; listen($l, 1) or die;
socket(my $c, PF_INET, SOCK_STREAM, 0) or die; connect($c, getsockname($l)) or die;
accept(my $s, $l) or die;
setsockopt($c, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0)) or die; close($c);
select(undef, undef, undef, 0.1);
open(STDIN, "<&", $s) or die; open(STDOUT, ">&", $s) or die;
delete @ENV{qw(TCPREMOTEIP)};
exec @ARGV; die;
`,
  );
  const marker = writeFile("marker.sh", `echo started >${BASE}/started\n`);
  for (const level of [undefined, "DEBUG"] as const) {
    clean();
    const { code, stderr } = await run([
      programPath("perl"),
      script,
      await compile({ ...CONFIG, log: { target: LOG, level } }),
      "/bin/sh",
      marker,
    ]);
    assertEquals([code, stderr], [0, ""]);
    assertEquals([...Deno.readDirSync(BASE)].map(({ name }) => name), []);
    const lines = logLines().map((line) => line.replace(/^\S+ /, ""));
    const line = 'debug gone reason=error what="the client has gone"';
    assertEquals(lines, level === undefined ? [] : [line]);
  }
});
