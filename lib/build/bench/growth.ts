/**
 * How the cost of a connection grows with the database and with the whitelist,
 * and what the largest database costs an administrator.
 *
 * @module
 */

import { amount } from "../../report/format.ts";
import type { Binaries } from "./binaries.ts";
import { absentListing, measureListing } from "./listing.ts";
import { type Bench, expectQuiet, logOf } from "./plan.ts";
import { CLIENT, placeOf, Sites } from "./sites.ts";
import { COSTS } from "./starts.ts";
import type { Row, Section } from "./table.ts";
import { takeTurns } from "./turns.ts";

/** One row: its size, and the site that the binary works with. */
interface Case {
  readonly count: number;
  readonly text: string;
  /** Undefined if the site could not be made in time. */
  readonly site: string | undefined;
}

/** Measures how the pass grows, then what a large database costs. */
export async function measureGrowth(
  bench: Bench,
  binaries: Binaries,
): Promise<Section[]> {
  const sites = new Sites(bench);
  try {
    const { entries, lines } = bench.plan;
    const databases: Case[] = [];
    let largest: string | undefined;
    for (const count of entries) {
      largest = await sites.database(count);
      const site = largest && await sites.make(largest, 0);
      const place = placeOf(largest ?? "");
      databases.push({ count, text: `${amount(count)} entries${place}`, site });
    }
    const whitelists: Case[] = [];
    for (const count of lines) {
      const text = `${amount(count)} whitelist lines that do not match`;
      // A database for each, since the index of its whitelist is kept there.
      const site = await sites.make((await sites.database(0))!, count);
      whitelists.push({ count, text, site });
    }
    const pass = { bench, binary: binaries.growth, sites };
    const sections = [
      await grow(pass, "entries", databases),
      await grow(pass, "lines", whitelists),
    ];
    await expectQuiet(logOf(bench));
    const count = entries.at(-1)!;
    if (largest === undefined) return [...sections, absentListing(count)];
    sites.use(databases.at(-1)!.site!);
    return [
      ...sections,
      await measureListing(bench, binaries.growth, count, largest, sites),
    ];
  } finally {
    await sites.remove();
  }
}

/** Compares the pass in each case with that in the first one. */
async function grow(
  { bench, binary, sites }: { bench: Bench; binary: string; sites: Sites },
  key: string,
  cases: readonly Case[],
): Promise<Section> {
  const { rounds, results } = await takeTurns(
    bench,
    `pass with many ${key}`,
    cases.flatMap(({ count, site }) =>
      site === undefined ? [] : [{
        key: String(count),
        argv: [binary, "true"],
        reply: /^$/,
        // With a host name, because rules for names are not tried without one.
        env: { TCPREMOTEHOST: "client.example.net" },
        client: CLIENT,
        prepare: () => sites.use(site),
      }]
    ),
  );
  return {
    key,
    title: `PASS, GROWING (median of ${rounds} rounds)`,
    columns: [...COSTS, { key: "more", heading: "more ms", digits: 2 }],
    rows: cases.map(({ count, text }): Row => {
      const result = results.get(String(count));
      return {
        key: String(count),
        text,
        values: result && { ...result },
        absent: "took too long to make",
      };
    }),
  };
}
