/**
 * What `greylist serve` does in a second, beside tcpserver on the same machine.
 *
 * @module
 */

import { TemporaryError } from "../../commands/command.ts";
import { findInstalled } from "../find_installed.ts";
import type { Binaries } from "./binaries.ts";
import { type Bench, expectQuiet, logOf } from "./plan.ts";
import { processorTime } from "./processor_time.ts";
import {
  runFlood,
  type Server,
  startServe,
  startTcpserver,
  stopServers,
} from "./servers.ts";
import { DEFERRED, SILENT } from "./sessions.ts";
import { median } from "./statistics.ts";
import type { Row, Section } from "./table.ts";

/** The figures of one turn. */
interface Turn {
  /** The higher, the better. */
  readonly rate: number;
  /** See {@linkcode Flood}. */
  readonly sessions?: number;
  readonly p99?: number;
  readonly busy?: number;
  /** Processor time of the server, in seconds. */
  readonly cpu?: number;
}

/** One row: both servers do the same work. */
interface Duel {
  readonly key: string;
  readonly text: string;
  /** What tcpserver starts. */
  readonly program: readonly string[];
  /** Whether `serve` starts that too, or defers. */
  readonly passes: boolean;
  turn(port: number, round: number): Promise<Turn>;
}

/** The variable that exempts a client in the default configuration. */
const EXEMPT = { RELAYCLIENT: "" };

/** Measures `serve` and tcpserver in turns. */
export async function measureServe(
  bench: Bench,
  binaries: Binaries,
): Promise<Section> {
  const { plan } = bench;
  const flood =
    (session: typeof DEFERRED, clients: number, fresh = false) =>
    async (port: number, round: number): Promise<Turn> => {
      const seconds = plan.duelSeconds;
      // More than come in one round.
      const strangers = fresh ? round * 8000 % 65000 : undefined;
      const order = { ...session, port, clients, seconds, strangers };
      const flood = await runFlood(bench, order);
      return { ...flood, rate: flood.sessions / flood.seconds };
    };
  const deferred = (clients: number, fresh = false) => ({
    program: ["rblsmtpd", "true"],
    passes: false,
    turn: flood(DEFERRED, clients, fresh),
  });
  const megabytes = plan.message / 1e6;
  const duels: Duel[] = [
    { key: "at20", text: "deferred, 20 at a time", ...deferred(20) },
    { key: "at100", text: "deferred, 100 at a time", ...deferred(100) },
    {
      key: "strangers",
      text: "the same, each makes an entry",
      ...deferred(100, true),
    },
    {
      key: "accepted",
      text: "accepted, 20 at a time",
      program: ["true"],
      passes: true,
      turn: flood(SILENT, 20),
    },
    {
      key: "dialogue",
      text: "accepted, a dialogue with each",
      // Any program in C that speaks SMTP.
      program: ["rblsmtpd", "true"],
      passes: true,
      turn: flood(DEFERRED, 20),
    },
    {
      key: "upload",
      text: `accepted, ${megabytes} MB each: MB a second`,
      program: ["wc", "-c"],
      passes: true,
      turn: async (port) => ({ rate: await uploads(bench, port) }),
    },
  ];
  const absent = new Map<string, string>();
  const results = new Map<string, Record<string, number>>();
  for (const duel of duels) {
    const { key, program: [name] } = duel;
    const lack = ["tcpserver", name].find((name) => !findInstalled(name));
    if (lack !== undefined) absent.set(key, `${lack} is not installed`);
    else results.set(key, await fight(bench, binaries.serve, duel));
  }
  await expectQuiet(logOf(bench));
  return {
    key: "serve",
    title: `SERVE, A SECOND (${plan.duels} rounds)`,
    columns: [
      { key: "tcpserver", heading: "tcpserver", digits: 0 },
      { key: "serve", heading: "serve", digits: 0 },
      { key: "ratio", heading: "ratio", digits: 2 },
      { key: "cpuRatio", heading: "CPU ratio", digits: 2 },
      { key: "p99", heading: "p99 ms", digits: 0 },
      { key: "client", heading: "client %", digits: 0 },
    ],
    rows: duels.map(({ key, text }): Row => ({
      key,
      text,
      values: results.get(key),
      absent: absent.get(key),
    })),
  };
}

