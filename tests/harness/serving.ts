/**
 * The beginning that most tests of `serve` have in common, and what they look
 * at.
 *
 * @module
 */

import type { Config } from "../../lib/config.ts";
import type { Site } from "./begin.ts";
import { clean, compile, logLines, SERVE } from "./binary.ts";
import { greeter } from "./next_program.ts";
import { descriptorsOf, waitFor } from "./process.ts";
import type { Client } from "./smtp.ts";
import { serve, type Start } from "./way_in.ts";

/**
 * How long `serve` may hold more than before, in seconds: a thread that helped
 * with a slow disk ends after a minute without work.
 */
export const HELPER_LIFE = 180;

/**
 * Starts `serve` with a binary of this configuration on an empty database;
 * behind it is a program that greets, unless something else is given.
 */
export async function serving(
  config: Partial<Config> = {},
  start: Partial<Start> = {},
): Promise<Site> {
  clean();
  const binary = await compile(withUser(config));
  const listener = await serve.start({ binary, next: greeter(), ...start });
  return { ...listener, binary, pid: listener.pid };
}

/** The same configuration; root has to name the user that PROGRAM runs as. */
export function withUser(config: Partial<Config>): Partial<Config> {
  return { ...config, serve: { ...SERVE, ...config.serve } };
}

/** The lines of the log without their times, those of the server left out. */
export function lines(): string[] {
  return logLines().map((line) => line.replace(/^\S+Z /, ""))
    .filter((line) => !line.startsWith("serve "));
}

/** Waits for a line of the log. */
export function logged(pattern: RegExp): Promise<string> {
  return waitFor(
    `${pattern} in the log`,
    () => logLines().find((line) => pattern.test(line)),
  );
}

/** Makes a connection, and waits until `serve` has accepted it. */
export async function untilAccepted(
  pid: number,
  connect: () => Promise<Client>,
): Promise<Client> {
  // Names, and no count: a thread that ends closes its copy of a socket.
  const sockets = () =>
    descriptorsOf(pid).filter((name) => name.startsWith("socket:"));
  const before = sockets();
  const client = await connect();
  await waitFor(
    "serve to have the connection",
    () => sockets().some((name) => !before.includes(name)),
  );
  return client;
}
