/**
 * `greylist info`: the database, an entry a line.
 *
 * @module
 */

import { contains, type Network, parseNetwork } from "../address.ts";
import {
  type Listed,
  Listing,
  networkText,
  type State,
  stateOf,
} from "../listing.ts";
import { quote } from "../logline.ts";
import type { Timeouts } from "../policy.ts";
import { parseEntryName } from "../store.ts";
import { type Command, Output, parseOptions, UsageError } from "./command.ts";
import { Progress } from "./progress.ts";
import { KEYS, Sorter } from "./sorter.ts";
import { count, period, relative, timestamp } from "./words.ts";

const STATES: readonly State[] = ["grey", "known", "expired"];

/** The command; see {@linkcode Command}. */
export const command: Command = {
  help: `NAME
  greylist info - list the database

SYNOPSIS
  greylist info [--json | --csv] [--state=STATE] [--network=CIDR]
                [--sort=KEY] [--limit=N]

DESCRIPTION
  Lists the entries of baseDir: network, state, how often it was accepted,
  when it was first and last seen, and what comes next: from when or until
  when a retry is let in, or when the entry is forgotten. A last line counts
  them; names in baseDir that are no entries are counted as "not ours".

  "First seen" is when the file was made; "-" where the file system does not
  keep that.

OPTIONS
  --json          one JSON object a line, times as seconds since 1970, null
                  where not known: network, state, accepted, first, last,
                  letInFrom and letInUntil (grey only), forgottenAt; the
                  summary goes to stderr
  --csv           the same with commas, and a heading
  --state=STATE   only these: grey (waiting), known (accepted), expired (what
                  prune will remove)
  --network=CIDR  only networks within this one
  --sort=KEY      last or first (latest at the top), accepted (most at the
                  top), address; without it the order is the directory's
  --limit=N       only so many
`,
  run(args, { config }) {
    const { options, operands } = parseOptions(args, {
      string: ["state", "network", "sort", "limit"],
      boolean: ["json", "csv"],
    });
    if (operands.length > 0) {
      throw new UsageError(`${operands[0]}: expected options only`);
    }
    if (options.json && options.csv) {
      throw new UsageError("--csv: cannot be combined with --json");
    }
    const state = oneOf("state", options.state, STATES);
    const key = oneOf("sort", options.sort, KEYS);
    const within = cidr(options.network);
    const limit = atMost(options.limit);
    const form = options.json
      ? JSON_FORM
      : options.csv
      ? CSV_FORM
      : tableForm();

    const now = Date.now() / 1000;
    const { timeouts } = config;
    const listing = new Listing(
      config.baseDir,
      within && ((name) => isIn(name, within)),
    );
    let entry: Listed | undefined;
    const progress = new Progress(undefined, "entries");
    const counts: Record<State, number> = { grey: 0, known: 0, expired: 0 };
    const output = new Output();
    if (form.heading) output.line(form.heading);
    let shown = 0;
    const show = (entry: Listed, is: State) => {
      // Counting goes on, so that the summary is that of the database.
      if (++shown > limit) return;
      output.line(form.line(entry, is, timeouts, now));
    };
    const sorter = key && new Sorter(key);
    while ((entry = listing.next()) !== undefined) {
      progress.tick(1);
      const is = stateOf(entry, now, timeouts);
      counts[is]++;
      if (state !== undefined && is !== state) continue;
      if (sorter === undefined) show(entry, is);
      else sorter.add(entry);
    }
    for (const entry of sorter?.entries() ?? []) {
      if (shown === limit) break;
      show(entry, stateOf(entry, now, timeouts));
    }
    progress.done();
    listing.close();
    const summary = summarize(counts, listing.foreign);
    if (form.heading === undefined || options.csv) {
      output.flush();
      console.error(summary);
    } else {
      output.line(summary);
      output.flush();
    }
    return 0;
  },
};

function oneOf<T extends string>(
  name: string,
  value: string | boolean | undefined,
  choices: readonly T[],
): T | undefined {
  if (value === undefined || choices.includes(value as T)) return value as T;
  throw new UsageError(
    `--${name}=${value}: expected one of ${choices.join(", ")}`,
  );
}

function cidr(value: string | boolean | undefined): Network | undefined {
  if (value === undefined) return undefined;
  const network = parseNetwork(String(value));
  if (network !== undefined) return network;
  throw new UsageError(
    `--network=${value}: expected an address or a network such as ` +
      "192.0.2.0/24, with no host bits set",
  );
}

function atMost(value: string | boolean | undefined): number {
  if (value === undefined) return Infinity;
  if (/^[1-9][0-9]{0,8}$/.test(String(value))) return Number(value);
  throw new UsageError(`--limit=${value}: expected a whole number from 1`);
}

