/**
 * How many deferred clients a second a server gets through.
 *
 * @module
 */

import { findInstalled } from "../find_installed.ts";
import type { Binaries } from "./binaries.ts";
import { type Bench, expectQuiet, logOf } from "./plan.ts";
import {
  runFlood,
  type Server,
  startTcpserver,
  stopServers,
} from "./servers.ts";
import { median } from "./statistics.ts";
import type { Row, Section } from "./table.ts";
import { SCRIPT } from "./turns.ts";

/** How often the servers take turns. */
const ROUNDS = 2;

/** What a deferred client says, and what it must have been told. */
export const DEFERRED = { script: SCRIPT, reply: "^451 " };

/** What a client sends and gets if the program is `true`. */
export const SILENT = { script: "", reply: "^$" };

/** Measures sessions a second under tcpserver. */
export async function measureSessions(
  bench: Bench,
  binaries: Binaries,
): Promise<Section> {
  const { clients, loadSeconds } = bench.plan;
  const candidates = [
    {
      key: "rcpt",
      text: `greylist, at "rcpt"`,
      argv: [binaries.rcpt, "true"],
      session: DEFERRED,
    },
    {
      key: "rblsmtpd",
      text: `greylist, at "rblsmtpd"`,
      argv: [binaries.rblsmtpd, "true"],
      session: DEFERRED,
      needs: ["rblsmtpd"],
    },
    {
      key: "rblsmtpdAlone",
      text: "rblsmtpd, RBLSMTPD is set",
      argv: ["rblsmtpd", "true"],
      session: DEFERRED,
      needs: ["rblsmtpd"],
    },
    {
      key: "true",
      text: "true: tcpserver alone",
      argv: ["true"],
      session: SILENT,
    },
  ];
  const absent = new Map<string, string>();
  const servers = new Map<string, Server>();
  // More at once than it allows by itself.
  const most = String(Math.max(...clients) + 20);
  const rates = new Map<string, number[]>();
  try {
    for (const { key, argv, needs = [] } of candidates) {
      const lack = ["tcpserver", ...needs].find((name) => !findInstalled(name));
      if (lack !== undefined) {
        absent.set(key, `${lack} is not installed`);
        continue;
      }
      const options = ["-c", most, "-b", "200"];
      servers.set(key, await startTcpserver(bench, key, options, argv));
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const count of clients) {
        for (const { key, session } of candidates) {
          const server = servers.get(key);
          if (server === undefined) continue;
          bench.say(`sessions a second: ${key}, ${count} at a time`);
          const { sessions, seconds } = await runFlood(bench, {
            ...session,
            port: server.port,
            clients: count,
            seconds: loadSeconds,
          });
          const cell = `${key} ${count}`;
          rates.set(cell, [...rates.get(cell) ?? [], sessions / seconds]);
        }
      }
    }
  } finally {
    await stopServers(servers.values());
  }
  await expectQuiet(logOf(bench));
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
