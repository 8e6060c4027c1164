/**
 * The wrapper on files that hang: strace(1) delays the calls on them in the real
 * program, and clients wait no longer than is promised.
 *
 * @module
 */

import { ABSENT, STORE_TIMEOUT } from "./strace.ts";
import { assert } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { Semaphores } from "../../lib/system/semaphore.ts";
import { clean, compile } from "./binary.ts";
import { ENTRY } from "./fault.ts";
import { programPath } from "./need.ts";
import { greeter } from "./next_program.ts";
import { BASE, LOG, writeFile } from "./root.ts";
import { Client } from "./smtp.ts";
import { tcpserver } from "./way_in.ts";

/** How long each call is delayed, in seconds. */
const HANG = 60;

export const DEFAULT_TIMEOUT: Partial<Config> = { storeTimeout: undefined };

/** What the project promises besides storeTimeout, in seconds. */
export const PROMISED = 1;

/**
 * What a client may wait besides, in times of what a client waits meanwhile for whom
 * nothing hangs.
 */
const ROOM = 3;

/** The same at least, in seconds: a machine may stand still for a moment. */
const LEAST_ROOM = 0.5;

/** A storeTimeout that is longer than a machine is slow, in seconds. */
export const LONG = 8;

/** The time between two such clients, in milliseconds. */
const APART = 200;

/**
 * Delays calls on some paths.
 *
 * @param seconds how long each of them
 */
export function hanging(
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
export async function greeting(port: number) {
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
export async function promptGreeting(
  port: number,
  storeTimeout = STORE_TIMEOUT,
  before: readonly string[] = hanging("statx", [ABSENT]),
) {
  // It writes no line, and needs no entry.
  const quiet = await compile({
    ...DEFAULT_TIMEOUT,
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
export function nobodyWaits(path: string): void {
  const set = Semaphores.find(path, 2);
  for (const index of [0, 1]) set?.set(index, 0);
}

/**
 * Starts wrappers whose call on the entry hangs. As far as they know, no other one
 * waits for the base directory.
 *
 * @param prepare makes the entry
 */
export async function hangingServer(
  call: string,
  config: Partial<Config> = {},
  prepare = () => {},
) {
  clean();
  for (const path of [BASE, LOG]) nobodyWaits(path);
  prepare();
  return await tcpserver.start({
    binary: await compile({ ...DEFAULT_TIMEOUT, ...config }),
    before: hanging(call, [ENTRY]),
    next: greeter(),
  });
}

/** A whitelist file large enough for an index, which the base directory has. */
export function largeFile(rule: string) {
  const text = `${"# filler\n".repeat(400)}${rule}\n`;
  return writeFile("list", text) as `/${string}`;
}
