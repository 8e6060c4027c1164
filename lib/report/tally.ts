/**
 * What a log says of greylisting at this site, counted in bounded memory.
 *
 * @module
 */

import { fieldOf, type LogLine } from "./logline.ts";
import { detached, type NetworkRow, Networks } from "./networks.ts";
import { type PoolRow, Pools } from "./pools.ts";

/** Connections of one hour of the day or of one day. */
export interface Count {
  deferred: number;
  passed: number;
}

/** The whole report; `report --json` prints it as it is. */
export interface Report {
  lines: { read: number; entries: number; foreign: number; unreadable: number };
  /** First and last time of an entry, in seconds since 1970. */
  from: number | null;
  to: number | null;
  connections: number;
  deferred: number;
  passed: number;
  deferredByReason: Record<string, number>;
  passedByReason: Record<string, number>;
  warnings: number;
  errors: number;
  networks: {
    deferred: number;
    accepted: number;
    stopped: number;
    /** Of the stopped: those that came once and never again. */
    once: number;
    open: number;
    /** Deferrals of networks beyond the most that are kept apart. */
    deferralsBeyondLimit: number;
    limit: number;
  };
  /** Seconds from first deferral to acceptance; exact to the second. */
  delay: {
    count: number;
    median: number | null;
    p90: number | null;
    worst: number | null;
    /** How many took less than `below` seconds (null: no limit). */
    histogram: { below: number | null; count: number }[];
  };
  byHour: (Count & { hour: number })[];
  byDay: (Count & { day: string })[];
  mostDeferred: NetworkRow[];
  mostTries: NetworkRow[];
  pools: PoolRow[];
  /** Pools with the fewest moves that were forgotten for want of room. */
  poolsForgotten: number;
  whitelistedByRule: { rule: string; count: number }[];
}

/** The limits of the delay histogram, in seconds. */
const DELAYS = [
  60,
  120,
  300,
  600,
  900,
  1800,
  3600,
  7200,
  14400,
  28800,
  57600,
  86400,
  Infinity,
];

/** How many networks are kept apart: some 250 bytes each. */
const NETWORKS = 600_000;
/** Different reasons, rules and days that are kept apart; more are damage. */
const KINDS = 10_000;
const TOP = 10;
/** Time zones differ by quarters of an hour. */
const QUARTER = 900;

