/**
 * `deno task test`: checks the types once, then runs each test file in a `deno
 * test` of its own, some of them at the same time, and adds up what they say.
 *
 * A test may do anything, unless an option such as `--allow-read` says what it may.
 *
 * @module
 */

import { fromFileUrl, relative } from "@std/path";
import { EXIT, HelpRequest, UsageError } from "../commands/command.ts";
import { V8_LINEAR } from "../whitelist/expression.ts";
import { deno } from "./deno.ts";
import { SHARE_VARIABLE } from "./ports.ts";
import { SIGNALS } from "./signals.ts";
import {
  decodeSkipped,
  describeSkipped,
  matchesFilter,
  SKIPPED_VARIABLE,
} from "./test/skipped.ts";
import { chosenStd, IMPORT_MAP_VARIABLE, ROOT, stdFlags } from "./std.ts";
import {
  addCounts,
  type Counts,
  describeCounts,
  errorsIn,
  NO_COUNTS,
  readCounts,
  withoutCounts,
} from "./test/counts.ts";
import { type Order, parseOrder, Turn, turnOf } from "./test/order.ts";

const HELP = `NAME
  deno task test - run the tests

SYNOPSIS
  deno task test [OPTION...] [FILE or DIRECTORY...] [-- ARG...]

DESCRIPTION
  Checks the types, runs the test files, or all if none is named, and adds up
  what they say. Each ARG is for the tests.

OPTIONS
  --filter=TEXT  only tests with TEXT in their names
  --help         this text
  Others are passed on to "deno test", which "deno test --help" lists.

EXIT STATUS
  0    all tests that ran have passed
  1    a test failed, or a type is wrong
  100  the command line is wrong
`;

/** How many files run at a time: tests spend some of their time waiting. */
const WORKERS = navigator.hardwareConcurrency + 1;

/** The outcome of one test file. */
interface Result {
  readonly file: string;
  readonly success: boolean;
  readonly counts: Counts | undefined;
  /** What went wrong, if something did. */
  readonly errors: string;
}

/** Runs the files of one order. */
class Run {
  readonly #children = new Set<Deno.ChildProcess>();
  readonly results: Result[] = [];
  /** The signal that ends the run. */
  #signal: Deno.Signal | undefined;

  constructor(
    readonly order: Order,
    readonly flags: readonly string[],
    readonly skipped: string,
  ) {}

  /** Ends the running files, and starts no further ones. */
  end(signal: Deno.Signal): void {
    this.#signal = signal;
    for (const child of this.#children) {
      try {
        child.kill(signal);
      } catch {
        // It has ended already.
      }
    }
  }

  get signal(): Deno.Signal | undefined {
    return this.#signal;
  }

  /** Takes files off a queue, as many at a time as there are workers. */
  async all(files: readonly string[], workers: number): Promise<void> {
    const queue = [...files];
    const work = async (share: string) => {
      while (this.#signal === undefined) {
        const file = queue.shift();
        if (file === undefined) return;
        await this.#one(file, share);
      }
    };
    await Promise.all(
      Array.from({ length: workers }, (_, i) => work(`${i}/${workers}`)),
    );
  }

  /** @param share see {@linkcode SHARE_VARIABLE} */
  async #one(file: string, share: string): Promise<void> {
    const { options, args } = this.order;
    const colour: Record<string, string> = Deno.stdout.isTerminal()
      ? { FORCE_COLOR: "1" }
      : { NO_COLOR: "1" };
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "test",
        "--no-check",
        ...options.some((option) => option.startsWith("--allow-"))
          ? []
          : ["-A"],
        // Datagram sockets, for the tests with a syslog daemon of their own.
        "--unstable-net",
        // Expressions of whitelist files.
        `--v8-flags=${V8_LINEAR}`,
        ...this.flags,
        ...options,
        file,
        ...args.length > 0 ? ["--", ...args] : [],
      ],
      cwd: fromFileUrl(ROOT),
      env: {
        ...colour,
        [SKIPPED_VARIABLE]: this.skipped,
        [SHARE_VARIABLE]: share,
        [IMPORT_MAP_VARIABLE]: importMapOf(this.flags),
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#children.add(child);
    const chunks: Uint8Array[] = [];
    const keep = async (stream: ReadableStream<Uint8Array>) => {
      for await (const chunk of stream) chunks.push(chunk);
    };
    await Promise.all([keep(child.stdout), keep(child.stderr)]);
    const { success } = await child.status;
    this.#children.delete(child);
    // The output is written in one piece, so that files do not mix theirs.
    const text = new TextDecoder().decode(concat(chunks));
    console.log(withoutCounts(text).trim() + "\n");
    const errors = success ? "" : errorsIn(text);
    this.results.push({ file, success, counts: readCounts(text), errors });
  }
}

