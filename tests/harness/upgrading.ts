/**
 * A `serve` whose binary is replaced while it runs.
 *
 * @module
 */

import { usesStandIns } from "../../lib/build/stand_in.ts";
import type { Config } from "../../lib/config.ts";
import { clean, compile, logLines } from "./binary.ts";
import { greeter } from "./next_program.ts";
import { waitFor } from "./process.ts";
import { emptyDir } from "./root.ts";
import { withUser } from "./serving.ts";

import { type Listener, serve, type Start } from "./way_in.ts";

/** Why a stand-in cannot be upgraded. */
export function notUpgradable(): string | undefined {
  return usesStandIns()
    ? "the program that a stand-in has become is deno, and so is its path"
    : undefined;
}

/** A `serve`, and the path of its binary. */
export interface Upgradable extends Listener {
  readonly binary: string;
}

/** Puts a binary to a path of its own, where a test may replace it. */
export async function installed(config: Partial<Config>): Promise<string> {
  const directory = emptyDir("installed");
  const path = `${directory}/greylist`;
  Deno.linkSync(await compile(withUser(config)), path);
  return path;
}

/** Starts `serve` with a binary that may be replaced. */
export async function upgradable(
  config: Partial<Config>,
  start: Partial<Start> = {},
): Promise<Upgradable> {
  clean();
  const binary = await installed(config);
  const listener = await serve.start({ binary, next: greeter(), ...start });
  return { ...listener, binary, pid: listener.pid };
}

/** Lines of the log about upgrades, without the time. */
export function upgrades(): string[] {
  return logLines().map((line) => line.replace(/^\S+Z /, ""))
    .filter((line) => / upgrade=/.test(line));
}

/** How long all tries of one upgrade may take, in seconds. */
const PATIENCE = 180;

/** An upgrade that is refused because something takes too long. */
export const STALLED = / upgrade=refused what="[^"]*(?: does not | no end )/;

/**
 * Asks for something, and again each time that an upgrade is refused because the
 * machine stalls, until it is done.
 *
 * @param refused how many lines of the log are {@linkcode STALLED} so far
 */
export async function askUntil(
  what: string,
  ask: () => void | Promise<void>,
  refused: () => number,
  isDone: () => boolean,
): Promise<void> {
  let seen = refused();
  await ask();
  await waitFor(what, async () => {
    const count = refused();
    if (count > seen) await ask();
    seen = count;
    return isDone();
  }, PATIENCE);
}

/**
 * Asks for an upgrade until one is done.
 *
 * @param ask asks for one
 * @param log all lines so far
 */
export function upgrade(
  ask: () => void | Promise<void>,
  log: () => string,
): Promise<void> {
  return askUntil(
    "the upgrade",
    ask,
    () => log().split("\n").filter((line) => STALLED.test(line)).length,
    () => / upgrade=done /.test(log()),
  );
}

/** Waits until that many upgrades have been done. */
export async function upgraded(count: number): Promise<void> {
  await waitFor(
    `${count} upgrades`,
    () =>
      upgrades().filter((line) => / upgrade=done/.test(line)).length >= count,
  );
}
