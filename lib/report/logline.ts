/**
 * One line of a log, in any of the frames that a log of this program is found
 * in: multilog's TAI64N stamps, those after tai64nlocal, syslog with RFC 3164
 * or RFC 3339 stamps, journalctl, the program's own file, or none at all.
 *
 * @module
 */

/** What a line turned out to be. */
export interface LogLine {
  /** Seconds since 1970, or undefined where the line has no stamp. */
  readonly time: number | undefined;
  /**
   * `entry` was written by this program, `foreign` by another one into the same
   * log, `unreadable` by nobody knows whom: cut off, damaged or no log at all.
   */
  readonly kind: "entry" | "foreign" | "unreadable";
  /** DEBUG, INFO, WARN, ERROR or CRITICAL; empty unless an entry. */
  readonly level: string;
  /** The first word, such as `defer` or `pass`; some entries have none. */
  readonly verb: string;
  /**
   * The fields as they stand, each `key=value` with one space before it; without
   * the explanation that errors and warnings end with.
   */
  readonly fields: string;
}

/**
 * The value of a field, still escaped, or undefined where it is not there.
 * Values hold no space, so the first ` name=` is the field and nothing else.
 */
export function fieldOf(line: LogLine, name: string): string | undefined {
  const { fields } = line;
  const key = ` ${name}=`;
  const at = fields.indexOf(key);
  if (at < 0) return undefined;
  const end = fields.indexOf(" ", at + key.length);
  return fields.slice(at + key.length, end < 0 ? undefined : end);
}

const LEVELS = ["DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"];
const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";
const HALF_YEAR = 183 * 86400;

/** A stamp: its time in seconds since 1970, and where the text after it begins. */
interface Stamp {
  time: number;
  end: number;
}

/**
 * Reads the lines of one log, from first to last. It remembers between lines
 * what RFC 3164 leaves out of its stamps: the year.
 */
export class LogReader {
  readonly #written: number;
  #year: number | undefined;
  #previous = 0;
  #hourKey = -1;
  #hourStart = 0;

  /**
   * @param written when the log was last written to, in seconds since 1970: its
   * first line without a year is taken to be less than a year older
   */
  constructor(written: number) {
    this.#written = written;
  }

  /** Reads one line, given without its line end. */
  read(line: string): LogLine {
    const stamp = this.#stamp(line);
    const time = stamp?.time;
    const start = stamp?.end ?? 0;
    const direct = message(line, start, time);
    if (direct !== undefined) return direct;

    // syslog writes "host tag[pid]: message"; some write a word more.
    let at = start;
    for (let word = 0; word < 4; word++) {
      const end = line.indexOf(" ", at);
      const last = end < 0 ? line.length : end;
      if (
        line.charCodeAt(last - 1) === COLON && TAG.test(line.slice(at, last))
      ) {
        const tagged = message(line, last + 1, time);
        if (tagged !== undefined) return tagged;
        const ours = line.startsWith("greylist", at);
        return nothing(ours ? "unreadable" : "foreign", time);
      }
      if (end < 0) break;
      at = end + 1;
    }
    // journalctl's remarks, such as "-- Boot 9a... --".
    return nothing(line.startsWith("-- ") ? "foreign" : "unreadable", time);
  }

  #stamp(line: string): Stamp | undefined {
    let at = 0;
    if (line.charCodeAt(0) === LESS) {
      // The priority as it goes over the wire: <22>Nov 23 ...
      at = line.indexOf(">") + 1;
      if (at === 0 || at > 5) return undefined;
    }
    const first = line.charCodeAt(at);
    if (first === AT) return tai64n(line, at + 1);
    if (first >= ZERO && first <= NINE) return this.#iso(line, at);
    if (first > 64 && first < 91) return this.#rfc3164(line, at);
    return undefined;
  }

  /** `2026-11-23T19:00:00.123Z`, with a space for the T, with or without a zone. */
  #iso(line: string, at: number): Stamp | undefined {
    const year = digits(line, at, 4);
    const month = digits(line, at + 5, 2);
    const day = digits(line, at + 8, 2);
    const between = line.charCodeAt(at + 10);
    if (
      line.charCodeAt(at + 4) !== DASH || line.charCodeAt(at + 7) !== DASH ||
      (between !== 84 && between !== SPACE)
    ) return undefined;
    const seconds = clock(line, at + 11);
    if (!(year >= 1970) || !isDay(month, day) || seconds < 0) return undefined;
    let end = at + 19;
    let fraction = 0;
    const point = line.charCodeAt(end);
    if (point === POINT || point === COMMA) {
      let scale = 1;
      while (isDigit(line.charCodeAt(++end))) {
        scale /= 10;
        fraction += (line.charCodeAt(end) - ZERO) * scale;
      }
    }
    let zone: number | undefined;
    const sign = line.charCodeAt(end);
    if (sign === 90) {
      zone = 0;
      end++;
    } else if (sign === PLUS || sign === DASH) {
      const colon = line.charCodeAt(end + 3) === COLON ? 1 : 0;
      const hours = digits(line, end + 1, 2);
      const minutes = digits(line, end + 3 + colon, 2);
      if (!(hours >= 0 && minutes >= 0)) return undefined;
      zone = (hours * 3600 + minutes * 60) * (sign === DASH ? -1 : 1);
      end += 5 + colon;
    }
    if (line.charCodeAt(end) !== SPACE) return undefined;
    const local = this.#from(year, month, day, seconds, zone === undefined);
    return { time: local - (zone ?? 0) + fraction, end: end + 1 };
  }

  /** `Nov 23 19:00:00`, local time without a year (RFC 3164 section 4.1.2). */
  #rfc3164(line: string, at: number): Stamp | undefined {
    if (line.charCodeAt(at + 3) !== SPACE) return undefined;
    const name = MONTHS.indexOf(line.slice(at, at + 3));
    if (name < 0 || name % 3 !== 0) return undefined;
    const month = name / 3 + 1;
    const tens = line.charCodeAt(at + 4);
    const day = tens === SPACE
      ? digits(line, at + 5, 1)
      : digits(line, at + 4, 2);
    const seconds = clock(line, at + 7);
    if (
      !isDay(month, day) || seconds < 0 || line.charCodeAt(at + 15) !== SPACE
    ) return undefined;

    if (this.#year === undefined) {
      this.#year = new Date(this.#written * 1000).getFullYear();
      const time = this.#from(this.#year, month, day, seconds, true);
      // A day of grace for a clock that was set or a zone that changed.
      if (time > this.#written + 86400) this.#year--;
      this.#previous = this.#from(this.#year, month, day, seconds, true);
    }
    let time = this.#from(this.#year, month, day, seconds, true);
    if (time < this.#previous - HALF_YEAR) {
      time = this.#from(++this.#year, month, day, seconds, true);
    } else if (time > this.#previous + HALF_YEAR) {
      // December again just after New Year: a line that came late.
      return {
        time: this.#from(this.#year - 1, month, day, seconds, true),
        end: at + 16,
      };
    }
    this.#previous = time;
    return { time, end: at + 16 };
  }

  /** Seconds since 1970. Dates are slow to make: one an hour will do. */
  #from(
    year: number,
    month: number,
    day: number,
    seconds: number,
    local: boolean,
  ): number {
    const hour = Math.floor(seconds / 3600);
    const key = (((year * 13 + month) * 32 + day) * 25 + hour) * 2 +
      (local ? 1 : 0);
    if (key !== this.#hourKey) {
      this.#hourKey = key;
      this.#hourStart = (local
        ? new Date(year, month - 1, day, hour).getTime()
        : Date.UTC(year, month - 1, day, hour)) / 1000;
    }
    return this.#hourStart + seconds - hour * 3600;
  }
}

