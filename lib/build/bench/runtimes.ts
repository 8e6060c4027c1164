/**
 * What one connection costs on another Deno. No denort of that Deno may be at hand,
 * so both have the stand-in of a binary (stand_in.ts).
 *
 * @module
 */

import { join } from "@std/path";
import { TemporaryError, UsageError } from "../../commands/command.ts";
import type { Config } from "../../config.ts";
import { findInstalled } from "../find_installed.ts";
import { STAND_IN_VARIABLE } from "../stand_in.ts";
import { baseOf, makerCommand, writeConfig } from "./binaries.ts";
import { type Bench, logOf } from "./plan.ts";
import { Process } from "./process.ts";
import { COSTS, PERL } from "./starts.ts";
import type { Row, Section } from "./table.ts";
import { type Contender, takeTurns } from "./turns.ts";

/** How long one stand-in may take to make, in seconds. */
const PATIENCE = 120;

/**
 * Compares a start on this Deno with a start on another one, and with Perl.
 *
 * @param other the executable of the other Deno
 * @throws {UsageError} if that is no Deno
 * @throws {TemporaryError} if a stand-in cannot be made, or does not do what it has
 * to
 */
export async function measureRuntimes(
  bench: Bench,
  other: string,
): Promise<Section> {
  const version = await versionOf(other);
  if (findInstalled("gcc") === undefined) {
    throw new TemporaryError("--deno: gcc is not installed");
  }
  await Deno.mkdir(baseOf(bench), { mode: 0o700 });
  const config = await writeConfig(bench, "runtimes", {
    baseDir: baseOf(bench) as Config["baseDir"],
    timeouts: { delay: "1h" },
    deferral: { at: "banner" },
  });
  const contender = async (key: string, deno: string): Promise<Contender> => {
    bench.say(`a stand-in of ${deno}`);
    const program = await makeStandIn(bench, key, deno, config);
    return { key, argv: [program, "true"], reply: /^421 4\.7\.1 / };
  };
  const contenders: Contender[] = [
    await contender("own", Deno.execPath()),
    await contender("other", other),
  ];
  if (findInstalled("perl") !== undefined) contenders.push(PERL);
  const { rounds, results } = await takeTurns(bench, "starts", contenders);
  const row = (key: string, text: string): Row => ({
    key,
    text,
    values: results.has(key) ? { ...results.get(key)! } : undefined,
    absent: "perl is not installed",
  });
  return {
    key: "runtime",
    title: `ONE CONNECTION, FROM SOURCE (median of ${rounds} rounds)`,
    columns: COSTS,
    rows: [
      row("own", `at "banner", on Deno ${Deno.version.deno}`),
      row("other", `at "banner", on Deno ${version}`),
      row(PERL.key, PERL.text),
    ],
  };
}

/** @throws {UsageError} if the executable is no Deno */
async function versionOf(deno: string): Promise<string> {
  try {
    const { stdout } = await new Deno.Command(deno, {
      args: ["eval", "--no-config", "console.log(Deno.version.deno)"],
      stdin: "null",
      stderr: "null",
    }).output();
    const text = new TextDecoder().decode(stdout).trim();
    if (/^\d+\.\d+\.\d+\S*$/.test(text)) return text;
  } catch {
    // It does not exist, or cannot be executed.
  }
  throw new UsageError(`--deno: ${deno}: expected the deno of a version`);
}

/** @returns the path of the stand-in */
async function makeStandIn(
  bench: Bench,
  key: string,
  deno: string,
  config: string,
): Promise<string> {
  bench.signal.throwIfAborted();
  const directory = join(bench.scratch, key);
  await Deno.mkdir(directory);
  const program = join(directory, "greylist");
  const child = new Process({
    argv: await makerCommand(deno, directory, config, program),
    env: {
      ...Deno.env.toObject(),
      [STAND_IN_VARIABLE]: "1",
      TMPDIR: bench.scratch,
    },
    errors: logOf(bench),
  });
  const { code } = await child.ended(PATIENCE);
  bench.signal.throwIfAborted();
  if (code === 0) return program;
  const said = (await Deno.readTextFile(logOf(bench))).trimEnd();
  throw new TemporaryError(`${deno}: exit ${code}: ${said}`);
}
