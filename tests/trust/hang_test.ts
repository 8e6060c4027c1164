// Runs alone: it measures how long clients wait, and strace stops serve often.

// serve on disks, logs and files that hang: only the clients that need these wait,
// and no longer than storeTimeout.

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { deciding, logLines } from "../harness/binary.ts";
import { fuseObstacle, stoppedFuse } from "../harness/fuse.ts";
import { e2e, programPath } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import {
  connectionsTo,
  isListening,
  processesOf,
  run,
  waitFor,
} from "../harness/process.ts";
import { BASE, emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { logged, serving } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";
import { Stopwatch } from "../harness/stopwatch.ts";
import { slowingAt } from "../harness/strace.ts";
import { notUpgradable } from "../harness/upgrading.ts";

/** How long each call is delayed at least, in seconds. */
const HANG = 4;

/** The default of storeTimeout, in seconds. */
const STORE_TIMEOUT = 2;

/** What the project promises to clients that do not need the store, in seconds. */
const PROMPT = 0.1;

/** What it promises to SIGTERM, in seconds. */
const END = 0.5;

/** What it promises to SIGTERM if nothing hangs, in seconds. */
const QUIET_END = 0.3;

/** How many clients stay then. */
const STAYING = 20;

/**
 * What a client may wait besides what is promised, in seconds.
 *
 * @param longest what this machine needs at most for the same while nothing hangs. A
 * fast machine may stand still for half a second if others share its processors
 */
const room = (longest: number) => Math.max(0.5, 3 * longest);

/** How many new clients come while the store hangs. */
const NEW = 12;

/** Some clients need no look-up; storeTimeout is the default. */
const CONFIG: Partial<Config> = {
  whitelist: { networks: ["127.8.0.0/16"] },
  storeTimeout: undefined,
};

/** Clients in networks of their own; the calls on their entries hang. */
const slowClient = (n: number) => `127.9.${n}.1`;
const SLOW_PATHS = Array.from(
  { length: NEW },
  (_, n) => `${BASE}/127.9.${n}.0_24`,
);

const CALLS = "statx,mknodat,openat,ftruncate";

const FUSE = {
  programs: ["perl", "unshare", "mount"],
  mounts: true,
  kernel: fuseObstacle,
};

function sleep(seconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, seconds * 1000));
}

/**
 * Seconds until something is there. The limits of `serve` are in real time, in which
 * stalls of this machine count.
 */
async function timed<T>(what: () => Promise<T>) {
  const watch = new Stopwatch();
  const began = performance.now();
  const result = await what();
  const real = (performance.now() - began) / 1000;
  return { result, seconds: watch.seconds, real };
}

/** Sends a process SIGHUPs for some seconds. */
async function hangUps(pid: number, seconds: number): Promise<void> {
  const watch = new Stopwatch();
  while (watch.seconds < seconds) {
    Deno.kill(pid, "SIGHUP");
    await sleep(0.005);
  }
}

/** What a client is greeted with, and after how many seconds. */
async function greeted(port: number, from: string) {
  using client = await Client.connectFrom(port, { from });
  const { result, ...times } = await timed(() => client.reply());
  await client.send("QUIT\r\n");
  await client.rest();
  return { result: result ?? "hung up", ...times };
}

/** What this machine needs while nothing hangs, in seconds. */
interface Quiet {
  /** Half of the clients without a look-up waited no longer. */
  readonly median: number;
  /** The longest of all waits: for a reply, for the end, and for another program. */
  readonly longest: number;
}

/** A file that is not there. */
const ABSENT = `${ROOT}/absent`;

/** Programs in front of a server that strace(1) slows down, though no call hangs. */
const traced = () => slowingAt([ABSENT], CALLS, HANG);

/** Connects new clients, at once. */
function comeAtOnce(port: number) {
  return Promise.all(
    Array.from({ length: NEW }, (_, n) => greeted(port, slowClient(n))),
  );
}

