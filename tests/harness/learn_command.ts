/**
 * `greylist learn`, and the logs of qmail-send that it reads.
 *
 * @module
 */

import type { Config } from "../../lib/config.ts";
import { compile } from "./binary.ts";
import { DEADLINE, run, type RunOptions } from "./process.ts";
import { BASE, writeFile } from "./root.ts";

export const HOUR = 3600;
export const DAY = 86400;
export const NOW = Math.floor(Date.now() / 1000);

/** A TAI64N stamp as multilog writes it (2^62 + 10 at 1970). */
export function tai64n(age: number): string {
  return `@4000000${(NOW - age + 10).toString(16).padStart(9, "0")}075bcd15`;
}

/** What qmail-remote reports if the host has accepted the message. */
export function success(host: string): string {
  return `delivery 3: success: ${host}_accepted_message.` +
    "/Remote_host_said:_250_ok/\n";
}

/**
 * The two lines of a remote delivery.
 *
 * @param stamp what each line begins with
 */
export function delivered(host: string, stamp = ""): string {
  return `${stamp}starting delivery 3: msg 4711 to remote b@c.example\n` +
    stamp + success(host);
}

/** The lines of a message that a host accepted so long ago. */
export function accepted(host: string, age: number): string {
  return delivered(host, `${tai64n(age)} `);
}

/** Accepted count and age of an entry, in seconds before the test began. */
export function entry(name: string): [number, number] {
  const { size, mtime } = Deno.lstatSync(`${BASE}/${name}`);
  return [size, NOW - Math.floor(mtime!.getTime() / 1000)];
}

/** A stamp as syslog daemons write it (RFC 3164), in local time. */
export function syslogStamp(age: number): string {
  const time = new Date((NOW - age) * 1000);
  const [, month, , , clock] = time.toString().split(" ");
  return `${month} ${String(time.getDate()).padStart(2)} ${clock}`;
}

/** How long `--follow` goes on at most, even if the tests have ended, in seconds. */
const LIFE = 2 * DEADLINE;

/**
 * Starts the command with `--follow`.
 *
 * @param before a program that starts it, and that program's arguments
 */
export async function follow(
  paths: string[],
  before: string[] = [],
  config?: Partial<Config>,
) {
  const errors = writeFile("follow-stderr", "");
  const binary = await compile(config);
  const command = [...before, binary, "learn", "--follow", ...paths];
  const started = ["sh", "-c", 'exec "$@" 2>"$0"', errors, ...command];
  // It hands signals on, and the exit code back. Without --foreground it would hand
  // on a second SIGHUP no more.
  const child = new Deno.Command("timeout", {
    args: ["--foreground", String(LIFE), ...started],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const stderr = () => Deno.readTextFileSync(errors);
  return {
    stderr,
    hangUp: () => child.kill("SIGHUP"),
    async end(signal: "SIGINT" | "SIGTERM" = "SIGTERM") {
      child.kill(signal);
      const { code, stdout } = await child.output();
      return {
        code,
        stdout: new TextDecoder().decode(stdout),
        stderr: stderr(),
      };
    },
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGTERM");
        await child.stdout.cancel();
      } catch {
        // It has ended already.
      }
      await child.status;
    },
  };
}

export async function learn(args: string[], options?: RunOptions) {
  return await run([await compile(), "learn", ...args], options);
}