function isIn(name: string, outer: Network): boolean {
  const network = parseEntryName(name);
  return network !== undefined && network.prefix >= outer.prefix &&
    contains(outer, network);
}

/** What is shown of an entry. Times are seconds since 1970. */
interface Row {
  readonly network: string;
  readonly state: State;
  readonly accepted: number;
  readonly first: number | null;
  readonly last: number;
  readonly letInFrom: number | null;
  readonly letInUntil: number | null;
  readonly forgottenAt: number;
}

function describe(entry: Listed, state: State, timeouts: Timeouts): Row {
  const { accepted, first, mtime } = entry;
  const { delay, retryWindow, expireAfter } = timeouts;
  const last = Math.floor(mtime);
  const grey = state === "grey";
  return {
    network: networkText(entry),
    state,
    accepted,
    first: first === undefined ? null : Math.floor(first),
    last,
    letInFrom: grey ? last + delay : null,
    letInUntil: grey ? last + retryWindow : null,
    forgottenAt: last + (accepted > 0 ? expireAfter : retryWindow),
  };
}

/** How entries are written. */
interface Form {
  readonly heading?: string;
  line(entry: Listed, state: State, timeouts: Timeouts, now: number): string;
}

const JSON_FORM: Form = {
  // What JSON.stringify makes of the row, in a third of the time: a million are
  // written under an interpreter. Nothing in it needs to be escaped.
  line(entry, state, { delay, retryWindow, expireAfter }) {
    const { accepted, first } = entry;
    const last = Math.floor(entry.mtime);
    const when = state === "grey"
      ? `${last + delay},"letInUntil":${last + retryWindow}`
      : 'null,"letInUntil":null';
    return `{"network":"${networkText(entry)}","state":"${state}",` +
      `"accepted":${accepted},` +
      `"first":${first === undefined ? null : Math.floor(first)},` +
      `"last":${last},"letInFrom":${when},` +
      `"forgottenAt":${last + (accepted > 0 ? expireAfter : retryWindow)}}`;
  },
};

const CSV_FORM: Form = {
  heading: "network,state,accepted,first,last,letInFrom,letInUntil,forgottenAt",
  line: (entry, state, timeouts) =>
    Object.values(describe(entry, state, timeouts))
      .map((value) => value ?? "").join(","),
};

const COLOURS: Record<State, string> = {
  grey: "33",
  known: "32",
  expired: "2",
};

function tableForm(): Form {
  // NO_COLOR counts when it is set and not empty (no-color.org).
  const colour = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
  // The first is wide enough for an IPv6 network of 64 bits.
  const columns = (...cells: string[]) => {
    const [network, state, accepted, first, last, next] = cells;
    return `${network.padEnd(23)}  ${state} ${accepted.padStart(8)}  ` +
      `${first.padEnd(10)}  ${last.padEnd(26)}  ${next}`;
  };
  return {
    heading: columns(
      "NETWORK",
      "STATE  ",
      "ACCEPTED",
      "FIRST SEEN",
      "LAST SEEN (AGO)",
      "NEXT",
    ),
    line(entry, is, timeouts, now) {
      const row = describe(entry, is, timeouts);
      const state = row.state.padEnd(7);
      return columns(
        row.network,
        colour ? `\x1b[${COLOURS[row.state]}m${state}\x1b[0m` : state,
        String(row.accepted),
        row.first === null ? "-" : timestamp(row.first).slice(0, 10),
        `${timestamp(row.last).slice(0, 16)} (${since(row.last, now)})`,
        next(row, now),
      );
    },
  };
}

/** How long ago, or a minus and how far ahead. */
function since(time: number, now: number): string {
  return time > now ? `-${period(time - now)}` : period(now - time);
}

function next(row: Row, now: number): string {
  const { state, letInFrom, letInUntil, forgottenAt } = row;
  if (state === "expired") return `expired ${relative(forgottenAt, now)}`;
  if (state === "known") return `forgotten ${relative(forgottenAt, now)}`;
  return now < letInFrom!
    ? `let in after ${period(Math.ceil(letInFrom! - now))}`
    : `let in for ${period(letInUntil! - now)}`;
}

function summarize(
  counts: Record<State, number>,
  foreign: Listing["foreign"],
): string {
  const all = counts.grey + counts.known + counts.expired;
  const parts = STATES.map((state) => `${counts[state]} ${state}`);
  const { example } = foreign;
  const notOurs = `${foreign.count} not ours` +
    (example === undefined ? "" : ` (such as ${quote(example)})`);
  return `${count(all, "entry", "entries")}: ${parts.join(", ")}; ${notOurs}`;
}