/**
 * Measures a server on which nothing hangs.
 *
 * @param before the programs in front of it
 */
async function measure(
  config: Partial<Config> = CONFIG,
  before: readonly string[] = [],
): Promise<Quiet> {
  await using server = await serving(config, { before });
  const { port } = server;
  using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
  const first = await timed(() => talking.reply());
  const coming = comeAtOnce(port);
  const [fresh, { waits, busy }] = await Promise.all([
    coming,
    rounds(port, talking, coming),
  ]);
  const end = await timed(() => {
    Deno.kill(processesOf(server.binary)[0], "SIGTERM");
    return server.code;
  });
  const others = [first, ...fresh, end].map(({ seconds }) => seconds);
  return {
    median: medianOf(waits),
    longest: Math.max(...waits, busy, ...others),
  };
}

function medianOf(waits: readonly number[]): number {
  return waits.toSorted((a, b) => a - b)[waits.length >> 1];
}

/**
 * Measures again and again how long a client without a look-up waits.
 *
 * @returns the waits, and the longest start of a program beside them, in seconds
 */
async function rounds(port: number, talking: Client, until: Promise<unknown>) {
  const waits: number[] = [];
  let busy = 0;
  let isOver = false;
  until.finally(() => isOver = true);
  const beside = async () => {
    while (!isOver) {
      const { seconds } = await timed(() =>
        run([Deno.execPath(), "eval", "0"])
      );
      busy = Math.max(busy, seconds);
      await sleep(0.5);
    }
  };
  const visit = async () => {
    while (!isOver || waits.length < 10) {
      const noop = await timed(async () => {
        await talking.send("NOOP\r\n");
        return await talking.reply();
      });
      assertMatch(noop.result!, /^250 /);
      const exempt = await greeted(port, "127.8.0.1");
      assertEquals(exempt.result, NEXT);
      waits.push(noop.seconds, exempt.seconds);
      await sleep(0.05);
    }
  };
  await Promise.all([visit(), beside()]);
  return { waits, busy };
}

/** Asserts how long clients without a look-up wait. */
async function patrol(
  quiet: Quiet,
  port: number,
  talking: Client,
  until: Promise<unknown>,
) {
  const { waits, busy } = await rounds(port, talking, until);
  const median = medianOf(waits);
  const half = PROMPT + quiet.median;
  assert(median <= half, `half of them waited ${median} s: at most ${half} s`);
  const longest = Math.max(...waits);
  const most = PROMPT + room(Math.max(quiet.longest, busy));
  assert(longest <= most, `one waited ${longest} s: at most ${most} s`);
}

/** How long a client that needs the hanging store may wait, in seconds. */
function lateFor(quiet: Quiet): number {
  return STORE_TIMEOUT + 0.2 + room(quiet.longest);
}

/** Connects all clients that need the hanging store, at once. */
async function newcomers(
  quiet: Quiet,
  port: number,
  onError: "accept" | "defer",
) {
  const all = await comeAtOnce(port);
  for (const { result, seconds } of all) {
    if (onError === "accept") assertEquals(result, NEXT);
    else assertMatch(result, /^220 mx\.example /);
    const late = lateFor(quiet);
    assert(seconds <= late, `a new client waited ${seconds} s, not ${late} s`);
  }
  // The first of them came before serve had noticed.
  assert(all.some(({ real }) => real >= STORE_TIMEOUT - 0.1));
}

/** What the ERROR lines say: the state of the hang, or the line if it is another. */
function hangs(): string[] {
  return logLines().filter((line) => / error /.test(line))
    .map((line) => / error store hang=(\w+) /.exec(line)?.[1] ?? line);
}

/** Asserts that `serve` answers its first client within storeTimeout. */
async function assertBegins(quiet: Quiet, first: Client): Promise<void> {
  const banner = await timed(() => first.reply());
  assertMatch(banner.result ?? "", /^220 mx\.example /);
  const { seconds } = banner;
  const most = STORE_TIMEOUT + room(quiet.longest);
  assert(seconds <= most, `began after ${seconds} s: at most ${most} s`);
}

