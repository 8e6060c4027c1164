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

/** An upgrade that is refused because something takes too long. */
const STALLED = / upgrade=refused what="[^"]*(?: does not | no end )/g;

/**
 * Asks for an upgrade, and again if a machine that stalls has it refused, until
 * one is done.
 *
 * @param ask asks for one
 * @param log all lines so far
 */
export async function upgrade(
  ask: () => void | Promise<void>,
  log: () => string,
): Promise<void> {
  await ask();
  let refused = 0;
  await waitFor("the upgrade", async () => {
    const said = log();
    const count = said.match(STALLED)?.length ?? 0;
    if (count > refused) await ask();
    refused = count;
    return / upgrade=done /.test(said);
  });
}

/** Waits until that many upgrades have been done. */
export async function upgraded(count: number): Promise<void> {
  await waitFor(
    `${count} upgrades`,
    () =>
      upgrades().filter((line) => / upgrade=done/.test(line)).length >= count,
  );
}
