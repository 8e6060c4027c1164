// Runs alone: it measures how long clients wait while hosts hang and die.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { publicAddress } from "../../lib/build/hosts/hosts.ts";
import type { Config } from "../../lib/config.ts";
import {
  attempt,
  clientOf,
  compileMx,
  Mx,
  MX_NEEDS,
  PORTS,
  type Talk,
  type Way,
  WAYS,
} from "../harness/mx.ts";
import { e2e } from "../harness/need.ts";
import { NEXT } from "../harness/next_program.ts";
import { run, waitFor } from "../harness/process.ts";
import { Client } from "../harness/smtp.ts";
import { Stopwatch } from "../harness/stopwatch.ts";

// What clients meet while the file system of MX hosts hangs or dies, and what is
// left of the entries afterwards.

/**
 * How long a client that needs no look-up may wait, in seconds, besides what
 * {@linkcode faultsOf} measures of the machine.
 */
const AT_ONCE = 0.5;

/** The default of storeTimeout, in seconds. */
const STORE_TIMEOUT = 2;

/** A pause between clients of one kind, in seconds. */
const PAUSE = 0.4;

/**
 * A longer one for the wrapper on a slow machine, in times of a start. Two hosts have
 * six starts in each pause: of the wrapper for two clients each, and of `greylist
 * version`. They take some 40 % of two processors.
 */
const PAUSE_IN_STARTS = 8;

/** Host 1 lets in the clients that it cannot look up, host 2 defers them. */
const ON_ERROR = ["accept", "defer"] as const;

/**
 * How many wrappers tcpserver starts at once, half of what README has. The new
 * clients of a hang of 20 s would be more: those that hang leave places.
 */
const WRAPPERS = 20;

const WHITELISTED = "10.254.0.0/16";

/** The program of each host. */
const binaries: string[] = [];

let next = 0;
const pauses = { wrapper: PAUSE, serve: PAUSE };

const sleep = (seconds: number) =>
  new Promise((done) => setTimeout(done, seconds * 1000));

/** How the clients of one way in fared. */
interface Report {
  /** The longest wait for a reply in a dialogue that had begun, in seconds. */
  dialogue: number;
  readonly whitelisted: Talk[];
  readonly fresh: Talk[];
  /** The networks of the new clients. */
  readonly nets: ReadonlySet<string>;
  /** The longest start of a program beside the clients, in seconds. */
  readonly start: number;
}

/**
 * Starts a host's `greylist version`, which looks at no base directory.
 *
 * @returns how long it took, in seconds
 */
async function startTime(host: number): Promise<number> {
  const begin = performance.now();
  const { code } = await run([binaries[host - 1], "version"]);
  assertEquals(code, 0);
  return (performance.now() - begin) / 1000;
}

/** A client that is deferred, and goes on talking. */
async function talker(host: number, way: Way): Promise<Client> {
  const { from } = clientOf(next++);
  const hostname = publicAddress(host);
  const client = await Client.connectFrom(PORTS[way], { hostname, from });
  await client.reply();
  await client.send("EHLO client.example\r\n");
  assertMatch(await client.reply() ?? "hung up", /^250-/);
  return client;
}

/** A client that was never greeted, because the server failed. */
async function visit(host: number, way: Way, from: string): Promise<Talk> {
  try {
    return await attempt(host, way, from);
  } catch {
    return { transcript: [], greeted: NaN, ended: NaN };
  }
}

/**
 * Lets clients connect to one way in until `over`.
 *
 * @returns waits for the last of them
 */
async function crowd(
  host: number,
  way: Way,
  client: Client,
  over: () => boolean,
): Promise<() => Promise<Report>> {
  const whitelisted: Promise<Talk>[] = [];
  const fresh: Promise<Talk>[] = [];
  const starts: Promise<number>[] = [];
  const nets = new Set<string>();
  const pause = pauses[way];
  let dialogue = 0;
  const talk = async () => {
    while (!over()) {
      const watch = new Stopwatch();
      let reply: string | undefined;
      try {
        await client.send("NOOP\r\n");
        reply = await client.reply();
      } catch {
        // It neither answers nor hangs up.
      }
      const took = watch.seconds;
      dialogue = Math.max(dialogue, reply?.startsWith("250 ") ? took : NaN);
      if (reply === undefined) return;
      await sleep(PAUSE / 4);
    }
  };
  const come = async () => {
    for (let i = 0; !over(); i++) {
      whitelisted.push(visit(host, way, `10.254.${i % 200}.${host}`));
      if (way === "wrapper") starts.push(startTime(host));
      await sleep(pause / 2);
      const { from, net } = clientOf(next++);
      nets.add(net);
      fresh.push(visit(host, way, from));
      await sleep(pause / 2);
    }
  };
  await Promise.all([talk(), come()]);
  return async () => ({
    dialogue,
    whitelisted: await Promise.all(whitelisted),
    fresh: await Promise.all(fresh),
    nets,
    start: Math.max(0, ...await Promise.all(starts)),
  });
}

/**
 * Lets clients connect to hosts, both ways, from a fault on until it is repaired.
 *
 * @returns the reports by `HOST WAY`
 */