/** Asserts how long the end of the service takes. */
function assertEnded(quiet: Quiet, seconds: number, promised = END): void {
  const most = promised + room(quiet.longest);
  assert(seconds <= most, `ended after ${seconds} s: at most ${most} s`);
}

/** Ends the service while one client is there. */
async function assertStops(
  quiet: Quiet,
  port: number,
  pid: number,
  talking: Client,
) {
  const { seconds } = await timed(async () => {
    Deno.kill(pid, "SIGTERM");
    assertMatch(await talking.rest(), /^421 4\.3\.2 /);
    await waitFor("the end of the listener", () => !isListening(port));
  });
  assertEnded(quiet, seconds);
}

/** Ends the service while clients are there, and while the store hangs. */
async function assertEnds(
  quiet: Quiet,
  port: number,
  binary: string,
  talking: Client,
) {
  using asked = await Client.connectFrom(port, { from: slowClient(0) });
  await waitFor("both clients", () => connectionsTo(port) === 2);
  const [pid] = processesOf(binary);
  const { result, seconds } = await timed(async () => {
    Deno.kill(pid, "SIGTERM");
    const said = await Promise.all([talking.rest(), asked.rest()]);
    await waitFor("the end of the listener", () => !isListening(port));
    return said;
  });
  for (const said of result) assertMatch(said, /421 4\.3\.2 /);
  assertEnded(quiet, seconds);
}

e2e("serve: TERM waits for no client that stays", {}, async () => {
  const config: Partial<Config> = { ...CONFIG, prune: { every: 0 } };
  const quiet = await measure(config);
  await using server = await serving(config);
  const { port, pid } = server;
  const clients = await Promise.all(
    Array.from({ length: STAYING }, async (_, n) => {
      const client = await Client.connectFrom(port, {
        from: `127.0.1.${n + 1}`,
      });
      assertMatch((await client.reply())!, /^220 /);
      return client;
    }),
  );
  const { result, seconds } = await timed(() => {
    Deno.kill(pid, "SIGTERM");
    return server.code;
  });
  assertEquals(result, 0);
  assert(!isListening(port));
  // Not one of them has hung up, and each was told.
  for (const client of clients) {
    assertMatch((await client.reply())!, /^421 4\.3\.2 /);
    assertEquals(await client.rest(), "");
    client[Symbol.dispose]();
  }
  assertEnded(quiet, seconds, QUIET_END);
});

