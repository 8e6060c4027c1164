/**
 * How many deferred clients a second a server gets through.
 *
 * @module
 */

import { TemporaryError } from "../../commands/command.ts";
import type { Binaries } from "./binaries.ts";
import { load, type Session } from "./load.ts";
import { type Bench, expectQuietLog, logOf } from "./plan.ts";
import { findProgram, Process } from "./process.ts";
import { RBLSMTPD } from "./starts.ts";
import { median } from "./statistics.ts";
import type { Row, Section } from "./table.ts";
import { SCRIPT } from "./turns.ts";

/** How often the servers take turns. */
const ROUNDS = 2;

/** A server that listens. */
interface Server {
  readonly key: string;
  readonly port: number;
  readonly session: Session;
}

/** Measures sessions a second under tcpserver. */
export async function measureSessions(
  bench: Bench,
  binaries: Binaries,
): Promise<Section> {
  const { clients, loadSeconds } = bench.plan;
  const deferred = { script: SCRIPT, reply: /^451 [^]*/m };
  const candidates = [
    {
      key: "rcpt",
      text: `greylist, at "rcpt"`,
      argv: [binaries.rcpt, "true"],
      session: deferred,
    },
    {
      key: "rblsmtpd",
      text: `greylist, at "rblsmtpd"`,
      argv: [binaries.rblsmtpd, "true"],
      session: deferred,
      needs: ["rblsmtpd"],
    },
    {
      key: "rblsmtpdAlone",
      text: "rblsmtpd, RBLSMTPD is set",
      argv: ["rblsmtpd", "true"],
      session: deferred,
      needs: ["rblsmtpd"],
    },
    {
      key: "true",
      text: "true: tcpserver alone",
      argv: ["true"],
      session: { reply: /^$/ },
    },
  ];
  const absent = new Map<string, string>();
  const servers: Server[] = [];
  const processes: Process[] = [];
  const rates = new Map<string, number[]>();
  try {
    for (const { key, argv, session, needs = [] } of candidates) {
      const lack = ["tcpserver", ...needs].find((name) => !findProgram(name));
      if (lack !== undefined) {
        absent.set(key, `${lack} is not installed`);
        continue;
      }
      const { process, port } = await listen(bench, key, argv);
      processes.push(process);
      servers.push({ key, port, session });
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const count of clients) {
        for (const { key, port, session } of servers) {
          bench.say(`sessions a second: ${key}, ${count} at a time`);
          const { sessions, seconds } = await load(
            port,
            session,
            count,
            loadSeconds,
            bench.signal,
          );
          const cell = `${key} ${count}`;
          rates.set(cell, [...rates.get(cell) ?? [], sessions / seconds]);
        }
      }
    }
  } finally {
    for (const process of processes) {
      process.kill("SIGTERM");
      await process.ended(10);
    }
  }
  await expectQuietLog(bench);
  const cells = (key: string) =>
    Object.fromEntries(
      clients.map((count) => [
        `at${count}`,
        median(rates.get(`${key} ${count}`)!),
      ]),
    );
  return {
    key: "sessions",
    title: "SESSIONS A SECOND under tcpserver, at so many clients",
    columns: clients.map((count) => ({
      key: `at${count}`,
      heading: `at ${count}`,
      digits: 0,
    })),
    rows: candidates.map(({ key, text }): Row => ({
      key,
      text,
      values: absent.has(key) ? undefined : cells(key),
      absent: absent.get(key),
    })),
  };
}

/** Starts tcpserver and finds out where it listens. */
async function listen(bench: Bench, key: string, argv: readonly string[]) {
  const most = Math.max(...bench.plan.clients);
  const output = `${logOf(bench)}.${key}`;
  const process = new Process({
    // No names are looked up; more at once than it allows by itself; and the
    // port, which it chooses, is written down.
    argv: [
      ...["tcpserver", "-1RHl0", "-c", String(most + 20), "-b", "200"],
      ...["127.0.0.1", "0", ...argv],
    ],
    env: { RBLSMTPD },
    output,
    errors: logOf(bench),
  });
  const end = performance.now() + 10_000;
  while (performance.now() < end) {
    bench.signal.throwIfAborted();
    const port = /^\d+$/m.exec(await Deno.readTextFile(output));
    if (port !== null) return { process, port: Number(port[0]) };
    await new Promise((done) => setTimeout(done, 10));
  }
  throw new TemporaryError("tcpserver does not listen");
}
