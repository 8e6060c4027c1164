/**
 * One line of a log, with any prefix that a log of this program is found with:
 * multilog's TAI64N stamps, the same after tai64nlocal, syslog with RFC 3164 or
 * RFC 3339 stamps, also through splogger, journalctl, the program's own file, or no
 * prefix at all.
 *
 * @module
 */

import { LEVELS } from "../log/settings.ts";
import { epochSeconds, StampReader } from "./stamp.ts";

/** A parsed line. */
export interface LogLine {
  /** Seconds since 1970, or undefined if the line has no stamp. */
  readonly time: number | undefined;
  /**
   * `entry`: this program wrote the line. `foreign`: another program wrote it.
   * `unreadable`: the line is cut off, damaged, or no log line.
   */
  readonly kind: "entry" | "foreign" | "unreadable";
  /** The host that a syslog daemon names; undefined without such a name. */
  readonly host: string | undefined;
  /** DEBUG, INFO, WARN, ERROR or CRITICAL; empty unless an entry. */
  readonly level: string;
  /** The first word, such as `defer` or `pass`; some entries have none. */
  readonly verb: string;
  /**
   * The fields as they stand, each `key=value` with one space before it; without
   * the explanation at the end of errors and warnings.
   */
  readonly fields: string;
  /** The explanation at the end of an error or a warning, without quotes. */
  readonly what: string;
  /** How often it was written: a syslog daemon may write equal lines as one. */
  readonly times: number;
}

/**
 * The value of a field, still escaped, or undefined if the line has no such
 * field. Values hold no space, so the first ` name=` is the field.
 */
export function fieldOf(line: LogLine, name: string): string | undefined {
  const { fields } = line;
  const key = ` ${name}=`;
  const at = fields.indexOf(key);
  if (at < 0) return undefined;
  const end = fields.indexOf(" ", at + key.length);
  return fields.slice(at + key.length, end < 0 ? undefined : end);
}

/** Reads the lines of one log, from the first to the last. */
export class LogReader {
  readonly #stamps: StampReader;
  readonly #host: string | undefined;
  #before: LogLine | undefined;

  /**
   * @param written when the log was last written to, in seconds since 1970: the
   * first line without a year is taken to be less than a year older
   * @param host the host whose log it is, instead of what its lines say
   */
  constructor(written: number, host?: string) {
    this.#stamps = new StampReader(written);
    this.#host = host;
  }

  /** Reads one line, given without its line end. */
  read(line: string): LogLine {
    return this.#before = this.#parse(line);
  }

  #parse(line: string): LogLine {
    const stamp = this.#stamps.read(line);
    const time = stamp?.time;
    const start = stamp?.end ?? 0;
    const direct = entryAt(line, start, time, this.#host);
    if (direct !== undefined) return direct;

    // syslog writes "host tag[pid]: message"; some daemons write a word more.
    let at = start;
    for (let word = 0; word < 4; word++) {
      const end = line.indexOf(" ", at);
      const last = end < 0 ? line.length : end;
      if (
        line.charCodeAt(last - 1) === COLON && TAG.test(line.slice(at, last))
      ) {
        const host = this.#host ??
          (word === 0
            ? undefined
            : line.slice(start, line.indexOf(" ", start)));
        // splogger writes the seconds, which are finer and have the year.
        const sent = epochSeconds(line, last + 1);
        const tagged =
          entryAt(line, sent?.end ?? last + 1, sent?.time ?? time, host) ??
            repeatedEntry(line.slice(last + 1), time, host);
        if (tagged !== undefined) return tagged;
        const ours = line.startsWith("greylist", at);
        return noEntry(ours ? "unreadable" : "foreign", time);
      }
      if (end < 0) break;
      at = end + 1;
    }
    const again = this.#repeated(line.slice(start), time);
    if (again !== undefined) return again;
    // journalctl's remarks, such as "-- Boot 9a... --".
    return noEntry(line.startsWith("-- ") ? "foreign" : "unreadable", time);
  }

  /** The line before, if the text says that its host wrote it several times. */
  #repeated(text: string, time: number | undefined): LogLine | undefined {
    const [, host, times] = LAST_REPEATED.exec(text) ?? [];
    const before = this.#before;
    if (times === undefined || before === undefined) return undefined;
    const isOther = before.host !== undefined && before.host !== host &&
      this.#host === undefined;
    return isOther ? undefined : { ...before, time, times: Number(times) };
  }
}

const COLON = 58;
const TAG = /^[\w./()@+-]+(?:\[\d+\])?:$/;
const VERB = /^[a-z][a-z-]*$/;
const FIELD = /^ [a-z]+=/;

/** What rsyslog writes in place of equal lines (`RepeatedMsgReduction`). */
const REPEATED = /^message repeated (\d{1,6}) times: \[ ?(.*)\]$/;

/** What other syslog daemons write behind equal lines, without a tag. */
const LAST_REPEATED = /^(\S+) last message repeated (\d{1,6}) times?$/;

/** The entry that stands for several, undefined if the message is none. */
function repeatedEntry(
  message: string,
  time: number | undefined,
  host: string | undefined,
): LogLine | undefined {
  const [, times, text] = REPEATED.exec(message) ?? [];
  if (text === undefined) return undefined;
  const entry = entryAt(text, 0, time, host);
  return entry && { ...entry, times: Number(times) };
}

/** The entry that begins at `at`; undefined if this program writes no such text. */
function entryAt(
  line: string,
  at: number,
  time: number | undefined,
  host: string | undefined,
): LogLine | undefined {
  let end = wordEnd(line, at);
  let verb = line.slice(at, end);
  // Every level but INFO is in the line. Nearly all lines are of two kinds.
  const usual = verb === "defer" || verb === "pass";
  const level = usual
    ? -1
    : (LEVELS as readonly string[]).indexOf(verb.toUpperCase());
  if (level >= 0) {
    at = end + 1;
    end = wordEnd(line, at);
    verb = line.slice(at, end);
    if (verb.includes("=")) {
      verb = "";
      end = at - 1;
    }
  }
  let fields = line.slice(end);
  let what = "";
  if (level >= 0) {
    // `error` begins lines of many programs. Each line of this one has a field.
    if (!FIELD.test(fields)) return undefined;
    // An explanation may hold spaces, and so text that looks like a field.
    const start = fields.indexOf(" what=");
    if (start >= 0) {
      what = fields.slice(start + " what=".length).replace(/^"|"$/g, "");
      fields = fields.slice(0, start);
    }
  } else if (usual || verb === "would-defer") {
    // A connection always has a reason; a line without a reason was cut off.
    if (!fields.includes(" reason=")) return noEntry("unreadable", time);
  } else if (!(VERB.test(verb) && FIELD.test(fields))) {
    return undefined;
  }
  const name = LEVELS[level] ?? "INFO";
  return {
    time,
    kind: "entry",
    host,
    level: name,
    verb,
    fields,
    what,
    times: 1,
  };
}

function wordEnd(line: string, at: number): number {
  const end = line.indexOf(" ", at);
  return end < 0 ? line.length : end;
}

function noEntry(
  kind: "foreign" | "unreadable",
  time: number | undefined,
): LogLine {
  const none = { host: undefined, level: "", verb: "", fields: "", what: "" };
  return { time, kind, ...none, times: 1 };
}