/** The file that the options name. */
function importMapOf(flags: readonly string[]): string {
  const option = "--import-map=";
  return flags.find((flag) => flag.startsWith(option))!.slice(option.length);
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((n, { length }) => n + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/**
 * Runs one command line.
 *
 * @returns the exit code: 0, or 1 after a failed test
 */
async function main(argv: string[], scratch: string): Promise<number> {
  const begin = Date.now();
  const order = await parseOrder(argv);
  const flags = await stdFlags(chosenStd(), scratch);
  const skipped = `${scratch}/skipped`;
  await Deno.writeTextFile(skipped, "");

  const run = new Run(order, flags, skipped);
  for (const signal of Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]) {
    Deno.addSignalListener(signal, () => run.end(signal));
  }
  const check = await deno(["check", ...flags, ...order.files]);
  if (!check.success) {
    console.error(check.output.trimEnd());
    return 1;
  }
  // The first `deno bundle` downloads esbuild. Two at the same time are in each
  // other's way ("Text file busy").
  const module = fromFileUrl(new URL("lib/exit.ts", ROOT));
  await deno(["bundle", ...flags, `--output=${scratch}/exit.js`, module]);
  const turns = await Promise.all(order.files.map(async (file) => ({
    file,
    turn: turnOf(await Deno.readTextFile(file)),
  })));
  const inTurn = (...chosen: Turn[]) =>
    chosen.flatMap((turn) =>
      turns.filter((one) => one.turn === turn).map(({ file }) => file)
    );
  await run.all(inTurn(Turn.First, Turn.Early, Turn.Late), WORKERS);
  await run.all(inTurn(Turn.Paired), 2);
  await run.all(inTurn(Turn.Alone), 1);

  const failed = run.results.filter(({ success }) => !success);
  // Once more at the end: the output of a long run is often kept only in part.
  for (const { errors } of failed) console.log(`${errors}\n`);
  for (const { file } of failed) {
    console.log(`FAILED in ${relative(fromFileUrl(ROOT), file)}`);
  }
  const counts = run.results.reduce(
    (sum, { counts }) => addCounts(sum, counts ?? NO_COUNTS),
    NO_COUNTS,
  );
  const seconds = Math.round((Date.now() - begin) / 1000);
  const success = failed.length === 0 && run.signal === undefined;
  console.log(describeCounts(counts, success, seconds));
  const tests = decodeSkipped(await Deno.readTextFile(skipped))
    .filter(({ name }) => matchesFilter(name, order.filter));
  const line = describeSkipped(tests);
  if (line !== undefined) console.log(line);
  if (run.signal !== undefined) {
    return 128 + SIGNALS[run.signal as keyof typeof SIGNALS];
  }
  return success ? 0 : 1;
}

if (import.meta.main) {
  let code: number;
  let scratch: string | undefined;
  try {
    scratch = await Deno.makeTempDir({ prefix: "greylist-" });
    code = await main(Deno.args, scratch);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error instanceof HelpRequest) {
      console.log(HELP.trimEnd());
      code = EXIT.done;
    } else {
      console.error(`greylist test: ${error.message}`);
      code = error instanceof UsageError ? EXIT.wrong : EXIT.temporary;
    }
  } finally {
    if (scratch !== undefined) await Deno.remove(scratch, { recursive: true });
  }
  Deno.exit(code);
}