/** Lets both servers do the same work in turns. */
async function fight(bench: Bench, binary: string, duel: Duel) {
  const { key, program, passes, turn } = duel;
  const servers: Server[] = [];
  const turns: Turn[][] = [[], []];
  try {
    // Both log each client. tcpserver has as many programs at once as `serve`
    // if that starts one, and no limit if it does not.
    const options = passes ? ["-v"] : ["-v", "-c", "120", "-b", "200"];
    const name = `serve.${key}`;
    servers.push(await startTcpserver(bench, name, options, program));
    const env = passes ? EXEMPT : {};
    servers.push(await startServe(bench, binary, env, program));
    for (let round = 0; round < bench.plan.duels; round++) {
      bench.say(`serve and tcpserver, ${key}: round ${round + 1}`);
      for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) {
        turns[i].push(await timed(servers[i], turn, round));
      }
    }
  } finally {
    await stopServers(servers);
  }
  const [theirs, ours] = turns;
  const middle = (turns: Turn[], of: (turn: Turn) => number | undefined) =>
    median(turns.map((turn) => of(turn) ?? NaN));
  const values = {
    tcpserver: middle(theirs, ({ rate }) => rate),
    serve: middle(ours, ({ rate }) => rate),
    ratio: median(ours.map(({ rate }, i) => rate / theirs[i].rate)),
    cpuRatio: cpuOf(theirs) / cpuOf(ours),
    p99: middle(ours, ({ p99 }) => p99),
    client: 100 * middle(ours, ({ busy }) => busy),
  };
  const known = Object.entries(values).filter(([, value]) =>
    !Number.isNaN(value)
  );
  return Object.fromEntries(known);
}

/** Has clients come to a server, whose processor time is looked at. */
async function timed(
  { process, port }: Server,
  turn: Duel["turn"],
  round: number,
): Promise<Turn> {
  const before = processorTime(process.pid);
  const outcome = await turn(port, round);
  return { ...outcome, cpu: processorTime(process.pid) - before };
}

/** Processor time for one session; the clock has hundredths of a second. */
function cpuOf(turns: readonly Turn[]): number {
  const sum = (of: (turn: Turn) => number | undefined) =>
    turns.reduce((all, turn) => all + (of(turn) ?? NaN), 0);
  return Math.max(0.01, sum(({ cpu }) => cpu)) / sum((turn) => turn.sessions);
}

/**
 * Sends messages, one after the other. A single message takes too little time to be
 * measured beside other work of the machine.
 *
 * @returns megabytes a second
 */
async function uploads(bench: Bench, port: number): Promise<number> {
  const { message, duelSeconds } = bench.plan;
  let sent = 0;
  let seconds = 0;
  while (seconds < duelSeconds) {
    seconds += await upload(bench, port);
    sent += message;
  }
  return sent / 1e6 / seconds;
}

/**
 * Sends a message through a program that counts its bytes.
 *
 * @returns how long that took, in seconds
 * @throws {TemporaryError} if the count is wrong
 */
async function upload(bench: Bench, port: number): Promise<number> {
  bench.signal.throwIfAborted();
  const { message } = bench.plan;
  const piece = new Uint8Array(Math.min(1 << 20, message));
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const start = performance.now();
  for (let sent = 0; sent < message;) {
    const most = Math.min(piece.length, message - sent);
    sent += await connection.write(piece.subarray(0, most));
  }
  await connection.closeWrite();
  const said = await new Response(connection.readable).text();
  const end = performance.now();
  if (said.trim() !== String(message)) {
    throw new TemporaryError(`wc -c: ${JSON.stringify(said)}: expected all`);
  }
  return (end - start) / 1000;
}