for (const onError of ["accept", "defer"] as const) {
  const config = { ...CONFIG, ...deciding(onError) };

  e2e(`serve, onError ${onError}: each store call takes ${HANG} s`, {
    programs: ["strace"],
  }, async () => {
    const quiet = await measure(config, traced());
    // A client that waits for the whole call has to be later than the limit.
    const hang = Math.max(HANG, lateFor(quiet) + 1);
    await using server = await serving(config, {
      before: slowingAt(SLOW_PATHS, CALLS, hang),
    });
    const { port } = server;
    using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
    assertMatch(await talking.reply() ?? "", /^220 mx\.example /);
    const coming = newcomers(quiet, port, onError);
    await Promise.all([coming, patrol(quiet, port, talking, coming)]);
    await logged(/ error store hang=begins clients=\d+ /);
    // The store is not asked now, so no client waits for it.
    const { seconds } = await greeted(port, slowClient(0));
    assert(seconds <= PROMPT + room(quiet.longest), `${seconds} s`);
    assertEquals(hangs(), ["begins"]);
    // One client tries it again after some seconds.
    for (let n = 0; !hangs().includes("ended") && n < 60; n++) {
      await greeted(port, `127.6.${n}.1`);
      await sleep(0.5);
    }
    assertEquals(hangs(), ["begins", "ended"]);
    await assertEnds(quiet, port, server.binary, talking);
    assertEquals(server.stderr(), "");
  });

  e2e(`serve, onError ${onError}: the base directory's daemon has stopped`, {
    ...FUSE,
  }, async () => {
    const quiet = await measure(config);
    await using server = await serving(config, {
      before: stoppedFuse(BASE),
    });
    const { port } = server;
    // onError decides about the client that talks as well.
    using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
    const first = await talking.reply();
    if (onError === "accept") assertEquals(first, NEXT);
    else {
      assertMatch(first ?? "", /^220 mx\.example /);
      const coming = newcomers(quiet, port, onError);
      await Promise.all([coming, patrol(quiet, port, talking, coming)]);
      await logged(/ error store hang=begins clients=\d+ /);
      assertEquals(hangs(), ["begins"]);
      const [pid] = processesOf(server.binary);
      const { result, seconds } = await timed(async () => {
        Deno.kill(pid, "SIGTERM");
        const said = await talking.rest();
        await waitFor("the end of the listener", () => !isListening(port));
        return said;
      });
      assertMatch(result, /^421 4\.3\.2 /);
      assertEnded(quiet, seconds);
      // Its threads cannot end, but it runs no more.
      await waitFor(
        "the end of the main thread",
        () => /^State:\s+[ZX]/m.test(statusOf(pid)),
      );
    }
    assertEquals(server.stderr(), "");
  });
}

