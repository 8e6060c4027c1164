/**
 * `greylist info`: lists the database, an entry a line.
 *
 * @module
 */

import { contains, type Network, parseNetwork } from "../address.ts";
import {
  Listing,
  networkText,
  type State,
  statesAt,
} from "../store/listing.ts";
import { quote } from "../log/line.ts";
import type { Timeouts } from "../store/policy.ts";
import { parseEntryName } from "../store/store.ts";
import { type Command, Output, parseOptions, UsageError } from "./command.ts";
import { Progress } from "./progress.ts";
import { EntrySorter, KEYS } from "./entry_sorter.ts";
import { count, period, relative, timestamp } from "./format.ts";

const STATES: readonly State[] = ["grey", "known", "expired"];

/** How many entries are listed between two looks at the progress bar. */
const BLOCK = 1000;

/** The command; see {@linkcode Command}. */
export const command: Command = {
  help: `NAME
  greylist info - list the database

SYNOPSIS
  greylist info [--json | --csv] [--state=STATE] [--network=CIDR]
                [--sort=KEY] [--limit=N]

DESCRIPTION
  Lists the entries of baseDir: the network, its state, how often it was
  accepted, when it was first and last seen, and what comes next: from when or
  until when a retry is let in, or when the entry is forgotten. The last line
  counts the entries; other names in baseDir are counted as "not ours".

  "First seen" is the time at which the file was created, or "-" if the file
  system does not keep that time.

OPTIONS
  --json          one JSON object a line, times as seconds since 1970, null
                  if not known: network, state, accepted, first, last,
                  letInFrom and letInUntil (grey only), forgottenAt; the
                  summary goes to stderr
  --csv           the same with commas, and a heading
  --state=STATE   only these: grey (waiting), known (accepted), expired (what
                  prune will remove)
  --network=CIDR  only networks within this one
  --sort=KEY      last or first (latest at the top), accepted (most at the
                  top), address; without it the order is the directory's
  --limit=N       at most N entries
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
    const now = Date.now() / 1000;
    const form = formOf(options, config.timeouts, now);
    const stateOf = statesAt(now, config.timeouts);
    const listing = new Listing(
      config.baseDir,
      within && ((name) => isIn(name, within)),
    );
    const progress = new Progress(undefined, "entries");
    const counts: Record<State, number> = { grey: 0, known: 0, expired: 0 };
    const output = new Output();
    if (form.heading) output.line(form.heading);
    let seen = 0;
    let shown = 0;
    const sorter = key && new EntrySorter(key);
    // The limit does not end the visit, because the summary counts all entries.
    listing.visit((name, accepted, mtime, first) => {
      if (++seen % BLOCK === 0) progress.tick(BLOCK);
      const is = stateOf(accepted, mtime);
      counts[is]++;
      if (state !== undefined && is !== state) return false;
      if (sorter !== undefined) sorter.add({ name, accepted, mtime, first });
      else if (++shown <= limit) {
        output.line(form.line(name, is, accepted, mtime, first));
      }
      return false;
    });
    for (const { name, accepted, mtime, first } of sorter?.entries() ?? []) {
      if (++shown > limit) break;
      const is = stateOf(accepted, mtime);
      output.line(form.line(name, is, accepted, mtime, first));
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

/** The columns of an entry. Times are seconds since 1970. */
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

/** A format of the output. */
interface Form {
  readonly heading?: string;
  /** One entry; times are seconds since 1970. */
  line(
    name: string,
    state: State,
    accepted: number,
    mtime: number,
    first: number | undefined,
  ): string;
}

function formOf(
  { json, csv }: { readonly json?: unknown; readonly csv?: unknown },
  timeouts: Timeouts,
  now: number,
): Form {
  if (json) return jsonForm(timeouts);
  const describe = rowsWith(timeouts);
  return csv ? csvForm(describe) : tableForm(describe, now);
}

/**
 * Makes the text that JSON.stringify gives for a row, in less than half the time,
 * which matters with a million entries. No value of a row needs an escape.
 */
function jsonForm({ delay, retryWindow, expireAfter }: Timeouts): Form {
  const is: Record<State, string> = {
    grey: '","state":"grey","accepted":',
    known: '","state":"known","accepted":',
    expired: '","state":"expired","accepted":',
  };
  const notGrey = ',"letInFrom":null,"letInUntil":null,"forgottenAt":';
  return {
    line(name, state, accepted, mtime, first) {
      const last = Math.floor(mtime);
      const begin = '{"network":"' + networkText(name) + is[state] + accepted +
        ',"first":' + (first === undefined ? null : Math.floor(first)) +
        ',"last":' + last;
      const forgottenAt = last + (accepted > 0 ? expireAfter : retryWindow);
      if (state !== "grey") return begin + notGrey + forgottenAt + "}";
      const from = last + delay, until = last + retryWindow;
      return begin + ',"letInFrom":' + from + ',"letInUntil":' + until +
        ',"forgottenAt":' + forgottenAt + "}";
    },
  };
}

type Describe = (...entry: Parameters<Form["line"]>) => Row;

function rowsWith({ delay, retryWindow, expireAfter }: Timeouts): Describe {
  return (name, state, accepted, mtime, first) => {
    const last = Math.floor(mtime);
    const grey = state === "grey";
    return {
      network: networkText(name),
      state,
      accepted,
      first: first === undefined ? null : Math.floor(first),
      last,
      letInFrom: grey ? last + delay : null,
      letInUntil: grey ? last + retryWindow : null,
      forgottenAt: last + (accepted > 0 ? expireAfter : retryWindow),
    };
  };
}

function csvForm(describe: Describe): Form {
  return {
    heading:
      "network,state,accepted,first,last,letInFrom,letInUntil,forgottenAt",
    line: (...entry) =>
      Object.values(describe(...entry)).map((value) => value ?? "").join(","),
  };
}

const COLOURS: Record<State, string> = {
  grey: "33",
  known: "32",
  expired: "2",
};

function tableForm(describe: Describe, now: number): Form {
  // NO_COLOR counts when it is set and not empty (no-color.org).
  const colour = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
  // The first column is wide enough for an IPv6 network of 64 bits.
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
    line(...entry) {
      const row = describe(...entry);
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

/** The age of a time; for a time in the future, a minus sign and how far ahead. */
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
