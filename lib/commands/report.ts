/**
 * `greylist report`: what the log says that greylisting does for this site.
 *
 * @module
 */

import type { ResolvedConfig } from "../config.ts";
import { htmlReport } from "../report/html.ts";
import { LineSplitter } from "../report/lines.ts";
import { LogReader } from "../report/logline.ts";
import { Tally } from "../report/tally.ts";
import { textReport } from "../report/text.ts";
import {
  type Command,
  EXIT,
  Output,
  parseOptions,
  UsageError,
} from "./command.ts";
import {
  checkOutput,
  fileError,
  type Handle,
  openInput,
  replaceFile,
} from "./files.ts";
import { Progress } from "./progress.ts";

const HELP = `NAME
  greylist report - what greylisting does for this site, from its log

SYNOPSIS
  greylist report [--json] [--html=FILE] [LOGFILE...]

DESCRIPTION
  Reads log lines of greylist and shows how many connections were deferred, how
  many of the deferred networks were accepted later and how many never again
  (the spam that was stopped), how long real senders had to wait, the load by
  hour and day, and which senders are candidates for the whitelist.

  LOGFILE may have been written by multilog (with its @4000... stamps, or after
  tai64nlocal), by a syslog daemon, by journalctl or by greylist itself, and it
  may be compressed with gzip. - is standard input. Several files are read in
  the order of their first lines. Without LOGFILE the file that log.target in
  greylist.config.ts names is read, and standard input where it names none.

  Lines of other programs are passed over. Lines that cannot be read are
  counted. A syslog stamp has no year: a file is taken to span less than one.

  A network counts as stopped when it was never accepted and the log goes on
  for at least timeouts.retryWindow after its retry window began; until then it
  is open. Delays run from the first deferral to acceptance and are exact to
  the second; silence of more than five days begins another wait. Days and
  hours are local time.

OPTIONS
  --json         Print one JSON object instead of text.
  --html=FILE    Write a page with charts to FILE instead of text to standard
                 output; - is standard output.

JSON
  lines          read, entries, foreign, unreadable
  from, to       time of the first and last entry, seconds since 1970, or null
  connections, deferred, passed, warnings, errors
  deferredByReason, passedByReason
                 connections by reason
  networks       deferred, and of these accepted, stopped (once: of the stopped
                 those that came once) and open; limit: how many are kept
                 apart; deferralsBeyondLimit: deferrals of any further ones
  delay          count, median, p90, worst in seconds; histogram of below
                 (seconds, null in the last one) and count
  byHour, byDay  deferred and passed connections by hour (0 to 23) or day
  mostDeferred, mostTries
                 network, deferrals, tries (in its longest wait), delay (of that
                 wait, in seconds), outcome, helo, from
  pools          domains whose mail came again from another network: domain,
                 moves, networks (1000 at most), accepted (of these networks),
                 helo, from
  poolsForgotten pools with few moves that were dropped for want of room
  whitelistedByRule
                 rule, count; the tenth is followed by the sum of all others
`;

/** The subcommand. */
export const command: Command = {
  help: HELP,
  async run(args, site) {
    const { options, operands } = parseOptions(args, {
      string: ["html"],
      boolean: ["json"],
    });
    const page = options.html as string | undefined;
    if (page === "-" && options.json) {
      throw new UsageError("--html=- and --json: both are for stdout");
    }
    // Not only after a gigabyte has been read.
    if (page !== undefined && page !== "-") checkOutput(page);

    const { retryWindow } = site.config.timeouts;
    const tally = new Tally(retryWindow);
    await readLogs(logNames(operands, site.config), tally);
    const report = tally.report();

    const output = new Output();
    if (page !== undefined) {
      const text = htmlReport(report, retryWindow, Date.now() / 1000);
      if (page === "-") output.line(text.trimEnd());
      else replaceFile(page, text);
    }
    if (options.json) output.line(JSON.stringify(report));
    else if (page === undefined) {
      for (const line of textReport(report, retryWindow)) output.line(line);
    }
    output.flush();
    return EXIT.done;
  },
};

function logNames(operands: string[], { log }: ResolvedConfig): string[] {
  const own = log.target.startsWith("/") ? log.target : "-";
  const names = operands.length > 0 ? operands : [own];
  if (names.indexOf("-") !== names.lastIndexOf("-")) {
    throw new UsageError("-: standard input can be read once only");
  }
  return names;
}

