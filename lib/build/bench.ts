/**
 * `deno task bench`: measures what a connection costs, in comparison with an empty
 * program and with other programs that do the same.
 *
 * @module
 */

import { EXIT, parseOptions, UsageError } from "../commands/command.ts";
import { write } from "../commands/progress.ts";
import { makeBinaries } from "./bench/binaries.ts";
import { measureCrowd } from "./bench/crowd.ts";
import { measureGrowth } from "./bench/growth.ts";
import { measureMemory } from "./bench/memory.ts";
import { type Bench, FULL, type Plan } from "./bench/plan.ts";
import { killAll } from "./bench/process.ts";
import { runMeasurement } from "./bench/run.ts";
import { measureHang, measureRivals } from "./bench/rivals.ts";
import { measureRuntimes } from "./bench/runtimes.ts";
import { measureServe } from "./bench/serve.ts";
import { measureShared } from "./bench/shared.ts";
import { measureSessions } from "./bench/sessions.ts";
import { measureStarts } from "./bench/starts.ts";
import {
  type Section,
  tableLines,
  tableObject,
  withTable,
} from "./bench/table.ts";
import { ROOT } from "./std.ts";

/** What `--help` shows. */
export const HELP = `NAME
  deno task bench - measure what a connection costs

SYNOPSIS
  deno task bench [--json | --write]
  deno task bench --shared [--json]
  deno task bench --deno=FILE [--json]

DESCRIPTION
  Compiles greylist with throw-away configurations, has it take turns with an
  empty program that was compiled with the same options, and prints one table.
  That takes five to seven minutes on two cores. It needs Linux, and 3 GB of
  room in TMPDIR. Programs that are not installed are left out, and the table
  says so. If TMPDIR takes more than a minute for a million files, they are made
  in /dev/shm, and the table says that too.

  ratio   the median over all rounds of what a program took, divided by what
          the first one took in the same round. Ratios of processor time can
          be compared between machines and between days; times cannot, least
          of all if the machine does other work.
  CPU     processor time, user and system, of the program alone
  PSS     memory of one of many equal processes, with its share of the memory
          that they have in common; "tables" are its page tables
  in 1 GB how many deferred clients fit into 1,000,000,000 bytes
  -d MB   the smallest softlimit -d (RLIMIT_DATA) that is enough to defer

  "greylist serve" takes turns with tcpserver, which starts rblsmtpd with
  RBLSMTPD set for clients that are to be deferred, and the same program as
  serve for those that are let in. Both log each client to a file. If
  "ulimit -n" is below 1208, serve has to start programs one at a time.

  CPU ratio sessions for the same processor time, programs included
  each ...  clients that were never seen: serve makes a file for each, and the
            disk is measured
  p99 ms    how long the slowest of a hundred sessions takes under serve
  client %  how much of one processor the load client takes: near 100, the load
            client is the limit
  resent    packets that had to be sent again, the first one of a connection
            included: none if no client has to wait for the server
  ended     clients that were answered to their QUIT

  session   processor time of "greylist serve", and of a program in C with one
            event loop that makes the same system calls, or of postscreen,
            which answers 450: each client was never seen, and waits for each
            reply
  silence   how long a client hears nothing at most while each call on the base
            directory is delayed by four seconds (strace)

OPTIONS
  --shared
          measure a base directory that several hosts share instead. Three
          hosts in namespaces of this machine have a GlusterFS volume between
          them (replica 3 arbiter 1); serve on one of them has 100 connections
          open, all from networks that were never seen (new), or all from such
          as have to wait (early). Beside it are a program in C that only
          creates files there (the first ratio is to it) and serve of commit
          893633d (the second ratio). It needs root, gcc and Debian's
          glusterfs-server, and takes some two minutes.
  --deno=FILE
          measure a start on another Deno instead, FILE, beside one on this
          Deno and one of Perl. Both run from source, with the permissions and
          V8 flags of a binary. It needs gcc.
  --json  one JSON object in place of the table: "machine" has cpu, cores,
          memory (bytes), kernel, deno; "seconds" is how long it took; "rows"
          has an object for each row, named SECTION.ROW, in which "absent" says
          why there are no numbers:
            start.{floor,pass,banner,rcpt,rblsmtpd,perl,rblsmtpdAlone,true}
              cpu, wall (milliseconds), cpuRatio, wallRatio (to the floor)
            memory.{rcpt,rblsmtpd}
              pss, private, tables, data (megabytes), fit
            sessions.{rcpt,rblsmtpd,rblsmtpdAlone,true}
              at1, at20, at100 (sessions a second)
            serve.{at20,at100,strangers,accepted,dialogue,upload}
              tcpserver, serve (a second), ratio, cpuRatio, p99
              (milliseconds), client (percent)
            session.{epoll,postscreen}
              theirs, serve (microseconds), ratio (of serve to theirs)
            crowd.{serve}
              answered, resent, ended, slowest (milliseconds until it is
              greeted), pss (megabytes)
            hang.{serve}
              clients, slowest (milliseconds until it is answered)
            entries.{0,10000,1000000}, lines.{0,1000,50000}
              as start, and more (milliseconds of CPU more than with none)
            shared.{create,serve,earlier} (with --shared)
              fresh, early (a second), freshRatio, earlyRatio, p99
              (milliseconds until a new client is answered to its QUIT)
            runtime.{own,other,perl} (with --deno)
              as start, the ratios to own
            listing.{findPrintf,info,findDelete,prune}
              cpu, wall (seconds), cpuRatio, wallRatio (to find), memory
              (megabytes, at the most)
  --write print the table, and put it into lib/manual/cost.md in place of the
          old one
  --help  this text
`;