const SPACE = 32, PLUS = 43, COMMA = 44, DASH = 45, POINT = 46, ZERO = 48;
const NINE = 57, COLON = 58, LESS = 60, AT = 64;

/**
 * An external TAI64N label in hexadecimal. daemontools counts 2^62 + 10 + the
 * seconds since 1970, whatever leap seconds came since (libtai's taia_now.c).
 */
function tai64n(line: string, at: number): Stamp | undefined {
  const high = Number("0x" + line.slice(at, at + 8)) - 0x40000000;
  const low = Number("0x" + line.slice(at + 8, at + 16));
  const nanoseconds = Number("0x" + line.slice(at + 16, at + 24));
  const seconds = high * 0x100000000 + low - 10;
  if (line.charCodeAt(at + 24) !== SPACE) return undefined;
  if (!(seconds >= 0 && nanoseconds < 1e9)) return undefined;
  return { time: seconds + nanoseconds / 1e9, end: at + 25 };
}

/** The text from `at` on as something that this program writes, if it is that. */
function message(
  line: string,
  at: number,
  time: number | undefined,
): LogLine | undefined {
  let end = wordEnd(line, at);
  let verb = line.slice(at, end);
  // The level is said where it is not INFO. Nearly all lines are of two kinds.
  const usual = verb === "defer" || verb === "pass";
  const said = usual ? -1 : LEVELS.indexOf(verb.toUpperCase());
  if (said >= 0) {
    at = end + 1;
    end = wordEnd(line, at);
    verb = line.slice(at, end);
    if (verb.includes("=")) {
      verb = "";
      end = at - 1;
    }
  }
  let fields = line.slice(end);
  const level = LEVELS[said] ?? "INFO";
  if (said >= 0) {
    // An explanation may hold spaces, and so anything that looks like a field.
    const what = fields.indexOf(" what=");
    if (what >= 0) fields = fields.slice(0, what);
  } else if (verb === "defer" || verb === "pass") {
    // A connection always has a reason; a line without was cut off.
    if (!fields.includes(" reason=")) return nothing("unreadable", time);
  } else if (!(WORD.test(verb) && FIELD.test(fields))) {
    return undefined;
  }
  return { time, kind: "entry", level, verb, fields };
}

const TAG = /^[\w./()@+-]+(?:\[\d+\])?:$/;
const WORD = /^[a-z]+$/;
const FIELD = /^ [a-z]+=/;

function wordEnd(line: string, at: number): number {
  const end = line.indexOf(" ", at);
  return end < 0 ? line.length : end;
}

function nothing(
  kind: "foreign" | "unreadable",
  time: number | undefined,
): LogLine {
  return { time, kind, level: "", verb: "", fields: "" };
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}

/** A number of so many decimal digits, or NaN. */
function digits(line: string, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const code = line.charCodeAt(i);
    if (!isDigit(code)) return NaN;
    value = value * 10 + code - ZERO;
  }
  return value;
}

function isDay(month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

/** `19:00:00` as seconds of the day, or -1. */
function clock(line: string, at: number): number {
  const hours = digits(line, at, 2);
  const minutes = digits(line, at + 3, 2);
  const seconds = digits(line, at + 6, 2);
  const good = hours < 24 && minutes < 60 && seconds < 61 &&
    line.charCodeAt(at + 2) === COLON && line.charCodeAt(at + 5) === COLON;
  return good ? hours * 3600 + minutes * 60 + seconds : -1;
}