/** A log that has been opened and looked into. */
interface Log {
  readonly name: string;
  /** Bytes, undefined where that is not known. */
  readonly size: number | undefined;
  /** When it was last written to, in seconds since 1970. */
  readonly written: number;
  /** Its first bytes. */
  readonly head: Uint8Array<ArrayBuffer>;
  /** Open still where its first bytes cannot be read again. */
  readonly handle: Handle | undefined;
  /** The time of its first stamp. */
  readonly first: number;
}

const PIECE = 65536;

async function readLogs(names: string[], tally: Tally): Promise<void> {
  const logs: Log[] = [];
  for (const name of names) logs.push(await look(name));
  logs.sort((a, b) => a.first < b.first ? -1 : a.first > b.first ? 1 : 0);

  const sizes = logs.map(({ size }) => size ?? NaN);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const progress = new Progress(isNaN(total) ? undefined : total, "bytes");
  try {
    for (const log of logs) await readLog(log, tally, progress);
  } finally {
    progress.done();
  }
}

/** Opens a log and reads as much as it takes to see when it begins. */
async function look(name: string): Promise<Log> {
  if (name === "-" && Deno.stdin.isTerminal()) {
    console.error("greylist report: reading standard input; ^D ends it");
  }
  const { info, handle } = name === "-"
    ? { info: undefined, handle: standardInput }
    : openInput(name);
  const regular = info?.isFile === true;
  const written = regular ? info.mtime : Date.now() / 1000;

  const buffer = new Uint8Array(PIECE / 4);
  const head = buffer.slice(0, read(name, handle, buffer));
  if (regular) handle.close();

  let first = Infinity;
  const reader = new LogReader(written);
  const lines = new LineSplitter((line) => {
    if (first === Infinity) first = reader.read(line).time ?? Infinity;
  }, () => {});
  try {
    for await (const bytes of unpacked([head])) lines.push(bytes);
    lines.end();
  } catch {
    // Compressed data ends early here, for this is only the beginning.
  }
  return {
    name,
    size: regular ? info.size : undefined,
    written,
    head,
    handle: regular ? undefined : handle,
    first,
  };
}

const standardInput: Handle = {
  read: (buffer) => Deno.stdin.readSync(buffer) ?? 0,
  close() {},
};

async function readLog(
  { name, written, head, handle }: Log,
  tally: Tally,
  progress: Progress,
): Promise<void> {
  const reader = new LogReader(written);
  const lines = new LineSplitter(
    (line) => tally.add(reader.read(line)),
    () => tally.addUnreadable(),
  );
  const open = handle ?? openInput(name).handle;
  function* pieces() {
    if (handle !== undefined && head.length > 0) yield head;
    const buffer = new Uint8Array(PIECE);
    for (let length; (length = read(name, open, buffer)) > 0;) {
      progress.tick(length);
      yield buffer.subarray(0, length);
    }
  }
  try {
    for await (const bytes of unpacked(pieces())) lines.push(bytes);
  } catch (error) {
    if (!isGzipError(error)) throw error;
    progress.done();
    console.error(
      `greylist report: ${name}: damaged gzip data, read up to there`,
    );
  } finally {
    open.close();
  }
  lines.end();
}

function read(
  name: string,
  handle: Handle,
  buffer: Uint8Array<ArrayBuffer>,
): number {
  try {
    return handle.read(buffer);
  } catch (error) {
    throw fileError(name === "-" ? "standard input" : name, error);
  }
}

// Written out in import(), these would make the type checker ask a registry for
// Node's types.
const ZLIB: string = "node:zlib";
const STREAM: string = "node:stream";

/**
 * The bytes as they are, or uncompressed where they begin as gzip does.
 *
 * @param pieces each may be overwritten when the next one is asked for
 */
async function* unpacked(
  pieces: Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const iterator = pieces[Symbol.iterator]();
  const first = iterator.next();
  if (first.done) return;
  const again = {
    *[Symbol.iterator]() {
      yield first.value;
      for (let next; !(next = iterator.next()).done;) yield next.value;
    },
  };
  if (first.value[0] !== 0x1f || first.value[1] !== 0x8b) {
    yield* again;
    return;
  }
  // DecompressionStream fails at the second of several files put together.
  const { createGunzip } = await import(ZLIB);
  const { Readable } = await import(STREAM);
  const copies = function* () {
    for (const piece of again) yield piece.slice();
  };
  const source = Readable.from(copies(), { objectMode: true });
  const gunzip = createGunzip();
  source.on("error", (error: Error) => gunzip.destroy(error));
  for await (const bytes of source.pipe(gunzip)) yield bytes;
}

function isGzipError(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && code.startsWith("Z_");
}
