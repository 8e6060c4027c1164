/**
 * `greylist info`: lists the database, an entry a line.
 *
 * @module
 */

import { covers, type Network, parseNetwork } from "../address.ts";
import { Listing, type State, statesAt } from "../store/listing.ts";
import { quote } from "../log/line.ts";
import { counted } from "../report/format.ts";
import { parseEntryName } from "../store/entry_name.ts";
import {
  type Command,
  EXIT,
  Output,
  parseOptions,
  tell,
  UsageError,
} from "./command.ts";
import { Progress } from "./progress.ts";
import { EntrySorter, KEYS } from "./entry_sorter.ts";
import { formOf } from "./entry_forms.ts";

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
  Lists the entries of baseDir: the network or @POOL, its state, how often it
  was accepted, when it was first and last seen, and what comes next: from when
  or until when a retry is let in, or when the entry expires. The last line
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
  --network=CIDR  only networks within this one, and no pools
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
      return output.isClosed;
    });
    for (const { name, accepted, mtime, first } of sorter?.entries() ?? []) {
      if (++shown > limit || output.isClosed) break;
      const is = stateOf(accepted, mtime);
      output.line(form.line(name, is, accepted, mtime, first));
    }
    progress.done();
    listing.close();
    // The visit may have ended early, and then the counts are wrong.
    if (output.isClosed) return EXIT.done;
    const summary = summarize(counts, listing.foreign);
    if (form.heading === undefined || options.csv) {
      output.flush();
      tell(summary);
    } else {
      output.line(summary);
      output.flush();
    }
    return EXIT.done;
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
  return network !== undefined && covers(outer, network);
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
  return `${counted(all, "entry", "entries")}: ${parts.join(", ")}; ${notOurs}`;
}
