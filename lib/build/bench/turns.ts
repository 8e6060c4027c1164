/**
 * Programs that take turns, so that other work of the machine slows all of them
 * alike.
 *
 * @module
 */

import { TemporaryError } from "../../commands/command.ts";
import { Connection } from "./connection.ts";
import { type Bench, logOf } from "./plan.ts";
import { type Ended, Process } from "./process.ts";
import { compare, type Comparison, type Sample } from "./statistics.ts";

/** How long one program may take, in seconds. */
const PATIENCE = 20;

/** The session of a client that is deferred after RCPT, sent in one go. */
export const SCRIPT: string = [
  "EHLO mail.example",
  "MAIL FROM:<a@mail.example>",
  "RCPT TO:<b@mx.example>",
  "QUIT",
  "",
].join("\r\n");

/** A program that takes its turn. */
export interface Contender {
  readonly key: string;
  readonly argv: readonly string[];
  /** Copies of the program, one of which runs in its place each time. */
  readonly copies?: readonly string[];
  /** The whole environment besides that of tcp-environ(5), and PATH. */
  readonly env?: Readonly<Record<string, string>>;
  /** What the client has to be told; empty if nothing is to be said. */
  readonly reply: RegExp;
  /** Gets things ready; not measured. */
  readonly prepare?: () => void;
  /** The client's address, with which it is the same one each time. */
  readonly client?: string;
}

/** A client that was never seen before, each time it is asked for. */
let clients = 0;
function newClient(): string {
  clients++;
  return `10.${(clients >> 8) & 255}.${clients & 255}.1`;
}

/** What tcpserver(1) tells about a client. */
export function tcpEnvironment(client: string): Record<string, string> {
  return {
    PROTO: "TCP",
    TCPLOCALHOST: "mx.example",
    TCPLOCALIP: "192.0.2.25",
    TCPLOCALPORT: "25",
    TCPREMOTEIP: client,
    TCPREMOTEPORT: "40000",
  };
}

/**
 * Runs a program once for a client that says all that it has to say at once.
 *
 * @param round which of the copies runs
 * @throws {TemporaryError} if it does not do what it has to
 */
async function runOnce(
  bench: Bench,
  contender: Contender,
  round: number,
): Promise<Ended> {
  const { env, reply, client, prepare } = contender;
  const { copies = [contender.argv[0]] } = contender;
  const argv = contender.argv.with(0, copies[round % copies.length]);
  prepare?.();
  using connection = new Connection();
  connection.send(SCRIPT);
  connection.endInput();
  const process = new Process({
    argv,
    env: { ...tcpEnvironment(client ?? newClient()), ...env },
    socket: connection.other,
    errors: logOf(bench),
  });
  connection.handedOver();
  const ended = await process.ended(PATIENCE);
  bench.signal.throwIfAborted();
  const said = connection.received();
  if (ended.code === 0 && reply.test(said)) return ended;
  throw new TemporaryError(
    `${argv.join(" ")}: exit ${ended.code}, and it said ${
      JSON.stringify(said)
    }`,
  );
}

/** The result of a comparison. */
export interface Turns {
  /** How often each had its turn. */
  readonly rounds: number;
  readonly results: ReadonlyMap<string, Comparison>;
}

/**
 * Has programs take turns.
 *
 * @param contenders each is compared with the first
 * @throws {TemporaryError} if one does not do what it has to
 */
export async function takeTurns(
  bench: Bench,
  what: string,
  contenders: readonly Contender[],
): Promise<Turns> {
  const { plan, say } = bench;
  const samples = contenders.map((): Sample[] => []);
  // The first run of each, which reads from the disk, is not measured.
  for (const contender of contenders) {
    const count = contender.copies?.length ?? 1;
    for (let i = 0; i < count; i++) await runOnce(bench, contender, i);
  }
  const end = performance.now() + plan.seconds * 1000;
  let round = 0;
  while (round < plan.rounds && (round === 0 || performance.now() < end)) {
    say(`${what}: round ${round + 1} of at most ${plan.rounds}`);
    for (const turn of shuffled(contenders.length)) {
      samples[turn].push(await runOnce(bench, contenders[turn], round));
    }
    round++;
  }
  return {
    rounds: round,
    results: new Map(
      contenders.map(({ key }, i) => [key, compare(samples[i], samples[0])]),
    ),
  };
}

/** The numbers below one, in an order that favours none of them. */
function shuffled(count: number): number[] {
  const keyed = Array.from({ length: count }, (_, i) => [Math.random(), i]);
  return keyed.sort(([a], [b]) => a - b).map(([, i]) => i);
}
