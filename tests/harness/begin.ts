/**
 * The beginning that most tests of one session have in common.
 *
 * @module
 */

import type { Config } from "../../lib/config.ts";
import { clean, compile } from "./binary.ts";
import { greeter } from "./next_program.ts";
import type { Listener, WayIn } from "./way_in.ts";

/** A listener, and the binary that it runs. */
export interface Site extends Listener {
  readonly binary: string;
}

/**
 * Starts a way in with a binary of this configuration on an empty database;
 * behind it is a program that greets.
 */
export async function begin(
  way: WayIn,
  config: Partial<Config> = {},
): Promise<Site> {
  clean();
  const binary = await compile(config);
  const listener = await way.start({ binary, next: greeter() });
  return { ...listener, binary, pid: listener.pid };
}
