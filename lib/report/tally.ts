/**
 * What a log says of greylisting at this site, counted in bounded memory.
 *
 * @module
 */

import { advise, type Covered } from "./advice.ts";
import { detached } from "./columns.ts";
import { Delays } from "./delay.ts";
import { Hosts } from "./hosts.ts";
import { Load } from "./load.ts";
import { fieldOf, type LogLine } from "./logline.ts";
import { Networks, type Wait } from "./networks.ts";
import { includes, type Period } from "./period.ts";
import { Pools } from "./pools.ts";
import type { Report } from "./report.ts";

/** How many networks are kept apart: some 300 bytes each. */
const NETWORKS = 600_000;
/** Different reasons, rules and messages that are kept apart. */
const KINDS = 10_000;
const TOP = 10;
/** Errors and warnings that are shown. */
const TROUBLES = 5;
/** Candidates for a pool or a whitelist, including those already covered. */
const CANDIDATES = 100;

/** The path of an entry in an error; see entryName and poolEntryName. */
const ENTRY = /^(\/.*\/)(?:[\da-f]*[.:][\da-f.:]*(?:_\d+)?|@[\w.-]+)(: .*)$/;

/** Counts entries one by one, in the order of the log. */
export class Tally {
  readonly #retryWindow: number;
  readonly #period: Period | undefined;
  readonly #lines = {
    read: 0,
    entries: 0,
    outside: 0,
    foreign: 0,
    unreadable: 0,
    lost: 0,
  };
  readonly #damaged: string[] = [];
  readonly #deferrals = new Map<string, number>();
  readonly #observed = new Map<string, number>();
  readonly #passes = new Map<string, number>();
  readonly #turnedAway = new Map<string, number>();
  readonly #rules = new Map<string, number>();
  readonly #troubles = new Map<string, number>();
  readonly #delays = new Delays();
  readonly #load = new Load();
  readonly #hosts = new Hosts();
  readonly #networks: Networks;
  readonly #pools: Pools;
  #warnings = 0;
  #errors = 0;
  #beyond = 0;
  #from = Infinity;
  #to = -Infinity;

  /**
   * @param retryWindow seconds, as configured: how long a deferred network has
   * to come again before its silence counts as the end of it
   * @param period entries outside of it are left out
   * @param limits how much is kept apart at most, for tests
   */
  constructor(
    retryWindow: number,
    period?: Period,
    limits: { networks?: number; pools?: number } = {},
  ) {
    this.#retryWindow = retryWindow;
    this.#period = period;
    this.#networks = new Networks(limits.networks ?? NETWORKS);
    this.#pools = new Pools(limits.pools);
  }

  /** A line that was too long to be looked at. */
  addUnreadable(): void {
    this.#lines.read++;
    this.#lines.unreadable++;
  }

  /** A log with damaged gzip data: the rest of it is missing. */
  addDamaged(log: string): void {
    this.#damaged.push(log);
  }

  /** Counts one line. */
  add(line: LogLine): void {
    this.#lines.read++;
    if (line.kind !== "entry") this.#lines[line.kind]++;
    else for (let i = 0; i < line.times; i++) this.#entry(line);
  }

  #entry(line: LogLine): void {
    const { time, level, verb } = line;
    if (this.#period !== undefined && !includes(this.#period, time)) {
      this.#lines.outside++;
      return;
    }
    this.#lines.entries++;
    if (time !== undefined) {
      if (time < this.#from) this.#from = time;
      if (time > this.#to) this.#to = time;
    }
    this.#hosts.enter(line.host);
    const failed = level === "ERROR" || level === "CRITICAL";
    if (failed || level === "WARN") {
      if (failed) this.#errors++;
      else this.#warnings++;
      this.#hosts.count(failed ? "errors" : "warnings");
      const what = withoutEntry(line.what) || verb;
      increase(this.#troubles, `${level} ${what}`, `${level} other`);
    }
    if (verb === "log") this.#lines.lost += Number(fieldOf(line, "lost")) || 0;
    if (verb === "pass") this.#pass(line);
    else if (verb === "would-defer") this.#defer(line, true);
    else if (verb === "defer") {
      // A client that was let in and found no PROGRAM has its line already.
      if (fieldOf(line, "client") === undefined) this.#defer(line, false);
    } else if (verb === "busy" || verb === "deny") {
      const reason = fieldOf(line, "reason") ?? fieldOf(line, "rule");
      increase(this.#turnedAway, reason ?? "unknown");
    }
  }

  #defer(line: LogLine, observed: boolean): void {
    this.#hosts.count(observed ? "wouldDefer" : "deferred");
    const reason = fieldOf(line, "reason") ?? "error";
    increase(observed ? this.#observed : this.#deferrals, reason);
    const { time } = line;
    const number = this.#wait(line, reason, observed);
    if (time !== undefined) this.#load.defer(time, number);
  }

  /**
   * Notes that a network waits.
   *
   * @returns the network's number, undefined if it does not wait or has none
   */
  #wait(line: LogLine, reason: string, observed: boolean): number | undefined {
    const network = fieldOf(line, "net");
    // A local problem also defers networks that are known.
    if (network === undefined || reason === "error") return undefined;
    const mail = {
      ip: fieldOf(line, "ip"),
      helo: fieldOf(line, "helo"),
      from: fieldOf(line, "from"),
      to: fieldOf(line, "to"),
    };
    const { time } = line;
    const host = this.#hosts.current;
    const number = this.#networks.defer({
      network,
      time,
      reason,
      observed,
      host,
      ...mail,
    });
    if (number === undefined) this.#beyond++;
    else this.#pools.add(number, mail, time);
    return number;
  }

  #pass(line: LogLine): void {
    this.#hosts.count("passed");
    const { time } = line;
    const reason = fieldOf(line, "reason") ?? "error";
    increase(this.#passes, reason);
    if (reason === "whitelisted") {
      increase(this.#rules, fieldOf(line, "rule") ?? "unknown");
    }
    const wait = this.#letIn(fieldOf(line, "net"), reason, time);
    const waited = reason === "retried" && wait !== "observed";
    if (time !== undefined) this.#load.pass(time, waited);
    if (!waited) return;
    this.#hosts.retried(wait?.host);
    // If the first deferral is not in the log, the age of the entry is the delay.
    const delay = wait?.delay ?? Number(fieldOf(line, "age") ?? NaN);
    if (delay >= 0 && delay < Infinity) this.#delays.add(delay);
  }

  /** Notes that a network was let in; returns the wait that this ended, if any. */
  #letIn(
    network: string | undefined,
    reason: string,
    time: number | undefined,
  ): Wait | "observed" | undefined {
    if (network === undefined) return undefined;
    if (reason === "retried" || reason === "known") {
      return this.#networks.pass(network, reason === "retried", time);
    }
    // A client that is whitelisted or unsuspected says nothing about the client of
    // the same network that waits.
    if (reason === "error") this.#networks.passUnchecked(network);
    return undefined;
  }

  /**
   * The report on everything counted so far.
   *
   * @param covered tells which clients need no advice
   */
  report(covered: Covered = () => false): Report {
    const timed = this.#to >= this.#from;
    const networks = this.#networks;
    const closed = this.#to - this.#retryWindow;
    const { totals, ...rows } = networks.summary(closed, CANDIDATES);
    const pools = this.#pools.top(
      CANDIDATES,
      (network) => networks.isAccepted(network),
    );
    const deferred = total(this.#deferrals);
    const wouldDefer = total(this.#observed);
    const passed = total(this.#passes);
    const turnedAway = total(this.#turnedAway);
    return {
      lines: { ...this.#lines },
      damaged: [...this.#damaged],
      from: timed ? this.#from : null,
      to: timed ? this.#to : null,
      retryWindow: this.#retryWindow,
      connections: deferred + wouldDefer + passed + turnedAway,
      deferred,
      wouldDefer,
      passed,
      turnedAway,
      deferredByReason: sorted(this.#deferrals),
      wouldDeferByReason: sorted(this.#observed),
      passedByReason: sorted(this.#passes),
      turnedAwayByReason: sorted(this.#turnedAway),
      warnings: this.#warnings,
      errors: this.#errors,
      troubles: Object.entries(sorted(this.#troubles)).slice(0, TROUBLES)
        .map(([text, count]) => {
          const end = text.indexOf(" ");
          return {
            level: text.slice(0, end),
            what: text.slice(end + 1),
            count,
          };
        }),
      networks: {
        ...totals,
        deferralsBeyondLimit: this.#beyond,
        limit: networks.limit,
      },
      delay: this.#delays.summary(),
      ...this.#load.summary((network) => networks.outcome(network, closed)),
      hosts: this.#hosts.rows(),
      advice: advise(pools, rows.longestWaits, covered).slice(0, TOP),
      mostDeferred: rows.mostDeferred.slice(0, TOP),
      mostTries: rows.mostTries.slice(0, TOP),
      wouldDelay: rows.wouldDelay.slice(0, TOP),
      pools: pools.slice(0, TOP),
      poolsForgotten: this.#pools.forgotten,
      whitelistedByRule: ranked(this.#rules),
    };
  }
}

/** @param other the key that is counted instead if there are {@linkcode KINDS} keys */
function increase(
  counts: Map<string, number>,
  key: string,
  other = "other",
): void {
  const count = counts.get(key);
  if (count !== undefined) counts.set(key, count + 1);
  else if (counts.size < KINDS) counts.set(detached(key), 1);
  else counts.set(other, (counts.get(other) ?? 0) + 1);
}

/** An error without the name of the client's entry: a full disk is one trouble. */
function withoutEntry(what: string): string {
  return what.replace(ENTRY, "$1...$2");
}

function total(counts: Map<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
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
