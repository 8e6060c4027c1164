/**
 * The time stamps that log lines begin with: TAI64N as multilog writes it, ISO
 * 8601 as tai64nlocal, rsyslog (RFC 3339), journalctl and this program write it,
 * RFC 3164, and the seconds that accustamp and splogger write.
 *
 * @module
 */

/** A stamp. */
export interface Stamp {
  /** Seconds since 1970. */
  readonly time: number;
  /** The position in the line at which the text after the stamp begins. */
  readonly end: number;
}

const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";
const HOUR = 3600;
const DAY = 86400;
const HALF_YEAR = 183 * DAY;
/**
 * If a stamp seems to be later than the line before it by more than this, it is one of
 * the year before: its line is less than a month older, and has come late.
 */
const ELEVEN_MONTHS = 335 * DAY;

/**
 * A line up to so many seconds earlier than the line before it has come late. One that
 * is earlier still was written after clocks went back.
 */
const LATE = 60;

/**
 * Times that fit into 32 bits: seconds since 1970, and years. A stamp beyond is
 * damaged, and the days up to it would fill the memory.
 */
const END = 2 ** 32, LAST_YEAR = 2105;

const SPACE = 32,
  UNDERSCORE = 95,
  PLUS = 43,
  COMMA = 44,
  DASH = 45,
  POINT = 46,
  ZERO = 48;
const NINE = 57, COLON = 58, LESS = 60, AT = 64;

/**
 * Reads the stamps of one log, from the first line to the last. The reader
 * remembers the year between lines, because RFC 3164 leaves the year out.
 */
export class StampReader {
  readonly #written: number;
  #year: number | undefined;
  #previous = 0;
  #hourKey = -1;
  #hourStart = 0;

  /**
   * @param written when the log was last written to, in seconds since 1970: the
   * first line without a year is taken to be less than a year older
   */
  constructor(written: number) {
    this.#written = written;
  }

  /** The stamp that the line begins with, undefined if there is none. */
  read(line: string): Stamp | undefined {
    let at = 0;
    if (line.charCodeAt(0) === LESS) {
      // The priority as it goes over the wire: <22>Nov 23 ...
      at = line.indexOf(">") + 1;
      if (at === 0 || at > 5) return undefined;
    }
    const first = line.charCodeAt(at);
    if (first === AT) return tai64n(line, at + 1);
    if (first >= ZERO && first <= NINE) {
      return this.#iso(line, at) ?? epochSeconds(line, at);
    }
    if (first > 64 && first < 91) return this.#rfc3164(line, at);
    return undefined;
  }

  /**
   * `2026-11-23T19:00:00.123Z`, with or without a zone. In place of the T there may be
   * a space, or an underscore, which means UTC (`svlogd -tt`).
   */
  #iso(line: string, at: number): Stamp | undefined {
    const year = digits(line, at, 4);
    const month = digits(line, at + 5, 2);
    const day = digits(line, at + 8, 2);
    const between = line.charCodeAt(at + 10);
    if (
      line.charCodeAt(at + 4) !== DASH || line.charCodeAt(at + 7) !== DASH ||
      (between !== 84 && between !== SPACE && between !== UNDERSCORE)
    ) return undefined;
    const seconds = clock(line, at + 11);
    if (!(year >= 1970 && year <= LAST_YEAR)) return undefined;
    if (!isDay(month, day) || seconds < 0) return undefined;
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
    let zone = between === UNDERSCORE ? 0 : undefined;
    const sign = line.charCodeAt(end);
    if (sign === 90) {
      zone = 0;
      end++;
    } else if (sign === PLUS || sign === DASH) {
      const colon = line.charCodeAt(end + 3) === COLON ? 1 : 0;
      const hours = digits(line, end + 1, 2);
      const minutes = digits(line, end + 3 + colon, 2);
      if (!(hours >= 0 && minutes >= 0)) return undefined;
      zone = (hours * HOUR + minutes * 60) * (sign === DASH ? -1 : 1);
      end += 5 + colon;
    }
    if (line.charCodeAt(end) !== SPACE) return undefined;
    // s6-log(8) writes two.
    while (line.charCodeAt(end) === SPACE) end++;
    const local = this.#from(year, month, day, seconds, zone === undefined);
    const time = zone === undefined ? this.#inOrder(local) : local - zone;
    return { time: time + fraction, end };
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

