/**
 * `deno task replay`: plays two weeks of mail against `greylist serve` under a
 * clock that is moved, and counts which senders wait and which are stopped. It does
 * so for each way in which a site can choose the clients that wait.
 *
 * @module
 */

import { join } from "@std/path";
import { EXIT, parseOptions, UsageError } from "../commands/command.ts";
import type { Config } from "../config.ts";
import { duration, share } from "../report/format.ts";
import { sleep } from "../system/sleep.ts";
import { compileConfig, serveSection } from "./bench/binaries.ts";
import type { Bench } from "./bench/plan.ts";
import { killAll } from "./bench/process.ts";
import { runMeasurement } from "./bench/run.ts";
import { startServe, stopServers } from "./bench/servers.ts";
import { withTable } from "./bench/table.ts";
import { type Attempt, restamp } from "./replay/log.ts";
import { figuresOf, KINDS, play } from "./replay/senders.ts";
import { LET_IN, Site } from "./replay/site.ts";
import { outputError } from "./output.ts";
import { ROOT } from "./std.ts";

const HELP = `NAME
  deno task replay - which senders wait and which are stopped, over two weeks

SYNOPSIS
  deno task replay [--logs=DIR] [--write]

DESCRIPTION
  Plays the mail of two weeks against "greylist serve": a sender with 40
  networks of four hosts that tries again as Postfix does, a sender with 1,792
  networks that tries again as Exchange Online does and gives up after a day, a
  single server that tries again as qmail does, spammers that never return, and
  spammers that return once. The clock is moved: what lies in the base directory
  is made older by as much as two attempts are apart. Every client connects from
  an address of 127.0.0.0/8.

  The same mail is played with whole addresses, with networks (/24), with two
  pools, one for each sender that has several networks, and with "only", if only
  clients without a name have to wait. The table says of each kind of sender how
  much of its mail was let in at the first attempt, how much later and after how
  long, and how much never.

OPTIONS
  --logs=DIR  Keep the logs in DIR, one file for each way, stamped with the
              times of the play: "greylist report" reads them.
  --write     Put the table into lib/manual/replay.md as well.
`;

/** How many days are played. */
const DAYS = 14;

/** The page that has the table. */
const PAGE = new URL("lib/manual/replay.md", ROOT);

/** The variable that marks clients without a name. */
const NAMELESS = "NAMELESS";

/** The ways to choose the clients that wait. */
const WAYS: Readonly<Record<string, Partial<Config>>> = {
  "addresses": { match: { ipv4: 32 } },
  "/24": {},
  "pool": {
    pools: [
      { name: "pool", networks: ["127.1.0.0/16"] },
      {
        name: "day",
        networks: ["127.3.0.0/16", "127.4.0.0/14", "127.8.0.0/15"],
      },
    ],
  },
  "only": { only: { env: [NAMELESS] } },
};

/** Marks the clients without a name, so that no name server has to be asked. */
const RULES = KINDS.flatMap(({ named, octet, networks }) =>
  named ? [] : [{
    networks: [`127.${octet}.0.0/${networks === "new" ? 12 : 16}`],
    env: { [NAMELESS]: "" },
  }]
);

/** Plays the mail with one configuration; returns the rows of the table. */
async function playOne(
  way: string,
  config: Partial<Config>,
  bench: Pick<Bench, "scratch" | "signal">,
  logs: string | undefined,
): Promise<string[]> {
  const { scratch, signal } = bench;
  const name = way.replaceAll("/", "");
  const base = join(scratch, `base ${name}`);
  const log = join(scratch, `${name}.log`);
  await Deno.mkdir(base, { mode: 0o700 });
  await Deno.writeTextFile(join(scratch, "me"), "mx.example\n");
  console.error(`greylist replay: ${way}: compiling`);
  const binary = await compileConfig(bench, name, {
    baseDir: base as Config["baseDir"],
    controlDir: scratch as Config["controlDir"],
    log: { target: log as Config["baseDir"] },
    prune: { every: 0 },
    // A busy machine may be slower than the default, and onError would decide.
    storeTimeout: "1m",
    serve: { ...serveSection(), rules: RULES },
    ...config,
  });
  const server = await startServe(bench, binary, {}, [
    "printf",
    `${LET_IN}\r\n`,
  ], log);
  try {
    console.error(`greylist replay: ${way}: playing ${DAYS} days`);
    const site = new Site(base, server.port);
    const attempts: Attempt[] = [];
    const mails = await play(KINDS, DAYS, async (address, time) => {
      // Lets the event loop deliver the user's signals.
      await sleep(0);
      signal.throwIfAborted();
      attempts.push({ began: Date.now(), time });
      return site.tryOnce(address, time);
    });
    await stopServers([server]);
    if (logs !== undefined) {
      const text = restamp(await Deno.readTextFile(log), attempts);
      await Deno.writeTextFile(join(logs, `${name}.log`), text);
    }
    return KINDS.map((kind) => {
      const { mails: all, atOnce, delayed, stopped, delays } = figuresOf(
        mails,
        kind,
      );
      const quantile = (part: number) =>
        duration(delays[Math.ceil(part * delays.length) - 1]);
      return [
        kind.name.padEnd(27),
        way.padEnd(10),
        String(all).padStart(5),
        ...[atOnce, delayed, stopped].map((n) => share(n, all).padStart(9)),
        quantile(0.5).padStart(13),
        quantile(1).padStart(13),
      ].join("");
    });
  } finally {
    await stopServers([server]);
  }
}

/** Plays all ways; returns the lines of the table. */
async function replay(
  signal: AbortSignal,
  logs: string | undefined,
): Promise<string[]> {
  const scratch = await Deno.makeTempDir({ prefix: "greylist-replay-" });
  try {
    const rows: string[][] = [];
    for (const [way, config] of Object.entries(WAYS)) {
      rows.push(await playOne(way, config, { scratch, signal }, logs));
    }
    return [
      "".padEnd(37) + "mails" + "  at once    later    never" +
      "  half within      longest",
      // By kind of sender, so that its rows of all ways follow one another.
      ...KINDS.flatMap((_, i) => rows.map((lines) => lines[i])),
    ];
  } finally {
    killAll();
    await Deno.remove(scratch, { recursive: true });
  }
}

/**
 * Makes the directory for the logs, and has it take a file before the long play.
 *
 * @throws {UsageError | TemporaryError} if it does not
 */
async function checkLogs(logs: string): Promise<void> {
  try {
    await Deno.mkdir(logs, { recursive: true });
    await Deno.remove(await Deno.makeTempFile({ dir: logs }));
  } catch (error) {
    throw outputError(logs, error, "--logs");
  }
}

async function main(args: string[], signal: AbortSignal): Promise<number> {
  const { options, operands } = parseOptions(args, {
    boolean: ["write", "help"],
    string: ["logs"],
  });
  if (operands.length > 0) {
    throw new UsageError(`${operands[0]}: expected an option, if anything`);
  }
  if (options.help) {
    console.log(HELP.trimEnd());
    return EXIT.done;
  }
  const logs = options.logs as string | undefined;
  if (logs !== undefined) await checkLogs(logs);
  const table = (await replay(signal, logs)).join("\n");
  console.log(table);
  if (options.write) {
    const page = await Deno.readTextFile(PAGE);
    await Deno.writeTextFile(PAGE, withTable(page, "replay", table));
  }
  return EXIT.done;
}

if (import.meta.main) await runMeasurement("replay", main);
