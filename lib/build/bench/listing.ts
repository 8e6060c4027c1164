/**
 * What a large database costs an administrator, beside find(1).
 *
 * @module
 */

import { TemporaryError } from "../../commands/command.ts";
import { type Bench, logOf } from "./plan.ts";
import { watchPeak } from "./proc.ts";
import { type Ended, Process } from "./process.ts";
import { placeOf, type Sites } from "./sites.ts";
import { compare } from "./statistics.ts";
import type { Row, Section } from "./table.ts";

/** How long one program may take, in seconds. */
const PATIENCE = 120;

const TEXTS = {
  findPrintf: "find -printf '%f %s %T@\\n'",
  info: "greylist info --json",
  findDelete: "find -delete",
  prune: "greylist prune",
} as const;

type Key = keyof typeof TEXTS;

/** One run to its end. */
interface Run extends Ended {
  /** The most that was resident, in bytes. */
  readonly memory: number;
}

/**
 * Measures `info` and `prune` on the database that is in use.
 *
 * @param binary looks at `dir`
 * @param count how many entries there are, all of them forgotten
 */
export async function measureListing(
  bench: Bench,
  binary: string,
  count: number,
  dir: string,
  sites: Sites,
): Promise<Section> {
  const { say, plan } = bench;
  const runs: Record<Key, Run[]> = {
    findPrintf: [],
    info: [],
    findDelete: [],
    prune: [],
  };
  const run = async (key: Key, argv: readonly string[]) => {
    say(TEXTS[key]);
    runs[key].push(await runToEnd(bench, argv));
  };
  for (let round = 0; round < plan.listings; round++) {
    await run("findPrintf", ["find", `${dir}/`, "-printf", "%f %s %T@\\n"]);
    await run("info", [binary, "info", "--json"]);
  }
  const other = await sites.database(count);
  const own = other && await besides(other, dir, count, sites);
  if (other !== undefined && own !== undefined) {
    sites.use(await sites.make(own, 0));
    await run("prune", [binary, "prune"]);
    await expectEmpty(own, "prune");
    await run("findDelete", ["find", `${other}/`, "-type", "f", "-delete"]);
    await expectEmpty(other, "find");
  }
  const place = placeOf(dir);
  const there = placeOf(own ?? dir);
  const elsewhere = there === place ? "" : there;
  return section(count, place, [
    row("findPrintf", runs.findPrintf, runs.findPrintf),
    row("info", runs.info, runs.findPrintf),
    row("findDelete", runs.findDelete, runs.findDelete, elsewhere),
    row("prune", runs.prune, runs.findDelete, elsewhere),
  ]);
}

/**
 * Another database on the same file system: each of the two programs removes one.
 *
 * @param dir one that may be it
 * @returns undefined if there is none, and none could be made
 */
async function besides(
  other: string,
  dir: string,
  count: number,
  sites: Sites,
): Promise<string | undefined> {
  return placeOf(dir) === placeOf(other) ? dir : await sites.database(count);
}

/** The rows of a database that could not be made. */
export function absentListing(count: number): Section {
  const keys = Object.keys(TEXTS) as Key[];
  return section(count, "", keys.map((key) => row(key, [], [])));
}

function section(count: number, place: string, rows: Row[]): Section {
  return {
    key: "listing",
    title: `ALL OF ${count.toLocaleString("en-US")} ENTRIES${place}`,
    columns: [
      { key: "cpu", heading: "CPU s", digits: 2 },
      { key: "cpuRatio", heading: "ratio", digits: 2 },
      { key: "wall", heading: "wall s", digits: 2 },
      { key: "wallRatio", heading: "ratio", digits: 2 },
      { key: "memory", heading: "peak MB", digits: 0 },
    ],
    rows,
  };
}

function row(key: Key, own: Run[], other: Run[], place = ""): Row {
  const text = TEXTS[key] + place;
  if (own.length === 0 || other.length === 0) {
    return { key, text, absent: "the entries took too long to make" };
  }
  const { cpu, wall, cpuRatio, wallRatio } = compare(own, other);
  const memory = Math.max(...own.map(({ memory }) => memory)) / 1e6;
  const values = {
    cpu: cpu / 1000,
    cpuRatio,
    wall: wall / 1000,
    wallRatio,
    memory,
  };
  return { key, text, values };
}

async function runToEnd(
  bench: Bench,
  argv: readonly string[],
): Promise<Run> {
  const process = new Process({ argv, errors: logOf(bench) });
  const ending = process.ended(PATIENCE);
  const memory = await watchPeak(process.pid, ending);
  const ended = await ending;
  bench.signal.throwIfAborted();
  if (ended.code === 0) return { ...ended, memory };
  throw new TemporaryError(`${argv.join(" ")}: exit ${ended.code}`);
}

/** Makes sure that the forgotten entries, all but one, have gone. */
async function expectEmpty(dir: string, by: string): Promise<void> {
  let left = 0;
  for await (const { name } of Deno.readDir(dir)) {
    if (!name.startsWith(".")) left++;
  }
  if (left > 1) throw new TemporaryError(`${by} left ${left} entries`);
}