    const inYear = (year: number) =>
      this.#from(year, month, day, seconds, true);
    // A day of grace for a clock that was set or a zone that changed.
    const latest = this.#written + DAY;
    if (this.#year === undefined) {
      this.#year = new Date(this.#written * 1000).getFullYear();
      if (inYear(this.#year) > latest) this.#year--;
      this.#previous = inYear(this.#year);
    }
    let time = inYear(this.#year);
    if (time < this.#previous - HALF_YEAR) {
      const next = inYear(this.#year + 1);
      // The clock was not set yet: Jan 1, of 1970.
      const isUnset = next > latest && month === 1 && day === 1;
      if (isUnset) return { time: this.#previous, end: at + 16 };
      time = next;
      this.#year++;
    } else if (
      time > this.#previous + (time > latest ? HALF_YEAR : ELEVEN_MONTHS)
    ) {
      // December just after New Year: the line came late.
      return { time: inYear(this.#year - 1), end: at + 16 };
    }
    time = this.#inOrder(time);
    return { time, end: at + 16 };
  }

  /**
   * A local time without a zone, an hour later if clocks have gone back since the line
   * before.
   */
  #inOrder(time: number): number {
    const isLater = time < this.#previous - LATE && isRepeated(time);
    return this.#previous = isLater ? time + HOUR : time;
  }

  /** Seconds since 1970. A Date is slow to make, so one an hour is kept. */
  #from(
    year: number,
    month: number,
    day: number,
    seconds: number,
    local: boolean,
  ): number {
    const hour = Math.floor(seconds / HOUR);
    const key = (((year * 13 + month) * 32 + day) * 25 + hour) * 2 +
      (local ? 1 : 0);
    if (key !== this.#hourKey) {
      this.#hourKey = key;
      this.#hourStart = (local
        ? new Date(year, month - 1, day, hour).getTime()
        : Date.UTC(year, month - 1, day, hour)) / 1000;
    }
    return this.#hourStart + seconds - hour * HOUR;
  }
}

/**
 * An external TAI64N label in hexadecimal. daemontools counts 2^62 + 10 + the
 * seconds since 1970, without any later leap second (libtai's taia_now.c).
 */
function tai64n(line: string, at: number): Stamp | undefined {
  const high = Number("0x" + line.slice(at, at + 8)) - 0x40000000;
  const low = Number("0x" + line.slice(at + 8, at + 16));
  const nanoseconds = Number("0x" + line.slice(at + 16, at + 24));
  const seconds = high * 0x100000000 + low - 10;
  if (line.charCodeAt(at + 24) !== SPACE) return undefined;
  if (!(seconds >= 0 && seconds < END && nanoseconds < 1e9)) return undefined;
  return { time: seconds + nanoseconds / 1e9, end: at + 25 };
}

const SECONDS = /(\d{9,10}\.\d{1,9}) /y;

/** `1795460400.250000`, as accustamp writes it, and splogger behind its tag. */
export function epochSeconds(line: string, at: number): Stamp | undefined {
  SECONDS.lastIndex = at;
  const found = SECONDS.exec(line);
  return found === null
    ? undefined
    : { time: Number(found[1]), end: SECONDS.lastIndex };
}

/** Whether clocks show the same an hour later, because they go back. */
function isRepeated(time: number): boolean {
  const now = new Date(time * 1000);
  const later = new Date((time + HOUR) * 1000);
  return now.getHours() === later.getHours();
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
  return good ? hours * HOUR + minutes * 60 + seconds : -1;
}
