/**
 * What one deferred session takes of the processor under `greylist serve`, beside a
 * program in C with one event loop that makes the same system calls, and beside
 * Postfix's postscreen, which defers without a process for it too; and the longest
 * silence that any client meets while the base directory hangs.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import { TemporaryError } from "../../commands/command.ts";
import { sleep } from "../../system/sleep.ts";
import { findInstalled } from "../find_installed.ts";
import { baseOf, type Binaries } from "./binaries.ts";
import { type Bench, expectQuiet, logOf } from "./plan.ts";
import { lacksPostscreen, startPostscreen } from "./postscreen.ts";
import { Process } from "./process.ts";
import { processorTime } from "./processor_time.ts";
import {
  numberIn,
  runFlood,
  type Server,
  startServe,
  stopServers,
} from "./servers.ts";
import { DEFERRED } from "./sessions.ts";
import { median } from "./statistics.ts";
import type { Row, Section } from "./table.ts";

/** How many clients there are at a time. */
const CLIENTS = 20;

/**
 * The same beside postscreen, where each client waits for a second: the processor
 * time of fewer could not be measured.
 */
const TESTED = 200;

/** How many networks (/24) the loopback has for the load client. */
const NETWORKS = 0xffff;

/** How long a call of the base directory takes that hangs, in seconds. */
const HANG = 4;

/** The calls that hang: those on the entry of a client. */
const CALLS = "mknodat,openat,statx";

/** The network of the first client that comes while the base directory hangs. */
const HANG_FROM = 60_000;

/** How many entries hang: far more than are asked for until it is left alone. */
const HANGING = 1000;

/** How long strace may take until it delays calls, in milliseconds. */
const ATTACH = 1000;

/** Measures `serve` beside the others. */
export async function measureRivals(
  bench: Bench,
  binaries: Binaries,
): Promise<Section> {
  const row = async (
    key: string,
    text: string,
    absent: string | undefined,
    measure: typeof besideC,
  ): Promise<Row> => ({
    key,
    text,
    absent,
    values: absent === undefined
      ? await measure(bench, binaries.serve)
      : undefined,
  });
  const compiler = findInstalled("gcc") === undefined
    ? "gcc is not installed"
    : undefined;
  return {
    key: "session",
    title: "PROCESSOR TIME OF A DEFERRED SESSION, microseconds",
    columns: [
      { key: "theirs", heading: "theirs", digits: 0 },
      { key: "serve", heading: "serve", digits: 0 },
      { key: "ratio", heading: "ratio", digits: 2 },
    ],
    rows: [
      await row("epoll", "epoll: a program in C", compiler, besideC),
      await row(
        "postscreen",
        "postscreen of Postfix, with its deep protocol tests",
        lacksPostscreen(),
        besidePostscreen,
      ),
    ],
  };
}

/** The processor time of each is that of all rounds, for the same reason as above. */
async function besidePostscreen(bench: Bench, binary: string) {
  const { plan } = bench;
  const servers: Server[] = [];
  // Each client is new to both: postscreen hands one that it has tested to smtpd.
  const [theirs, ours] = [0, 1].map(() => ({
    spent: 0,
    sessions: 0,
    strangers: 0,
  }));
  try {
    const postscreen = await startPostscreen(bench);
    servers.push(postscreen);
    const serve = await startServe(bench, binary, {}, ["true"]);
    servers.push(serve);
    const contenders = [
      { sum: theirs, server: postscreen, reply: "^450 " },
      { sum: ours, server: serve, reply: DEFERRED.reply },
    ];
    // The first round does not count: V8 compiles the code of serve.
    for (let round = 0; round <= plan.duels; round++) {
      bench.say(`serve and postscreen: round ${round} of ${plan.duels}`);
      await renew(baseOf(bench), `${baseOf(bench)}.postscreen${round}`);
      for (const { sum, server, reply } of contenders) {
        const { process, port } = server;
        const pid = server === postscreen ? postscreen.pid() : process.pid;
        const before = processorTime(pid);
        const { sessions } = await runFlood(bench, {
          ...DEFERRED,
          reply,
          port,
          clients: TESTED,
          seconds: plan.duelSeconds,
          oneByOne: true,
          strangers: sum.strangers,
        });
        sum.strangers = (sum.strangers + sessions) % NETWORKS;
        if (round === 0) continue;
        sum.spent += processorTime(pid) - before;
        sum.sessions += sessions;
      }
    }
  } finally {
    await stopServers(servers);
  }
  await expectQuiet(logOf(bench));
  const [their, our] = [theirs, ours].map(({ spent, sessions }) =>
    Math.max(0.01, spent) / sessions * 1e6
  );
  return { theirs: their, serve: our, ratio: our / their };
}

