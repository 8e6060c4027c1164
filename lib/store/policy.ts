/**
 * The verdict: what one entry's state means for one connection. Pure: the caller
 * gives the time and the entry.
 *
 * @module
 */

/** What one `stat` of an entry's file gives. */
export interface Entry {
  /** How often it was accepted; 0 is grey, more is known. */
  readonly accepted: number;
  /** When it was last written, in seconds since 1970, with fractions. */
  readonly mtime: number;
}

/** The three limits, all in seconds. */
export interface Timeouts {
  /** How long a new client has to wait before it is let in. */
  readonly delay: number;
  /** How long after first contact a retry still counts. */
  readonly retryWindow: number;
  /** How long after its last mail a known client is forgotten. */
  readonly expireAfter: number;
}

/** The answer for one connection. */
export type Verdict = Defer | Pass;

/** Why a client is told to come back later. */
export const DEFER_REASONS = ["new", "early", "stale", "expired"] as const;

/** Tell the client to come back later. */
export interface Defer {
  readonly action: "defer";
  readonly reason: typeof DEFER_REASONS[number];
  /** How many seconds from now a retry is let in, rounded up, at least 1. */
  readonly wait: number;
  /** How the store has to change the entry. */
  readonly write: "create" | "touch" | "reset" | "none";
}

/** Let the client in. */
export interface Pass {
  readonly action: "pass";
  readonly reason: "retried" | "known";
  /** Seconds since the entry was last written, rounded down. */
  readonly age: number;
  /** The accepted count, this connection included. */
  readonly accepted: number;
  /** How the store has to change the entry: one more accepted connection. */
  readonly write: "accept";
}

/**
 * How old an entry is, in seconds. If the clock was set back, the age is 0, not
 * negative.
 */
export function ageOf(entry: Entry, now: number): number {
  return Math.max(0, now - entry.mtime);
}

/** Whether the entry has expired, so that `prune` may remove it. */
export function isForgotten(
  entry: Entry,
  now: number,
  timeouts: Timeouts,
): boolean {
  const { accepted } = entry;
  const limit = accepted > 0 ? timeouts.expireAfter : timeouts.retryWindow;
  return ageOf(entry, now) > limit;
}

/**
 * Decides about a connection.
 *
 * @param entry the state of the client's network, undefined if there is none
 * @param now seconds since 1970
 */
export function judge(
  entry: Entry | undefined,
  now: number,
  timeouts: Timeouts,
): Verdict {
  const { delay } = timeouts;
  if (entry === undefined) return defer("new", delay, "create");
  const age = ageOf(entry, now);
  const forgotten = isForgotten(entry, now, timeouts);
  if (entry.accepted > 0) {
    return forgotten
      ? defer("expired", delay, "reset")
      : pass("known", age, entry.accepted + 1);
  }
  if (age < delay) {
    // An mtime far in the future would otherwise defer until it is reached.
    return entry.mtime > now + delay
      ? defer("early", delay, "touch")
      : defer("early", entry.mtime + delay - now, "none");
  }
  return forgotten ? defer("stale", delay, "touch") : pass("retried", age, 1);
}

function defer(
  reason: Defer["reason"],
  wait: number,
  write: Defer["write"],
): Defer {
  // A client that is told "in 0 seconds" and obeys would be early again.
  return {
    action: "defer",
    reason,
    wait: Math.max(1, Math.ceil(wait)),
    write,
  };
}

function pass(reason: Pass["reason"], age: number, accepted: number): Pass {
  return {
    action: "pass",
    reason,
    age: Math.floor(age),
    accepted,
    write: "accept",
  };
}