/** The state of a process in /proc; a process that is gone counts as dead. */
function statusOf(pid: number): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/status`);
  } catch {
    return "State:\tX";
  }
}

for (const what of ["log", "whitelist"] as const) {
  e2e(`serve: a ${what} file whose daemon has stopped`, FUSE, async () => {
    const quiet = await measure();
    const stopped = emptyDir("stopped");
    const lists = emptyDir("lists");
    const link = `${ROOT}/hanging`;
    const point = async (to: string) => {
      await run(["ln", "-sfn", to, link]);
    };
    writeFile("lists/white", "127.8.0.1\n");
    await point(lists);
    const place = (name: string, moves: boolean) =>
      `${moves ? link : lists}/${name}` as `/${string}`;
    const whitelist = { files: [place("white", what === "whitelist")] };
    const target = place("greylist.log", what === "log");
    await using server = await serving({
      ...CONFIG,
      whitelist,
      log: { target },
    }, {
      before: stoppedFuse(stopped),
    });
    const { port } = server;
    const own = `${lists}/greylist.log`;
    const lineOf = (ip: string) =>
      waitFor(
        `a line of ${ip}`,
        () => logLines(own).find((line) => line.includes(` ip=${ip} `)),
      );
    assertEquals((await greeted(port, "127.8.0.1")).result, NEXT);
    using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
    assertMatch(await talking.reply() ?? "", /^220 mx\.example /);
    const [pid] = processesOf(server.binary);
    await point(stopped);
    writeFile("lists/white", "127.8.0.1\n127.5.0.1\n");
    Deno.kill(pid, "SIGHUP");
    if (what === "log") {
      // The other files are read nevertheless.
      await waitFor(
        "the new whitelist",
        async () => (await greeted(port, "127.5.0.1")).result === NEXT,
      );
    }
    // The old rules and the old log stay. Signals that come again and again, each
    // while the files of the one before are still waited for, take no more threads.
    await patrol(quiet, port, talking, hangUps(pid, 5));
    const { result } = await greeted(port, "127.6.1.1");
    assertMatch(result, /^220 mx\.example /);
    await lineOf("127.6.1.1");
    if (what === "whitelist") {
      assertMatch(
        (await greeted(port, "127.5.0.1")).result,
        /^220 mx\.example /,
      );
    }
    await assertStops(quiet, port, pid, talking);
    assertEquals(server.stderr(), "");
  });
}

// Each call takes longer than storeTimeout, and so does the start without a limit.
for (const calls of ["statx,openat", "write"]) {
  e2e(`serve: at its start ${calls} of the log file take ${HANG} s`, {
    programs: ["strace"],
  }, async () => {
    const quiet = await measure(CONFIG, traced());
    const target = `${emptyDir("slow")}/greylist.log` as `/${string}`;
    await using server = await serving(
      { ...CONFIG, log: { target } },
      { before: slowingAt([target], calls, HANG) },
    );
    const { port } = server;
    assertEquals((await greeted(port, "127.8.0.2")).result, NEXT);
    assertEquals(logLines(target), []);
    using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
    assertMatch(await talking.reply() ?? "", /^220 mx\.example /);
    const lines = waitFor(
      "the lines",
      () => logLines(target).some((line) => line.includes(" ip=127.8.0.2 ")),
    );
    await Promise.all([lines, patrol(quiet, port, talking, lines)]);
    const [first, ...others] = logLines(target);
    assertMatch(first, / serve on=/);
    assertEquals(others.filter((line) => / lost=/.test(line)), []);
    assertEquals(server.stderr(), "");
  });
}

e2e(`serve: at its start openat,read of a whitelist file take ${HANG} s`, {
  programs: ["strace"],
}, async () => {
  const quiet = await measure(CONFIG, traced());
  const file = writeFile("slow-white", "127.5.0.1\n") as `/${string}`;
  const { networks } = CONFIG.whitelist!;
  await using server = await serving(
    { ...CONFIG, whitelist: { networks, files: [file] } },
    { before: slowingAt([file], "openat,read", HANG) },
  );
  const { port } = server;
  using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
  await assertBegins(quiet, talking);
  // Until the file is read, its clients are as good as any.
  assertMatch((await greeted(port, "127.5.0.1")).result, /^220 mx\.example /);
  const isRead = waitFor(
    "the whitelist",
    async () => (await greeted(port, "127.5.0.1")).result === NEXT,
  );
  await Promise.all([isRead, patrol(quiet, port, talking, isRead)]);
  assertEquals(server.stderr(), "");
});

e2e("serve: at its start the daemon of the log file has stopped", {
  ...FUSE,
}, async () => {
  const quiet = await measure();
  const stopped = emptyDir("stopped");
  const target = `${stopped}/greylist.log` as `/${string}`;
  await using server = await serving(
    { ...CONFIG, log: { target } },
    { before: stoppedFuse(stopped) },
  );
  const { port } = server;
  using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
  assertMatch(await talking.reply() ?? "", /^220 mx\.example /);
  await patrol(quiet, port, talking, sleep(1));
  const [pid] = processesOf(server.binary);
  await assertStops(quiet, port, pid, talking);
  assertEquals(server.stderr(), "");
});

/** How long each start of PROGRAM takes, in seconds: longer than the log waits. */
const SLOW_START = 30;

e2e(`serve: each start of PROGRAM takes ${SLOW_START} s`, {
  programs: ["strace"],
}, async () => {
  const next = greeter();
  const quiet = await measure(CONFIG, traced());
  await using server = await serving({
    ...CONFIG,
    deferral: { idleTimeout: "11s", sessionTimeout: "11s" },
    serve: { limit: 1 },
  }, { next, before: slowingAt(next, "execve", SLOW_START) });
  const { port } = server;
  const first = greeted(port, "127.8.0.1");
  await logged(/ pass ip=127\.8\.0\.1 /);
  const second = greeted(port, "127.8.0.2");
  await logged(/ error start hang=begins clients=2 /);
  // The second one waits for the only place, and no program has it.
  assertMatch((await second).result, /^421 4\.3\.2 Too many connections/);
  await logged(/ busy ip=127\.8\.0\.2 net=127\.8\.0\.0\/24 reason=start$/);
  using deferred = await Client.connectFrom(port, { from: "127.7.0.1" });
  const banner = await timed(() => deferred.reply());
  assertMatch(banner.result ?? "", /^220 mx\.example /);
  assert(
    banner.seconds <= PROMPT + room(quiet.longest),
    `${banner.seconds} s`,
  );
  assertEquals((await first).result, NEXT);
  await logged(/ error start hang=ended clients=0 /);
  const what = /^.* error start hang=(\w+) clients=\d+ what="(.*)"$/;
  assertEquals(
    logLines().flatMap((line) => what.exec(line)?.slice(1) ?? []),
    [
      ...["begins", `${next[0]} does not start within 10 s`],
      ...["ended", `no start of ${next[0]} hangs any more`],
    ],
  );
  assertEquals(server.stderr(), "");
});

e2e(`serve: the look for PROGRAM takes ${SLOW_START} s`, {
  programs: ["strace"],
  kernel: notUpgradable,
}, async () => {
  const next = greeter();
  // Which of them access(3) calls depends on the processor.
  const calls = "?access,?faccessat,?faccessat2";
  const quiet = await measure(CONFIG, slowingAt([ABSENT], calls, SLOW_START));
  await using server = await serving(CONFIG, {
    next,
    before: slowingAt(next, calls, SLOW_START),
  });
  const { port } = server;
  using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
  await assertBegins(quiet, talking);
  assertEquals((await greeted(port, "127.8.0.1")).result, NEXT);
  const problem = `not found yet: no answer within ${STORE_TIMEOUT} s`;
  await logged(new RegExp(` error serve what="${next[0]}: ${problem}"$`));
  // execve(2) would wait for the thread that looks.
  const [pid] = processesOf(server.binary);
  Deno.kill(pid, "SIGUSR2");
  await logged(/ upgrade=refused what="a look for PROGRAM does not end"$/);
  await assertStops(quiet, port, pid, talking);
  assertEquals(server.stderr(), "");
});

e2e("serve: a reader of standard error that stalls holds up no client", {
  programs: ["mkfifo"],
}, async () => {
  const fifo = `${ROOT}/stalled-${Deno.pid}`;
  await run([programPath("mkfifo"), fifo]);
  using reader = await Deno.open(fifo, { read: true, write: true });
  const quiet = await measure();
  await using server = await serving({
    ...CONFIG,
    // Longer than all of it takes.
    timeouts: { delay: "1h" },
    log: { target: "stderr" },
  }, {
    before: ["/bin/sh", "-c", 'exec "$@" 2>"$0"', fifo],
  });
  const { port } = server;
  using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
  assertMatch(await talking.reply() ?? "", /^220 mx\.example /);
  // Each line has some 700 characters; a megabyte of them waits at most.
  const long = "\x1b".repeat(100);
  const said = `HELO ${long}\r\nMAIL FROM:<${long}>\r\nRCPT TO:<${long}>\r\n` +
    "QUIT\r\n";
  const count = 3000;
  let begun = 0;
  const oneByOne = async () => {
    while (begun < count) {
      begun++;
      using client = await Client.connect(port);
      await client.send(said);
      assertMatch(await client.rest(), /^220 (.*\r\n)*221 /);
    }
  };
  const coming = Promise.all(Array.from({ length: 10 }, oneByOne));
  await Promise.all([coming, patrol(quiet, port, talking, coming)]);
  // The reader goes on.
  let text = "";
  const decoder = new TextDecoder();
  const bytes = new Uint8Array(1 << 16);
  while (!/^warn log lost=\d+ .*$/m.test(text)) {
    const { length } = bytes.subarray(0, await reader.read(bytes) ?? 0);
    text += decoder.decode(bytes.subarray(0, length), { stream: true });
  }
  const lost = Number(/^warn log lost=(\d+) /m.exec(text)![1]);
  const written = text.match(/^defer ip=127\.0\.0\.1 /mg)!.length;
  assert(lost > 0);
  // Besides them the whitelisted clients of the patrol have lines.
  assert(written + lost >= count, `${written} written, ${lost} lost`);
  assert(written < count, `${written} written`);
});
