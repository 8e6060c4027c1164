/**
 * What a deferred client costs while it waits.
 *
 * @module
 */

import { TemporaryError } from "../../commands/command.ts";
import { sleep } from "../../system/sleep.ts";
import { findInstalled } from "../find_installed.ts";
import type { Binaries } from "./binaries.ts";
import { Connection } from "./connection.ts";
import { type Bench, expectQuiet, logOf } from "./plan.ts";
import { bytesIn } from "./proc.ts";
import { Process } from "./process.ts";
import { RBLSMTPD } from "./starts.ts";
import { howMany, median, smallest } from "./statistics.ts";
import type { Row, Section } from "./table.ts";
import { SCRIPT, tcpEnvironment } from "./turns.ts";

/** How long a program may take to answer, in milliseconds. */
const PATIENCE = 20_000;

/** What the table calls a gigabyte, in bytes. */
const GIGABYTE = 1e9;

/** The steps in which the smallest limit is looked for, in bytes. */
const STEP = 500_000;

/** The largest limit that is tried, in bytes. */
const MOST = 1e9;

/** All that a client says but QUIT. */
export const UNFINISHED = SCRIPT.slice(0, SCRIPT.indexOf("QUIT"));

/** Memory of one process, in bytes. */
interface Memory {
  /** Private memory, and its share of memory that several processes use. */
  readonly pss: number;
  readonly private: number;
  /** The page tables that the kernel keeps for the process. */
  readonly tables: number;
}

/** Measures what a waiting session costs, for each way to defer. */
export async function measureMemory(
  bench: Bench,
  binaries: Binaries,
): Promise<Section> {
  const { waiting } = bench.plan;
  const candidates = [
    {
      key: "rcpt",
      text: `greylist, at "rcpt"`,
      argv: [binaries.rcpt, "true"],
    },
    {
      key: "rblsmtpd",
      text: `greylist, at "rblsmtpd"`,
      argv: [binaries.rblsmtpd, "true"],
      needs: "rblsmtpd",
    },
  ];
  const rows: Row[] = [];
  for (const { key, text, argv, needs } of candidates) {
    if (needs !== undefined && findInstalled(needs) === undefined) {
      rows.push({ key, text, absent: `${needs} is not installed` });
      continue;
    }
    bench.say(`memory of ${waiting} deferred clients: ${key}`);
    const all = await whileWaiting(bench, argv);
    bench.say(`smallest limit of data: ${key}`);
    const limit = await smallestData(bench, argv);
    const own = median(all.map((one) => one.private + one.tables));
    const pss = median(all.map((one) => one.pss));
    const shared = all.reduce((sum, one) => sum + one.pss - one.private, 0);
    rows.push({
      key,
      text,
      values: {
        pss: pss / 1e6,
        private: median(all.map((one) => one.private)) / 1e6,
        tables: median(all.map((one) => one.tables)) / 1e6,
        fit: howMany(GIGABYTE, own, shared),
        data: limit / 1e6,
      },
    });
  }
  await expectQuiet(logOf(bench));
  return {
    key: "memory",
    title: `MEMORY (${waiting} clients after RCPT)`,
    columns: [
      { key: "pss", heading: "PSS MB", digits: 1 },
      { key: "private", heading: "private MB", digits: 1 },
      { key: "tables", heading: "tables MB", digits: 1 },
      { key: "fit", heading: "in 1 GB", digits: 0 },
      { key: "data", heading: "-d MB", digits: 1 },
    ],
    rows,
  };
}

/** Reads the memory of processes that all wait for the client at once. */
async function whileWaiting(
  bench: Bench,
  argv: readonly string[],
): Promise<Memory[]> {
  const sessions: { connection: Connection; process: Process }[] = [];
  try {
    for (let i = 0; i < bench.plan.waiting; i++) {
      const connection = new Connection();
      connection.send(UNFINISHED);
      const process = new Process({
        argv,
        env: tcpEnvironment(`172.16.${i}.1`),
        socket: connection.other,
        errors: logOf(bench),
      });
      sessions.push({ connection, process });
      connection.handedOver();
      await until(bench, connection, /^451 /m);
    }
    return sessions.map(({ process }) => memoryOf(process.pid));
  } finally {
    for (const { connection, process } of sessions) {
      connection[Symbol.dispose]();
      await process.ended(PATIENCE / 1000);
    }
  }
}

/** Waits for a reply. */
async function until(bench: Bench, connection: Connection, reply: RegExp) {
  const end = performance.now() + PATIENCE;
  let said = "";
  while (!reply.test(said)) {
    bench.signal.throwIfAborted();
    if (performance.now() > end) {
      throw new TemporaryError(
        `no reply like ${reply}, but ${JSON.stringify(said)}`,
      );
    }
    await sleep(2);
    said += connection.received();
  }
}

/** What a process takes now. */
export function memoryOf(pid: number): Memory {
  const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return {
    pss: bytesIn(rollup, "Pss"),
    private: bytesIn(rollup, "Private_Clean") +
      bytesIn(rollup, "Private_Dirty"),
    tables: bytesIn(status, "VmPTE"),
  };
}

/** The smallest `softlimit -d` under which clients are still deferred. */
async function smallestData(
  bench: Bench,
  argv: readonly string[],
): Promise<number> {
  const works = (limit: number) => defersUnder(bench, argv, limit);
  let limit = await smallest(0, MOST, STEP, works);
  // Near the limit the result differs from run to run, because the addresses of
  // memory are random.
  for (let good = 0; good < 5;) {
    if (await works(limit)) good++;
    else [limit, good] = [limit + STEP, 0];
    if (limit > MOST) {
      throw new TemporaryError(`not even ${MOST} bytes suffice`);
    }
  }
  return limit;
}

/** Whether a client is deferred under a limit of data, in bytes. */
async function defersUnder(
  bench: Bench,
  argv: readonly string[],
  limit: number,
): Promise<boolean> {
  using connection = new Connection();
  connection.send(SCRIPT);
  connection.endInput();
  const kilobytes = String(Math.floor(limit / 1024));
  const process = new Process({
    argv: [
      "sh",
      "-c",
      'ulimit -c 0 && ulimit -d "$0" && exec "$@"',
      kilobytes,
      ...argv,
    ],
    env: { ...tcpEnvironment("172.17.0.1"), RBLSMTPD },
    socket: connection.other,
    // Without memory V8 writes a long report.
    errors: "/dev/null",
  });
  connection.handedOver();
  const { code } = await process.ended(PATIENCE / 1000);
  bench.signal.throwIfAborted();
  return code === 0 && /^451 /m.test(connection.received());
}
