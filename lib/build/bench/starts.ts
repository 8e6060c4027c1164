/**
 * What one connection costs.
 *
 * @module
 */

import { findInstalled } from "../find_installed.ts";
import type { Binaries } from "./binaries.ts";
import { baseOf, copiesOf } from "./binaries.ts";
import { type Bench, expectQuiet, logOf } from "./plan.ts";
import { Process } from "./process.ts";
import type { Row, Section } from "./table.ts";
import { type Contender, takeTurns } from "./turns.ts";

/** What rblsmtpd is to say; an empty text would let the client in. */
export const RBLSMTPD = "Greylisted, please try again in 60 seconds";

/** A client whose entry says that it was accepted before. */
const KNOWN = "192.0.2.1";

/** One row, and what it takes. */
export interface Candidate extends Contender {
  readonly text: string;
  /** A program that it cannot do without. */
  readonly needs?: string;
  /** Another program than greylist; it is left out if it fails. */
  readonly foreign?: true;
}

/** Another language's start, with what a wrapper needs to log. */
export const PERL: Candidate = {
  key: "perl",
  text: "perl -MSys::Syslog -e 'exec @ARGV' true",
  argv: ["perl", "-MSys::Syslog", "-e", "exec @ARGV", "true"],
  reply: /^$/,
  needs: "perl",
  foreign: true,
};

/** Compares all ways that a connection can take with an empty program. */
export async function measureStarts(
  bench: Bench,
  binaries: Binaries,
): Promise<Section> {
  await Deno.writeTextFile(`${baseOf(bench)}/192.0.2.0_24`, "x");
  const copies = await copiesOf(bench, [
    binaries.floor,
    binaries.rcpt,
    binaries.banner,
    binaries.rblsmtpd,
  ]);
  const [floor, rcpt, banner, rblsmtpd] = copies;
  const candidates: Candidate[] = [
    {
      key: "floor",
      text: "an empty program, compiled alike: the floor",
      argv: [binaries.floor],
      copies: floor,
      reply: /^$/,
    },
    {
      key: "pass",
      text: "greylist true: known client, let in",
      argv: [binaries.rcpt, "true"],
      copies: rcpt,
      reply: /^$/,
      client: KNOWN,
    },
    {
      key: "banner",
      text: 'greylist, at "banner": new client, deferred',
      argv: [binaries.banner, "true"],
      copies: banner,
      reply: /^421 4\.7\.1 /,
    },
    {
      key: "rcpt",
      text: 'greylist, at "rcpt": new client, deferred',
      argv: [binaries.rcpt, "true"],
      copies: rcpt,
      reply: /^220 [^]*\n451 4\.7\.1 [^]*\n221 /,
    },
    {
      key: "rblsmtpd",
      text: 'greylist, at "rblsmtpd": new client, deferred',
      argv: [binaries.rblsmtpd, "true"],
      copies: rblsmtpd,
      reply: /^220 [^]*\n451 /,
      needs: "rblsmtpd",
    },
    PERL,
    {
      key: "rblsmtpdAlone",
      text: "rblsmtpd true: RBLSMTPD is set",
      argv: ["rblsmtpd", "true"],
      env: { RBLSMTPD },
      reply: /^220 [^]*\n451 /,
      needs: "rblsmtpd",
    },
    { key: "true", text: "true", argv: ["true"], reply: /^$/ },
  ];
  const absent = new Map<string, string>();
  for (const { key, needs, argv, foreign } of candidates) {
    if (needs !== undefined && findInstalled(needs) === undefined) {
      absent.set(key, `${needs} is not installed`);
    } else if (foreign && !await works(bench, argv)) {
      absent.set(key, `${argv.slice(0, 2).join(" ")} fails here`);
    }
  }
  const { rounds, results } = await takeTurns(
    bench,
    "starts",
    candidates.filter(({ key }) => !absent.has(key)),
  );
  await Promise.all(copies.flat().map((path) => Deno.remove(path)));
  await expectQuiet(logOf(bench));
  return {
    key: "start",
    title: `ONE CONNECTION (median of ${rounds} rounds)`,
    columns: COSTS,
    rows: candidates.map(({ key, text }): Row => ({
      key,
      text,
      values: results.has(key) ? { ...results.get(key)! } : undefined,
      absent: absent.get(key),
    })),
  };
}

/** The columns of a comparison. */
export const COSTS: Section["columns"] = [
  { key: "cpu", heading: "CPU ms", digits: 2 },
  { key: "cpuRatio", heading: "ratio", digits: 2 },
  { key: "wall", heading: "wall ms", digits: 2 },
  { key: "wallRatio", heading: "ratio", digits: 2 },
];

async function works(bench: Bench, argv: readonly string[]): Promise<boolean> {
  const process = new Process({ argv, errors: `${logOf(bench)}.foreign` });
  return (await process.ended(10)).code === 0;
}
