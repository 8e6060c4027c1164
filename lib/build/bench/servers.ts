/**
 * Servers that listen on this machine, and the load client that floods them.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import { TemporaryError } from "../../commands/command.ts";
import { sleep } from "../../system/sleep.ts";
import { freePort } from "../ports.ts";
import type { Flood, Order } from "./flood.ts";
import { type Bench, logOf } from "./plan.ts";
import { Process } from "./process.ts";
import { RBLSMTPD } from "./starts.ts";

/** How long a server may take until it listens, in milliseconds. */
const PATIENCE = 20_000;

/** A server that listens on 127.0.0.1. */
export interface Server {
  readonly process: Process;
  readonly port: number;
}

/** Starts tcpserver, which looks no names up. */
export async function startTcpserver(
  bench: Bench,
  key: string,
  options: readonly string[],
  program: readonly string[],
): Promise<Server> {
  // It chooses the port, and writes it down.
  const output = `${logOf(bench)}.${key}`;
  const process = new Process({
    argv: [
      ...["tcpserver", "-1RHl0", ...options, "127.0.0.1", "0"],
      ...program,
    ],
    env: { RBLSMTPD },
    output,
    errors: logOf(bench),
  });
  const port = await numberIn(bench, output, /^(\d+)$/m, "tcpserver");
  return { process, port };
}

/**
 * Starts `greylist serve`.
 *
 * @param env variables for it and for the program
 * @param log the file that its log goes to; else standard error
 */
export async function startServe(
  bench: Pick<Bench, "scratch" | "signal">,
  binary: string,
  env: Readonly<Record<string, string>>,
  program: readonly string[],
  log?: string,
): Promise<Server> {
  const port = freePort();
  const errors = logOf(bench);
  const place = `127.0.0.1:${port}`;
  const process = new Process({
    argv: [binary, "serve", place, "--", ...program],
    env: { RBLSMTPD, ...env },
    errors,
  });
  const line = new RegExp(`\\bserve on=127\\.0\\.0\\.1:(${port}) `, "m");
  if (log !== undefined) await Deno.writeTextFile(log, "", { append: true });
  await numberIn(bench, log ?? errors, line, "greylist serve");
  return { process, port };
}

/** Waits until a file has a line with the port. */
export function numberIn(
  bench: Pick<Bench, "signal">,
  file: string,
  line: RegExp,
  name: string,
): Promise<number> {
  return untilListening(bench, name, async () => {
    const found = line.exec(await Deno.readTextFile(file));
    return found === null ? undefined : Number(found[1]);
  });
}

/**
 * Waits until a server listens.
 *
 * @param attempt tried again and again until it gives something
 * @param log the server's log, for the error
 * @throws {TemporaryError} if it does not listen within {@linkcode PATIENCE}
 */
export async function untilListening<T>(
  bench: Pick<Bench, "signal">,
  name: string,
  attempt: () => Promise<T | undefined>,
  log?: string,
): Promise<T> {
  const end = performance.now() + PATIENCE;
  while (performance.now() < end) {
    bench.signal.throwIfAborted();
    const found = await attempt();
    if (found !== undefined) return found;
    await sleep(10);
  }
  const said = log === undefined
    ? ""
    : ": " + (await Deno.readTextFile(log).catch(() => "no log")).trimEnd();
  throw new TemporaryError(`${name} does not listen${said}`);
}

/** Ends servers. */
export async function stopServers(servers: Iterable<Server>): Promise<void> {
  for (const { process } of servers) {
    process.kill("SIGTERM");
    await process.ended(10);
  }
}

/**
 * Has the load client flood a server.
 *
 * @throws {TemporaryError} if a session does not go as it should
 */
export async function runFlood(
  bench: Bench,
  order: Order,
  network?: number,
): Promise<Flood> {
  const output = join(bench.scratch, "flood");
  await Deno.remove(output).catch(() => {});
  const module = fromFileUrl(new URL("flood.ts", import.meta.url));
  const enter = ["nsenter", "--target", String(network), "--net", "--"];
  const client = new Process({
    argv: [
      ...network === undefined ? [] : enter,
      Deno.execPath(),
      ...["run", "-A", "--no-lock", "--no-config", "--no-check"],
      ...[module, JSON.stringify(order)],
    ],
    env: { HOME: bench.scratch },
    output,
    errors: `${logOf(bench)}.flood`,
  });
  const { code } = await client.ended(order.seconds + 60);
  bench.signal.throwIfAborted();
  if (code !== 0) {
    const said = await Deno.readTextFile(`${logOf(bench)}.flood`);
    throw new TemporaryError(`the load client: exit ${code}: ${said}`);
  }
  const flood: Flood = JSON.parse(await Deno.readTextFile(output));
  if (flood.failed === undefined) return flood;
  throw new TemporaryError(
    `a client was told ${JSON.stringify(flood.failed)}`,
  );
}