async function during(
  hosts: readonly number[],
  seconds: number,
  fault: () => Promise<void> | void,
  repair: () => Promise<unknown> | void,
): Promise<Map<string, Report>> {
  const places = hosts.flatMap((host) => WAYS.map((way) => ({ host, way })));
  const clients: Client[] = [];
  try {
    for (const { host, way } of places) clients.push(await talker(host, way));
    await fault();
    const end = performance.now() + seconds * 1000;
    const over = () => performance.now() > end;
    let last: (() => Promise<Report>)[];
    try {
      last = await Promise.all(
        places.map(({ host, way }, i) => crowd(host, way, clients[i], over)),
      );
    } finally {
      await repair();
    }
    const reports = await Promise.all(last.map((report) => report()));
    return new Map(
      places.map(({ host, way }, i) => [`${host} ${way}`, reports[i]]),
    );
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
}

/** Whether a client was let in, by the first thing that it was told. */
const passed = ({ transcript }: Talk) => transcript[0] === NEXT;
const deferred = ({ transcript }: Talk) =>
  /^451 4\.[37]\./.test(transcript[3] ?? "");

/** The longest wait for a reply, in seconds; NaN if one was missing. */
function longestWait(reports: Map<string, Report>): number {
  return Math.max(
    ...[...reports.values()].flatMap(({ dialogue, whitelisted, fresh }) => [
      dialogue,
      ...[...whitelisted, ...fresh].map(({ greeted }) => greeted),
    ]),
  );
}

/** The longest start of a program beside the clients, in seconds. */
function longestStart(reports: Map<string, Report>): number {
  return Math.max(...[...reports.values()].map(({ start }) => start));
}

/**
 * Compares with the limits, and reports all differences at once. Besides what is
 * promised, a client may wait as long as clients waited without a fault, or as long
 * as a program that has nothing to do with the fault took to start beside it.
 *
 * @param quiet the longest wait without a fault, in seconds
 */
function faultsOf(reports: Map<string, Report>, quiet: number): string[] {
  const busy = longestStart(reports);
  return [...reports].flatMap(([place, { dialogue, whitelisted, fresh }]) => {
    const slowest = (talks: readonly Talk[]) =>
      Math.max(...talks.map(({ greeted }) => greeted));
    const faults: string[] = [];
    const limit = (what: string, value: number, promised: number) => {
      const most = promised + Math.max(quiet, busy);
      // NaN: hung up on without a greeting.
      if (value <= most) return;
      faults.push(
        `${place}: ${what}: ${value.toFixed(2)} s: at most ${most.toFixed(2)}`,
      );
    };
    limit("in dialogue", dialogue, AT_ONCE);
    limit("whitelisted", slowest(whitelisted), AT_ONCE);
    limit("new", slowest(fresh), STORE_TIMEOUT + AT_ONCE);
    const turned = whitelisted.filter((talk) => !passed(talk)).length;
    if (turned > 0) faults.push(`${place}: ${turned} whitelisted: deferred`);
    const lost = fresh.filter((talk) => !passed(talk) && !deferred(talk));
    if (lost.length > 0) {
      faults.push(`${place}: ${lost.length} new: unanswered`);
    }
    return faults;
  });
}

/** The outcome that `onError` demands for the last clients of a host. */
function lastFaults(reports: Map<string, Report>): string[] {
  return [...reports].flatMap(([place, { fresh }]) => {
    const onError = ON_ERROR[Number(place.split(" ")[0]) - 1];
    const isRight = onError === "accept" ? passed : deferred;
    const wrong = fresh.slice(-5).filter((talk) => !isRight(talk)).length;
    return wrong === 0 ? [] : [`${place}: ${wrong} of 5: not as onError says`];
  });
}

/** Waits until a host defers new clients as such again, both ways. */
async function recovered(mx: Mx, host: number, seconds = 30): Promise<void> {
  for (const way of WAYS) {
    await waitFor(`host ${host}, ${way}, to go on`, async () => {
      const { from, net } = clientOf(next++);
      await attempt(host, way, from);
      return await waitFor(
        "its line",
        () => mx.log(host).find((line) => line.includes(` net=${net} `)),
      ).then((line) => /^defer .* reason=new /.test(line));
    }, seconds);
  }
}

/**
 * Waits until the log of `serve` at a host has the end of the last hang, which comes
 * after five seconds without a late decision. A hang before that end is the same one
 * for the log.
 *
 * @returns how many lines the log has
 */
function calm(mx: Mx, host: number): Promise<number> {
  return waitFor(`the end of the hang of host ${host}`, () => {
    const lines = mx.log(host);
    const last = lines.findLast((line) => / hang=/.test(line)) ??
      " hang=ended ";
    return / hang=ended /.test(last) && lines.length;
  });
}

/**
 * What is wrong with the ERROR lines of `serve` at host 1. A hang has one a minute,
 * and so has an error that the file system returned.
 */
function errorFaults(
  lines: readonly string[],
  reports: Map<string, Report>,
): string[] {
  const { nets } = reports.get("1 serve")!;
  const errors = lines.filter((line) => {
    const net = / net=(\S+)/.exec(line)?.[1];
    return line.startsWith("error ") && !/ hang=ended /.test(line) &&
      (net === undefined || nets.has(net));
  });
  const hangs = errors.filter((line) => / hang=/.test(line));
  if (hangs.length === 1 && errors.length <= 2) return [];
  return [`1 serve: ${errors.length} lines of ERROR: ${errors.slice(0, 3)}`];
}

const CONFIG: Partial<Config> = {
  timeouts: { delay: "1h" },
  storeTimeout: undefined,
  whitelist: { networks: [WHITELISTED] },
};

e2e("mx: hosts that hang and die", MX_NEEDS, async (t) => {
  for (const onError of ON_ERROR) {
    binaries.push(await compileMx({ ...CONFIG, onError }));
  }
  await using mx = await Mx.up();
  const { cluster } = mx;
  const listen = async (number: number) => {
    for (const way of WAYS) {
      await mx.listen(number, way, binaries[number - 1], WRAPPERS);
    }
  };
  for (const number of [1, 2]) await listen(number);

  /** Entries of before all faults, and what each is. */
  const before = new Map<string, string>();
  const state = (entry: string) => {
    const { size, mtime } = Deno.statSync(mx.path(entry));
    return `${size} ${mtime!.getTime()}`;
  };
  for (let i = 0; i < 40; i++) {
    const { from, entry } = clientOf(next++);
    assert(deferred(await attempt(1 + i % 2, "serve", from)));
    if (i % 4 === 0) {
      mx.age(entry, 4000);
      assert(passed(await attempt(1 + i % 2, "serve", from)));
    }
    before.set(entry, "");
  }
  for (const entry of before.keys()) before.set(entry, state(entry));

  const times: number[] = [];
  for (let i = 0; i < 5; i++) times.push(await startTime(1));
  pauses.wrapper = Math.max(PAUSE, PAUSE_IN_STARTS * Math.min(...times));

  let quiet = NaN;
  await t.step("no fault", async () => {
    const reports = await during([1, 2], 4, () => {}, () => {});
    quiet = longestWait(reports);
    console.log(
      `longest wait: ${quiet.toFixed(2)} s; ` +
        `wrappers every ${pauses.wrapper.toFixed(2)} s`,
    );
    // This wait is added to the limits below. If it were longer, the base directory
    // would count as one that hangs.
    const most = STORE_TIMEOUT + AT_ONCE + longestStart(reports);
    assert(quiet <= most, `${quiet} s: at most ${most} s`);
    assertEquals(faultsOf(reports, quiet), []);
  });

  await t.step("the FUSE client of host 1 stops for 8 s", async () => {
    const pid = cluster.clientOf(mx.host(1));
    const begin = await calm(mx, 1);
    const reports = await during(
      [1, 2],
      8,
      () => Deno.kill(pid, "SIGSTOP"),
      () => Deno.kill(pid, "SIGCONT"),
    );
    await recovered(mx, 1);
    const errors = errorFaults(mx.log(1).slice(begin), reports);
    assertEquals([...faultsOf(reports, quiet), ...errors], []);
  });

  await t.step("a brick is killed", async () => {
    const reports = await during(
      [1, 2],
      4,
      () => cluster.killBrick(mx.host(2)),
      () => cluster.startBricks(),
    );
    assertEquals(faultsOf(reports, quiet), []);
  });

  await t.step("the link of host 1 is cut for 20 s, and heals", async () => {
    const begin = await calm(mx, 1);
    const reports = await during(
      [1, 2],
      20,
      () => mx.host(1).cut(),
      () => mx.host(1).heal(),
    );
    await recovered(mx, 1);
    await recovered(mx, 2);
    const errors = errorFaults(mx.log(1).slice(begin), reports);
    const faults = [...faultsOf(reports, quiet), ...errors];
    for (const way of WAYS) reports.delete(`2 ${way}`);
    assertEquals([...faults, ...lastFaults(reports)], []);
  });

  await t.step("host 2 is killed", async () => {
    const reports = await during(
      [1],
      10,
      () => mx.host(2).kill(),
      () => cluster.reboot(2),
    );
    await listen(2);
    await recovered(mx, 1);
    await recovered(mx, 2);
    assertEquals(faultsOf(reports, quiet), []);
  });

  await t.step("no quorum", async () => {
    await cluster.healed();
    const reports = await during(
      [1, 2],
      5,
      () => [2, 3].forEach((number) => cluster.killBrick(mx.host(number))),
      () => cluster.startBricks(),
    );
    await recovered(mx, 1);
    await recovered(mx, 2);
    assertEquals([...faultsOf(reports, quiet), ...lastFaults(reports)], []);
  });

  await t.step("all entries are on all bricks, and mean the same", async () => {
    await cluster.healed();
    const [one, two, arbiter] = cluster.bricks();
    assertEquals(one, two);
    assertEquals(Object.keys(one), Object.keys(arbiter));
    for (const [entry, was] of before) assertEquals(state(entry), was, entry);
  });
});
