/**
 * Reads log files, plain or compressed with gzip, in the order of their entries'
 * times. Rotated files follow one another; the lines of several hosts are merged.
 *
 * @module
 */

import { LineSplitter } from "../report/lines.ts";
import { tell, UsageError } from "./command.ts";
import { type Handle, openInput, pieces } from "./files.ts";
import { compressedBy, isGzipError, unpacked } from "./gzip.ts";
import { Progress } from "./progress.ts";

/** A log to be read. */
export interface LogName {
  /** The path; `-` is standard input. */
  readonly path: string;
  /** The host whose log it is; undefined takes the name from the lines. */
  readonly host?: string;
}

/** @throws {UsageError} if standard input is to be read more than once */
export function checkStandardInput(paths: readonly string[]): void {
  if (paths.indexOf("-") === paths.lastIndexOf("-")) return;
  throw new UsageError("-: standard input can be read once only");
}

/** A parsed line. */
export interface Timed {
  /** Seconds since 1970, undefined if the line has no stamp. */
  readonly time: number | undefined;
}

/** How a command reads logs. */
export interface Reading<T extends Timed> {
  /** The command, for its messages. */
  readonly command: string;
  /**
   * Begins with a log.
   *
   * @param written when the log was last written to, in seconds since 1970
   * @param isLook whether only the time of its first line is asked for
   * @returns a reader of its lines, from the first to the last
   */
  reader(
    written: number,
    host: string | undefined,
    isLook: boolean,
  ): { read(line: string): T };
  /** Takes a parsed line. */
  line(line: T): void;
  /** Called for a line that was skipped, because it is too long for a log line. */
  long(): void;
  /** Called for a log whose gzip data is damaged, where its reading ends. */
  damaged(path: string): void;
}

/** A log that has been looked into. */
interface Log extends LogName {
  /** Bytes, undefined if unknown. */
  readonly size: number | undefined;
  /** When the file was last written to, in seconds since 1970. */
  readonly written: number;
  /** Which file it is. */
  readonly identity: string;
  /** The first bytes. */
  readonly head: Uint8Array<ArrayBuffer>;
  /** Still open if the first bytes cannot be read again. */
  readonly handle: Handle | undefined;
  /** The time of the first stamp. */
  readonly first: number;
}

/** Times before 2001-09-09 are those of a clock that was not set yet. */
const FIRST_TIME = 1e9;

/** Seconds that a log's clock may be ahead of this one. */
const AHEAD = 86400;

/**
 * A line without its stamp if that is the time of a clock that was wrong: one such
 * line would make years of days without mail, or all others old.
 */
function believed<T extends Timed>(line: T, now: number): T {
  const { time = now } = line;
  const isPossible = time >= FIRST_TIME && time <= now + AHEAD;
  return isPossible ? line : { ...line, time: undefined };
}

/** How many bytes of a log are looked at for the time of its first line. */
const HEAD = 16384;

/**
 * Reads all logs. A log that is named several times is read once.
 *
 * @throws {UsageError} if a file is missing or may not be read
 * @throws {TemporaryError} if the disk or the file system fails
 */
export async function readLogs<T extends Timed>(
  names: LogName[],
  reading: Reading<T>,
): Promise<void> {
  const logs: Log[] = [];
  const seen = new Map<string, string>();
  for (const name of names) {
    const log = await look(name, reading, seen);
    if (log !== undefined) logs.push(log);
  }
  logs.sort((a, b) => a.first < b.first ? -1 : a.first > b.first ? 1 : 0);

  const sizes = logs.map(({ size }) => size ?? NaN);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const progress = new Progress(isNaN(total) ? undefined : total, "bytes");
  try {
    await merge(logs, reading, progress);
  } finally {
    progress.done();
  }
}

/** Passes on the lines of all logs, the earliest first. */
async function merge<T extends Timed>(
  logs: Log[],
  reading: Reading<T>,
  progress: Progress,
) {
  // Logs that are not begun yet cost no memory and no descriptor.
  const waiting = logs.toReversed();
  const open: Source<T>[] = [];
  for (;;) {
    let next: Source<T> | undefined;
    let limit = Infinity;
    for (const source of open) {
      if (next === undefined || source.time < next.time) {
        limit = Math.min(limit, next?.time ?? Infinity);
        next = source;
      } else limit = Math.min(limit, source.time);
    }
    const fresh = waiting.at(-1);
    if (
      fresh !== undefined && (next === undefined || fresh.first < next.time)
    ) {
      waiting.pop();
      const source = new Source(fresh, reading, progress);
      if (await source.fill()) open.push(source);
      continue;
    }
    if (next === undefined) return;
    limit = Math.min(limit, fresh?.first ?? Infinity);
    if (!next.drain(limit, reading) && !await next.fill()) {
      open.splice(open.indexOf(next), 1);
    }
  }
}

