/**
 * `greylist report`, run from source.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { TIMES } from "../../lib/report/period.ts";
import type { Report } from "../../lib/report/report.ts";
import { age, clean, compile } from "./binary.ts";
import { type Outcome, run, type RunOptions } from "./process.ts";

/** What each client says. */
const DIALOGUE = [
  "EHLO mx.sender.example",
  "MAIL FROM:<a@sender.example>",
  "RCPT TO:<b@rcpt.example>",
  "QUIT",
  "",
].join("\r\n");

/**
 * Has the wrapper write its lines: three deferred clients, one of which is let
 * in on its second attempt, one that a variable exempts.
 *
 * @param then what its stderr goes to, as a shell has it
 * @param before what stands before it on the command line
 */
export async function connections(
  config: Partial<Config>,
  then = "",
  before: readonly string[] = [],
) {
  clean();
  const binary = await compile(config);
  const connect = async (ip: string, more: Record<string, string> = {}) => {
    const command = [...before, "sh", "-c", `"$0" true ${then}`, binary];
    const env = { TCPREMOTEIP: ip, ...more };
    const { code, stderr } = await run(command, { input: DIALOGUE, env });
    assertEquals([code, stderr], [0, ""]);
  };
  await connect("192.0.2.1");
  await connect("2001:db8::1");
  await connect("198.51.100.1");
  await connect("198.51.100.2");
  age("198.51.100.0_24", 90);
  await connect("198.51.100.1");
  await connect("203.0.113.1", { RELAYCLIENT: "" });
}

export async function report(
  args: string[],
  options?: RunOptions,
): Promise<Outcome> {
  return await run([await compile(), "report", ...args], options);
}

export async function json(
  args: string[],
  options?: RunOptions,
): Promise<Report> {
  const { code, stdout, stderr } = await report(["--json", ...args], options);
  assertEquals([code, stderr], [0, ""]);
  return JSON.parse(stdout);
}

export const DAY = 86400;
export const A_TIME = `expected ${TIMES}`;
export const STAMP = Date.parse("2026-11-01T12:00:00Z");

/** A line of the log, so many seconds after noon. */
export function line(seconds: number, text: string): string {
  return `${new Date(STAMP + seconds * 1000).toISOString()} ${text}\n`;
}

export const FIRST = line(
  0,
  "defer ip=192.0.2.1 net=192.0.2.0/24 reason=new wait=60",
);
export const SECOND = line(
  300,
  "pass ip=192.0.2.1 net=192.0.2.0/24 reason=retried age=300 accepted=1",
);

export async function gzip(text: string): Promise<Uint8Array> {
  const stream = new Blob([text]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
