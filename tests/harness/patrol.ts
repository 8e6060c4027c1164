/**
 * How long clients of `serve` wait while a disk, a file or a program hangs: only the
 * clients that need it wait, and no longer than `storeTimeout`.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { fuseObstacle } from "./fuse.ts";
import { NEXT } from "./next_program.ts";
import { isListening, processesOf, run, waitFor } from "./process.ts";
import { BASE } from "./root.ts";
import { serving } from "./serving.ts";
import { Client } from "./smtp.ts";
import { Stopwatch } from "./stopwatch.ts";
import { ABSENT, slowingAt, STORE_TIMEOUT } from "./strace.ts";

/** How long each call is delayed at least, in seconds. */
export const HANG = 4;

/** What the project promises to clients that do not need the store, in seconds. */
export const PROMPT = 0.1;

/** What it promises to SIGTERM, in seconds. */
const END = 0.5;

/**
 * What a client may wait besides what is promised, in seconds.
 *
 * @param longest what this machine needs at most for the same while nothing hangs. A
 * fast machine may stand still for half a second if others share its processors
 */
export const room = (longest: number) => Math.max(0.5, 3 * longest);

/** How many new clients come while the store hangs. */
const NEW = 12;

/** Some clients need no look-up; storeTimeout is the default. */
export const CONFIG: Partial<Config> = {
  whitelist: { networks: ["127.8.0.0/16"] },
  storeTimeout: undefined,
};

/** Clients in networks of their own; the calls on their entries hang. */
export const slowClient = (n: number) => `127.9.${n}.1`;
export const SLOW_PATHS = Array.from(
  { length: NEW },
  (_, n) => `${BASE}/127.9.${n}.0_24`,
);

export const CALLS = "statx,mknodat,openat,ftruncate";

export const FUSE = {
  programs: ["perl", "unshare", "mount"],
  mounts: true,
  kernel: fuseObstacle,
};

export function sleep(seconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, seconds * 1000));
}

/**
 * Seconds until something is there. The limits of `serve` are in real time, in which
 * stalls of this machine count.
 */
export async function timed<T>(what: () => Promise<T>) {
  const watch = new Stopwatch();
  const began = performance.now();
  const result = await what();
  const real = (performance.now() - began) / 1000;
  return { result, seconds: watch.seconds, real };
}

/** What a client is greeted with, and after how many seconds. */
export async function greeted(port: number, from: string) {
  using client = await Client.connectFrom(port, { from });
  const { result, ...times } = await timed(() => client.reply());
  await client.send("QUIT\r\n");
  await client.rest();
  return { result: result ?? "hung up", ...times };
}

/** What this machine needs while nothing hangs, in seconds. */
export interface Quiet {
  /** Half of the clients without a look-up waited no longer. */
  readonly median: number;
  /** The longest of all waits: for a reply, for the end, and for another program. */
  readonly longest: number;
}

/** Programs in front of a server that strace(1) slows down, though no call hangs. */
export const traced = () => slowingAt([ABSENT], CALLS, HANG);

/** Connects new clients, at once. */
export function comeAtOnce(port: number) {
  return Promise.all(
    Array.from({ length: NEW }, (_, n) => greeted(port, slowClient(n))),
  );
}

/**
 * Measures a server on which nothing hangs.
 *
 * @param before the programs in front of it
 */
export async function measure(
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
  const over = () => {
    isOver = true;
  };
  until.then(over, over);
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
export async function patrol(
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

/** Asserts that `serve` answers its first client within storeTimeout. */
export async function assertBegins(quiet: Quiet, first: Client): Promise<void> {
  const banner = await timed(() => first.reply());
  assertMatch(banner.result ?? "", /^220 mx\.example /);
  const { seconds } = banner;
  const most = STORE_TIMEOUT + room(quiet.longest);
  assert(seconds <= most, `began after ${seconds} s: at most ${most} s`);
}

/** Asserts how long the end of the service takes. */
export function assertEnded(
  quiet: Quiet,
  seconds: number,
  promised = END,
): void {
  const most = promised + room(quiet.longest);
  assert(seconds <= most, `ended after ${seconds} s: at most ${most} s`);
}

/** Ends the service while one client is there. */
export async function assertStops(
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