/** One log that is being read. It holds some lines that were read ahead. */
class Source<T extends Timed> {
  /** The time of the next line. A line without a time has that of the line before. */
  time: number;
  readonly #pieces: AsyncGenerator<Uint8Array>;
  readonly #splitter: LineSplitter;
  readonly #warn: (error: unknown) => void;
  #lines: T[] = [];
  #next = 0;
  #ended = false;

  constructor(log: Log, reading: Reading<T>, progress: Progress) {
    this.time = log.first;
    const reader = reading.reader(log.written, log.host, false);
    const now = Date.now() / 1000;
    this.#splitter = new LineSplitter(
      (line) => this.#lines.push(believed(reader.read(line), now)),
      () => reading.long(),
    );
    this.#pieces = unpacked(bytesOf(log, progress, reading.command));
    this.#warn = (error) => {
      if (!isGzipError(error)) throw error;
      progress.done();
      tell(
        `greylist ${reading.command}: ${log.path}: damaged gzip data, read ` +
          "up to there",
      );
      reading.damaged(log.path);
    };
  }

  /** Reads more lines after all have been passed on; false at the end of the log. */
  async fill(): Promise<boolean> {
    this.#lines = [];
    this.#next = 0;
    while (this.#lines.length === 0) {
      if (this.#ended) return false;
      let piece: IteratorResult<Uint8Array> = { done: true, value: undefined };
      try {
        piece = await this.#pieces.next();
      } catch (error) {
        this.#warn(error);
      }
      if (piece.done) {
        this.#ended = true;
        this.#splitter.end();
      } else this.#splitter.push(piece.value);
    }
    this.#advance();
    return true;
  }

  /**
   * Passes on lines up to a time, at least one.
   *
   * @returns whether there is a line left
   */
  drain(limit: number, reading: Reading<T>): boolean {
    do {
      reading.line(this.#lines[this.#next++]);
      if (this.#next === this.#lines.length) return false;
      this.#advance();
    } while (this.time <= limit);
    return true;
  }

  #advance(): void {
    const { time } = this.#lines[this.#next];
    if (time === undefined) return;
    // A line with an earlier time than the line before stays behind that line.
    if (time > this.time || this.time === Infinity) this.time = time;
  }
}

/**
 * Opens a log and reads as much as it takes to see when it begins.
 *
 * @param seen the names of the logs before it, by the identity of the file
 * @returns undefined if it is one of these
 */
async function look<T extends Timed>(
  { path, host }: LogName,
  reading: Reading<T>,
  seen: Map<string, string>,
): Promise<Log | undefined> {
  if (path === "-" && Deno.stdin.isTerminal()) {
    tell(
      `greylist ${reading.command}: reading standard input; ^D ends it`,
    );
  }
  const { info, identity, handle } = openInput(path);
  const before = seen.get(identity);
  if (before !== undefined) {
    handle.close();
    const what = before === path ? "named twice" : `the same file as ${before}`;
    tell(`greylist ${reading.command}: ${path}: ${what}: read once`);
    return undefined;
  }
  seen.set(identity, path);
  const regular = info?.isFile === true;
  const written = regular ? info.mtime : Date.now() / 1000;

  const buffer = new Uint8Array(HEAD);
  const head = buffer.slice(0, handle.read(buffer));
  if (regular) handle.close();
  const other = compressedBy(head);
  if (other !== undefined) {
    throw new UsageError(
      `${path}: compressed with ${other}: expected text or gzip (${other} -dc ` +
        "FILE | greylist ...)",
    );
  }

  let first = Infinity;
  const now = Date.now() / 1000;
  const reader = reading.reader(written, host, true);
  const lines = new LineSplitter((line) => {
    if (first !== Infinity) return;
    first = believed(reader.read(line), now).time ?? Infinity;
  }, () => {});
  try {
    for await (const bytes of unpacked([head])) lines.push(bytes);
    lines.end();
  } catch {
    // Compressed data ends early here, because this is only the beginning.
  }
  return {
    path,
    host,
    size: regular ? info.size : undefined,
    written,
    identity,
    head,
    handle: regular ? undefined : handle,
    first,
  };
}

/** All bytes of a log, piece by piece; each piece is overwritten by the next. */
function* bytesOf(log: Log, progress: Progress, command: string) {
  const open = log.handle ?? reopened(log, progress, command);
  if (log.handle !== undefined && log.head.length > 0) yield log.head;
  for (const bytes of pieces(open)) {
    progress.tick(bytes.length);
    yield bytes;
  }
}

/** Opens a log once more, to read it from its beginning. */
function reopened(log: Log, progress: Progress, command: string) {
  const { identity, handle } = openInput(log.path);
  if (identity !== log.identity) {
    progress.done();
    tell(
      `greylist ${command}: ${log.path}: another file has taken this name ` +
        "meanwhile: the one before is not read",
    );
  }
  return handle;
}
