/**
 * The figures of the report.
 *
 * @module
 */

import type { Advice } from "./advice.ts";
import type { Delay } from "./delay.ts";
import type { HostRow } from "./hosts.ts";
import type { Count } from "./load.ts";
import type { NetworkRow } from "./networks.ts";
import type { PoolRow } from "./pools.ts";

/** The whole report; `report --json` prints it. */
export interface Report {
  lines: {
    read: number;
    entries: number;
    /** Entries outside of the period that was asked for. */
    outside: number;
    foreign: number;
    unreadable: number;
    /** Entries that were never written, because the log did not take them. */
    lost: number;
  };
  /** The names of logs with damaged gzip data, read up to there. */
  damaged: string[];
  /** First and last time of an entry, in seconds since 1970. */
  from: number | null;
  to: number | null;
  /** How long a deferred network has to come again, in seconds. */
  retryWindow: number;
  connections: number;
  deferred: number;
  /** Let in, and deferred if the mode were not "observe". */
  wouldDefer: number;
  passed: number;
  /** By a limit or a rule of `serve`. */
  turnedAway: number;
  deferredByReason: Record<string, number>;
  wouldDeferByReason: Record<string, number>;
  passedByReason: Record<string, number>;
  /** The reason of `busy`, or the rule of `deny`. */
  turnedAwayByReason: Record<string, number>;
  warnings: number;
  errors: number;
  /** The errors and warnings that were written most often. */
  troubles: { level: string; what: string; count: number }[];
  networks: {
    /** Networks with a deferral; "new networks" in the text. */
    deferred: number;
    accepted: number;
    stopped: number;
    /** Of the stopped: those that came once and never again. */
    once: number;
    open: number;
    /** Of the deferred: those in mode "observe" only. */
    observed: number;
    /** Deferrals of networks beyond the most that are kept apart. */
    deferralsBeyondLimit: number;
    limit: number;
  };
  delay: Delay;
  byHour: (Count & { hour: number })[];
  byDay: (Count & { day: string })[];
  /** One row a host; empty unless the log names several. */
  hosts: HostRow[];
  advice: Advice[];
  mostDeferred: NetworkRow[];
  mostTries: NetworkRow[];
  /** Networks in mode "observe" only, that came again in time. */
  wouldDelay: NetworkRow[];
  pools: PoolRow[];
  /** Pools with the fewest moves that were forgotten for want of room. */
  poolsForgotten: number;
  whitelistedByRule: { rule: string; count: number }[];
}