/** The page of the manual that holds the table. */
const PAGE = new URL("lib/manual/cost.md", ROOT);

/** What is measured in place of the usual. */
export interface Instead {
  /** A base directory that several hosts share. */
  readonly shared?: boolean;
  /** The executable of another Deno. */
  readonly deno?: string;
}

/**
 * Measures everything, or something else in its place.
 *
 * @param say called with a line that says what is being done
 * @throws {Error} if a program does not do what it has to
 */
export async function bench(
  plan: Plan,
  say: (what: string) => void,
  signal: AbortSignal,
  { shared = false, deno }: Instead = {},
): Promise<Section[]> {
  const scratch = await Deno.makeTempDir({ prefix: "greylist-bench-" });
  try {
    if (/^\/(dev|proc|sys)\//.test(await Deno.realPath(scratch))) {
      throw new UsageError(
        "TMPDIR: Deno lets no compiled program read below /dev: expected another directory",
      );
    }
    const bench: Bench = { plan, scratch, say, signal };
    if (shared) return [await measureShared(bench)];
    if (deno !== undefined) return [await measureRuntimes(bench, deno)];
    const binaries = await makeBinaries(bench);
    return [
      await measureStarts(bench, binaries),
      await measureMemory(bench, binaries),
      await measureSessions(bench, binaries),
      await measureServe(bench, binaries),
      await measureRivals(bench, binaries),
      await measureCrowd(bench, binaries),
      await measureHang(bench, binaries),
      ...await measureGrowth(bench, binaries),
    ];
  } finally {
    say("removing what was made");
    killAll();
    await Deno.remove(scratch, { recursive: true });
  }
}

/** The machine that the measurements are made on. */
async function machine() {
  const info = await Deno.readTextFile("/proc/cpuinfo");
  return {
    cpu: /^model name\s*: (.*)$/m.exec(info)?.[1] ?? Deno.build.arch,
    cores: navigator.hardwareConcurrency,
    memory: Deno.systemMemoryInfo().total,
    kernel: Deno.osRelease(),
    deno: Deno.version.deno,
  };
}

/** Says on stderr what is being done: one line that changes, or many lines. */
class Narrator {
  readonly #terminal = Deno.stderr.isTerminal();
  readonly #start = performance.now();
  #last = "";
  #next = 0;

  say(what: string): void {
    const now = performance.now();
    // The numbers change all the time. If the output is no terminal, one line of
    // each kind is enough.
    const kind = what.replace(/[\d,]+/g, "");
    if (kind === this.#last && (!this.#terminal || now < this.#next)) return;
    this.#last = kind;
    this.#next = now + 200;
    const seconds = Math.floor((now - this.#start) / 1000);
    const line = `${String(seconds).padStart(4)} s  ${what}`;
    write(this.#terminal ? `\r${line}\x1b[K` : `${line}\n`);
  }

  done(): number {
    if (this.#terminal) write("\r\x1b[K");
    return Math.round((performance.now() - this.#start) / 1000);
  }
}

async function main(args: string[], signal: AbortSignal): Promise<number> {
  const { options, operands } = parseOptions(args, {
    boolean: ["json", "write", "shared", "help"],
    string: ["deno"],
  });
  if (operands.length > 0) {
    throw new UsageError(`${operands[0]}: expected an option, if anything`);
  }
  if (options.json && options.write) {
    throw new UsageError("--write: the manual has the table, not --json");
  }
  const { shared = false, deno } = options as Instead;
  if (shared && deno !== undefined) {
    throw new UsageError("--shared and --deno: expected one of the two");
  }
  if (options.write && (shared || deno !== undefined)) {
    throw new UsageError(
      "--write: the manual has no table of --shared, and none of --deno",
    );
  }
  if (options.help) {
    console.log(HELP.trimEnd());
    return EXIT.done;
  }
  const narrator = new Narrator();
  let sections: Section[];
  let seconds: number;
  try {
    sections = await bench(
      FULL,
      (what) => narrator.say(what),
      signal,
      { shared, deno },
    );
  } finally {
    seconds = narrator.done();
  }
  const on = await machine();
  if (options.json) {
    const rows = tableObject(sections);
    console.log(JSON.stringify({ machine: on, seconds, rows }, null, 2));
    return EXIT.done;
  }
  const memory = (on.memory / 1e9).toFixed(0);
  const table = [
    ...sections.map((section) => tableLines(section).join("\n") + "\n"),
    `Measured in ${seconds} s on ${on.cores} cores (${on.cpu}), ${memory} GB, ` +
    `Linux ${on.kernel}, Deno ${on.deno}.`,
  ].join("\n");
  console.log(table);
  if (options.write) {
    await Deno.writeTextFile(
      PAGE,
      withTable(await Deno.readTextFile(PAGE), "bench", table),
    );
  }
  return EXIT.done;
}

if (import.meta.main) await runMeasurement("bench", main);