async function besideC(bench: Bench, binary: string) {
  const { plan } = bench;
  const servers: Server[] = [];
  const turns: number[][] = [[], []];
  // Where the next round's networks begin. Each client is to be new to both: a
  // program that finds its entry would make fewer system calls.
  let strangers = 0;
  try {
    servers.push(await startEpoll(bench));
    servers.push(await startServe(bench, binary, {}, ["true"]));
    // V8 compiles the code of serve in the first round, which does not count.
    for (let round = 0; round <= plan.duels; round++) {
      bench.say(`serve and a program in C: round ${round} of ${plan.duels}`);
      for (const base of [baseOf(bench), epollBaseOf(bench)]) {
        await renew(base, `${base}.before${round}`);
      }
      let most = 0;
      for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) {
        const { process, port } = servers[i];
        const before = processorTime(process.pid);
        const { sessions } = await runFlood(bench, {
          ...DEFERRED,
          port,
          clients: CLIENTS,
          seconds: plan.duelSeconds,
          oneByOne: true,
          strangers,
        });
        const spent = processorTime(process.pid) - before;
        most = Math.max(most, sessions);
        // The clock has hundredths of a second.
        const each = Math.max(0.01, spent) / sessions * 1e6;
        if (round > 0) turns[i].push(each);
      }
      strangers = (strangers + most) % NETWORKS;
    }
  } finally {
    await stopServers(servers);
  }
  await expectQuiet(logOf(bench));
  const [theirs, ours] = turns;
  return {
    theirs: median(theirs),
    serve: median(ours),
    ratio: median(ours.map((spent, i) => spent / theirs[i])),
  };
}

/**
 * Puts an empty directory in the place of one. That one is kept, since ext4 passes
 * over every inode that was freed a moment ago when it makes a file: with 10,000 of
 * them, a session of the program in C takes 750 microseconds in place of 60.
 */
async function renew(directory: string, kept: string): Promise<void> {
  await Deno.rename(directory, kept);
  await Deno.mkdir(directory, { mode: 0o700 });
}

/** The directory in which the program in C makes its entries. */
function epollBaseOf({ scratch }: Bench): string {
  return join(scratch, "epoll.base");
}

async function startEpoll(bench: Bench): Promise<Server> {
  bench.say("compiling epoll.c");
  const source = fromFileUrl(new URL("epoll.c", import.meta.url));
  const path = join(bench.scratch, "epoll");
  const errors = logOf(bench);
  const argv = ["gcc", "-O2", "-o", path, source];
  const { code } = await new Process({ argv, errors }).ended(60);
  bench.signal.throwIfAborted();
  if (code !== 0) {
    const said = await Deno.readTextFile(errors);
    throw new TemporaryError(`gcc: exit ${code}: ${said}`);
  }
  const base = epollBaseOf(bench);
  await Deno.mkdir(base);
  const output = `${errors}.epoll`;
  const process = new Process({ argv: [path, base], output, errors });
  return { process, port: await numberIn(bench, output, /^(\d+)$/m, "epoll") };
}

/** Measures how long a client hears nothing while the base directory hangs. */
export async function measureHang(
  bench: Bench,
  binaries: Binaries,
): Promise<Section> {
  const text = `greylist serve, each store call takes ${HANG} s`;
  const row: Row = findInstalled("strace") === undefined
    ? { key: "serve", text, absent: "strace is not installed" }
    : { key: "serve", text, values: await silence(bench, binaries.serve) };
  return {
    key: "hang",
    title: "A BASE DIRECTORY THAT HANGS",
    columns: [
      { key: "clients", heading: "clients", digits: 0 },
      { key: "slowest", heading: "silence ms", digits: 0 },
    ],
    rows: [row],
  };
}

/** The entries of clients as flood.ts numbers them, whose networks are 127.A.B.0. */
function entriesFrom(base: string, first: number): string[] {
  return Array.from({ length: HANGING }, (_, i) => {
    const network = first + i;
    return `${base}/127.${network >> 8}.${network & 255}.0_24`;
  });
}

async function silence(bench: Bench, binary: string) {
  bench.say("serve: a base directory that hangs");
  const servers: Server[] = [];
  // The ERROR that this is for must not be taken for a fault of others.
  const aside = { ...bench, scratch: join(bench.scratch, "hang") };
  await Deno.mkdir(aside.scratch);
  try {
    const server = await startServe(aside, binary, {}, ["true"]);
    servers.push(server);
    const strace = new Process({
      argv: [
        // PROGRAM is let go: a start that is followed takes several times as long,
        // and all of them come at once.
        ...["strace", "-f", "-b", "execve", "-qq", "-o", "/dev/null"],
        ...["-p", String(server.process.pid), "-e", `trace=${CALLS}`],
        ...entriesFrom(baseOf(bench), HANG_FROM).flatMap((
          path,
        ) => ["-P", path]),
        ...["-e", `inject=${CALLS}:delay_enter=${HANG * 1e6}`],
      ],
      errors: logOf(aside),
    });
    servers.push({ process: strace, port: 0 });
    await sleep(ATTACH);
    const { sessions, slowest } = await runFlood(aside, {
      // onError "accept" starts `true` for all of them.
      script: "",
      reply: "",
      port: server.port,
      clients: CLIENTS,
      seconds: HANG,
      strangers: HANG_FROM,
    });
    return { clients: sessions, slowest };
  } finally {
    // strace first: what it delays would go on until its time is over.
    await stopServers(servers.toReversed());
  }
}
