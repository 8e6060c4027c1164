/**
 * The sizes of all measurements, and the tools that they share.
 *
 * @module
 */

import { join } from "@std/path";
import { TemporaryError } from "../../commands/command.ts";

/** How much is measured. */
export interface Plan {
  /** How often programs take turns. */
  readonly rounds: number;
  /** How long one set of programs may take turns, in seconds. */
  readonly seconds: number;
  /** In how many copies a binary takes its turns. */
  readonly copies: number;
  /** How many deferred clients wait at once while memory is measured. */
  readonly waiting: number;
  /** How many clients there are at a time. */
  readonly clients: readonly number[];
  /** How long new clients come, in seconds. */
  readonly loadSeconds: number;
  /** How often `serve` and tcpserver take turns. */
  readonly duels: number;
  /** How long new clients come in each of these turns, in seconds. */
  readonly duelSeconds: number;
  /** How large the message is that they let through, in bytes. */
  readonly message: number;
  /** How many clients come to `serve` at once, and wait. */
  readonly crowd: number;
  /** How many entries there are besides that of the client. */
  readonly entries: readonly number[];
  /** How many lines a whitelist has that do not match the client. */
  readonly lines: readonly number[];
  /** How often listing many entries is repeated. */
  readonly listings: number;
}

/** The sizes for the published table: five to seven minutes on two cores. */
export const FULL: Plan = {
  rounds: 200,
  seconds: 90,
  copies: 4,
  waiting: 20,
  clients: [1, 20, 100],
  loadSeconds: 2,
  duels: 7,
  duelSeconds: 1,
  message: 100e6,
  crowd: 1000,
  entries: [0, 10_000, 1_000_000],
  lines: [0, 1_000, 50_000],
  listings: 3,
};

/** The tools of a measurement. */
export interface Bench {
  readonly plan: Plan;
  /** A directory that is gone afterwards. */
  readonly scratch: string;
  /** Shows what is being done, in place of the text before. */
  readonly say: (what: string) => void;
  /** Aborted if the user interrupts the measurement. */
  readonly signal: AbortSignal;
}

/** Where the programs that are measured write their standard error. */
export function logOf(bench: Pick<Bench, "scratch">): string {
  return join(bench.scratch, "log");
}

/**
 * Makes sure that greylist logged no warning and no error: a check that fails and
 * lets the client in is quick, but is not the check to be measured.
 *
 * @param log the file that greylist logged to
 * @throws {TemporaryError} with the first complaint
 */
export async function expectQuiet(log: string): Promise<void> {
  const text = await Deno.readTextFile(log);
  const line = text.split("\n").find((line) => /^(warn|error) /.test(line));
  if (line !== undefined) throw new TemporaryError(`greylist logged: ${line}`);
}