/** Counts entries one by one, in the order of the log. */
export class Tally {
  readonly #retryWindow: number;
  readonly #lines = { read: 0, entries: 0, foreign: 0, unreadable: 0 };
  readonly #reasons = {
    defer: new Map<string, number>(),
    pass: new Map<string, number>(),
  };
  readonly #rules = new Map<string, number>();
  readonly #delays = new Map<number, number>();
  readonly #hours = Array.from({ length: 24 }, nobody);
  readonly #days = new Map<string, Count>();
  readonly #networks: Networks;
  readonly #pools: Pools;
  #deferred = 0;
  #passed = 0;
  #warnings = 0;
  #errors = 0;
  #beyond = 0;
  #from = Infinity;
  #to = -Infinity;
  #quarter = -1;
  #hour = nobody();
  #day = nobody();

  /**
   * @param retryWindow seconds, as configured: how long a deferred network has
   * to come again before its silence counts as the end of it
   * @param limits how much is kept apart at most, for tests
   */
  constructor(
    retryWindow: number,
    limits: { networks?: number; pools?: number } = {},
  ) {
    this.#retryWindow = retryWindow;
    this.#networks = new Networks(limits.networks ?? NETWORKS);
    this.#pools = new Pools(limits.pools);
  }

  /** A line that was too long to be looked at. */
  addUnreadable(): void {
    this.#lines.read++;
    this.#lines.unreadable++;
  }

  /** Counts one line. */
  add(line: LogLine): void {
    this.#lines.read++;
    if (line.kind !== "entry") {
      this.#lines[line.kind]++;
      return;
    }
    this.#lines.entries++;
    const { time } = line;
    if (time !== undefined) {
      if (time < this.#from) this.#from = time;
      if (time > this.#to) this.#to = time;
      this.#enter(time);
    }
    const failed = line.level === "ERROR" || line.level === "CRITICAL";
    if (failed) this.#errors++;
    else if (line.level === "WARN") this.#warnings++;
    if (line.verb === "pass") this.#pass(line);
    else if (line.verb === "defer") {
      // A client that was let in but found no program has had its line already.
      if (!failed || fieldOf(line, "ip") !== undefined) this.#defer(line);
    }
  }

  /** Finds the hour and the day that a time counts for. */
  #enter(time: number): void {
    const quarter = Math.floor(time / QUARTER);
    if (quarter === this.#quarter) return;
    this.#quarter = quarter;
    const date = new Date(quarter * QUARTER * 1000);
    this.#hour = this.#hours[date.getHours()];
    const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${
      two(date.getDate())
    }`;
    let count = this.#days.get(day);
    if (count === undefined) {
      count = nobody();
      if (this.#days.size < KINDS) this.#days.set(day, count);
    }
    this.#day = count;
  }

  #defer(line: LogLine): void {
    this.#deferred++;
    if (line.time !== undefined) {
      this.#hour.deferred++;
      this.#day.deferred++;
    }
    const reason = fieldOf(line, "reason") ?? "error";
    increase(this.#reasons.defer, reason);
    const net = fieldOf(line, "net");
    if (net === undefined || line.level !== "INFO") return;
    const helo = fieldOf(line, "helo");
    const from = fieldOf(line, "from");
    const network = this.#networks.defer(
      net,
      line.time,
      reason,
      helo,
      from,
    );
    if (network === undefined) this.#beyond++;
    else this.#pools.add(network, helo, from, fieldOf(line, "to"));
  }

  #pass(line: LogLine): void {
    this.#passed++;
    if (line.time !== undefined) {
      this.#hour.passed++;
      this.#day.passed++;
    }
    const reason = fieldOf(line, "reason") ?? "error";
    increase(this.#reasons.pass, reason);
    if (reason === "whitelisted") {
      increase(this.#rules, fieldOf(line, "rule") ?? "unknown");
    }
    // Callers that a whitelist exempts have no network.
    const net = fieldOf(line, "net");
    if (net === undefined) return;
    const waited = this.#networks.pass(net, line.time);
    if (reason !== "retried") return;
    // Without its first deferral in the log, the entry's own age must do.
    const delay = waited ?? Number(fieldOf(line, "age") ?? NaN);
    if (delay >= 0 && delay < Infinity) {
      const seconds = Math.floor(delay);
      this.#delays.set(seconds, (this.#delays.get(seconds) ?? 0) + 1);
    }
  }

  /** The report on everything counted so far. */
  report(): Report {
    const timed = this.#to >= this.#from;
    const networks = this.#networks;
    const closed = this.#to - this.#retryWindow;
    const { mostDeferred, mostTries, ...totals } = networks.summary(
      closed,
      TOP,
    );
    return {
      lines: { ...this.#lines },
      from: timed ? this.#from : null,
      to: timed ? this.#to : null,
      connections: this.#deferred + this.#passed,
      deferred: this.#deferred,
      passed: this.#passed,
      deferredByReason: sorted(this.#reasons.defer),
      passedByReason: sorted(this.#reasons.pass),
      warnings: this.#warnings,
      errors: this.#errors,
      networks: {
        ...totals,
        deferralsBeyondLimit: this.#beyond,
        limit: networks.limit,
      },
      delay: summarize(this.#delays),
      byHour: this.#hours.map((count, hour) => ({ hour, ...count })),
      byDay: [...this.#days].sort(([a], [b]) => a < b ? -1 : 1)
        .map(([day, count]) => ({ day, ...count })),
      mostDeferred,
      mostTries,
      pools: this.#pools.top(TOP, (network) => networks.isAccepted(network)),
      poolsForgotten: this.#pools.forgotten,
      whitelistedByRule: ranked(this.#rules),
    };
  }
}

function nobody(): Count {
  return { deferred: 0, passed: 0 };
}

function two(value: number): string {
  return value < 10 ? `0${value}` : `${value}`;
}

function increase(counts: Map<string, number>, key: string): void {
  const count = counts.get(key);
  if (count !== undefined) counts.set(key, count + 1);
  else if (counts.size < KINDS) counts.set(detached(key), 1);
  else counts.set("other", (counts.get("other") ?? 0) + 1);
}

function sorted(counts: Map<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}

/** The rules that exempt most, and the sum of all others. */
function ranked(counts: Map<string, number>): Report["whitelistedByRule"] {
  const rules = Object.entries(sorted(counts));
  const rest = rules.slice(TOP).reduce((sum, [, count]) => sum + count, 0);
  const top = rules.slice(0, TOP);
  if (rest > 0) top.push(["all other rules", rest]);
  return top.map(([rule, count]) => ({ rule, count }));
}

function summarize(delays: Map<number, number>): Report["delay"] {
  const ascending = [...delays].sort(([a], [b]) => a - b);
  const total = ascending.reduce((sum, [, count]) => sum + count, 0);
  const histogram = DELAYS.map((below) => ({
    below: below === Infinity ? null : below,
    count: 0,
  }));
  for (const [seconds, count] of ascending) {
    histogram[DELAYS.findIndex((below) => seconds < below)].count += count;
  }
  /** The smallest delay that this share of all did not exceed. */
  const quantile = (share: number): number | null => {
    let rank = Math.ceil(share * total);
    for (const [seconds, count] of ascending) {
      rank -= count;
      if (rank <= 0) return seconds;
    }
    return null;
  };
  return {
    count: total,
    median: quantile(0.5),
    p90: quantile(0.9),
    worst: quantile(1),
    histogram,
  };
}
