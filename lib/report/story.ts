/**
 * The sentences of the report.
 *
 * @module
 */

import { quote } from "../log/line.ts";
import { amount, counted, duration, moment, roughly } from "./format.ts";
import { WAIT } from "./advice.ts";
import { MOVES } from "./pools.ts";
import type { Report } from "./report.ts";

/** The first sentence: what became of new networks. */
export function summary(report: Report): string {
  const { networks, delay, connections } = report;
  const { deferred, stopped, accepted } = networks;
  if (connections === 0) return "The log holds no connection.";
  if (deferred === 0) return "No new network was deferred.";
  const all = counted(deferred, "new network");
  if (networks.observed === deferred) {
    const again = `${amount(accepted)} came again in time`;
    if (isShort(report)) return `Of ${all}, all let in, ${again} so far.`;
    return `${roughly(stopped, deferred)} of ${all}, all let in, never came ` +
      `back in time; ${again}.`;
  }
  const waits = delay.count === accepted
    ? "them"
    : `${accepted === 1 ? "its" : "their"} ${counted(delay.count, "wait")}`;
  const half = delay.count === 0
    ? ""
    : `, half of ${waits} within ${duration(delay.median)}`;
  const later = accepted === 0
    ? "none was let in later"
    : `${amount(accepted)} ${accepted === 1 ? "was" : "were"} let in` +
      (accepted === 1 && delay.count === 1
        ? ` after ${duration(delay.median)}`
        : half);
  if (isShort(report)) return `Of ${all}, ${later} so far.`;
  return `${roughly(stopped, deferred)} of ${all} never came back in time; ` +
    `${later}.`;
}

/** Whether the log ends before any network can count as stopped. */
function isShort({ from, to, retryWindow }: Report): boolean {
  return from === null || to === null || to - from < retryWindow;
}

/** The caveats that belong to the first sentence, which would mislead alone. */
export function caveats(report: Report): string[] {
  const { from, to, networks, retryWindow, connections } = report;
  const { deferred, observed, open } = networks;
  const said: string[] = [];
  if (connections === 0) return said;
  const window = duration(retryWindow);
  if (from === null || to === null) {
    said.push(
      "No line has a time: nothing is said by hour or day, and no network " +
        "counts as stopped.",
    );
  } else if (isShort(report)) {
    said.push(
      `The log is too short to say which networks were stopped: it spans ${
        duration(to - from)
      }, and a network counts as stopped after ${window} without a good retry.`,
    );
  } else if (2 * open > deferred) {
    said.push(
      `The log is short: ${amount(open)} of the ${
        counted(deferred, "new network")
      } can still come back within ${window}. A week tells more.`,
    );
  }
  const busy = report.turnedAwayByReason.limit ?? 0;
  if (busy > 0) {
    said.push(
      `${counted(busy, "connection")} of ${amount(connections)} got a 421 ` +
        "because all programs that `limit` allows were in use.",
    );
  }
  const start = report.turnedAwayByReason.start ?? 0;
  if (start > 0) {
    said.push(
      `${counted(start, "connection")} of ${amount(connections)} got a 421 ` +
        "because PROGRAM did not start in time, although `limit` allowed more.",
    );
  }
  if (observed > 0) {
    said.push(
      `${
        observed === deferred
          ? "Nobody was deferred"
          : `${counted(observed, "new network")} of these ${
            observed === 1 ? "was" : "were"
          } let in at once`
      } (mode "observe"). A real sender whose mail was taken has no reason to ` +
        "come again, so the share that greylisting stops is at most the share " +
        "that never came back.",
    );
  }
  return said;
}

/** Remarks on what was left out, for the end of the report. */
export function remarks(report: Report): string[] {
  const { lines, damaged, networks, poolsForgotten } = report;
  const said: string[] = [];
  if (lines.outside > 0) {
    said.push(
      `${counted(lines.outside, "entry", "entries")} outside of the period ` +
        "were left out.",
    );
  }
  if (lines.unreadable > 0) {
    said.push(
      `${amount(lines.unreadable)} of ${
        amount(lines.read)
      } lines could not be read.`,
    );
  }
  if (lines.lost > 0) {
    said.push(
      `${counted(lines.lost, "line")} of serve ` +
        `${
          lines.lost === 1 ? "was" : "were"
        } lost because the log did not take ` +
        "them: the figures lack them.",
    );
  }
  for (const log of damaged) {
    const what = log === "-" ? "standard input" : quote(log);
    said.push(
      `The gzip data of ${what} is damaged: this report lacks what follows the ` +
        "damage.",
    );
  }
  if (lines.foreign > 0) {
    said.push(
      `${counted(lines.foreign, "line")} of other programs ` +
        `${lines.foreign === 1 ? "was" : "were"} passed over.`,
    );
  }
  if (networks.deferralsBeyondLimit > 0) {
    said.push(
      `${
        counted(networks.deferralsBeyondLimit, "deferral")
      } came from networks beyond the ${
        amount(networks.limit)
      } that are kept apart and count as connections only.`,
    );
  }
  if (poolsForgotten > 0) {
    said.push(
      `${
        counted(poolsForgotten, "candidate")
      } for a pool, with few moves each, did not fit into memory.`,
    );
  }
  return said;
}

/** The heading over errors and warnings; undefined if there are none. */
export function troubleHeading(report: Report): string | undefined {
  const { errors, warnings } = report;
  const parts: string[] = [];
  if (errors > 0) parts.push(counted(errors, "error"));
  if (warnings > 0) parts.push(counted(warnings, "warning"));
  return parts.length === 0 ? undefined : parts.join(" and ");
}

/** What was done with connections, how often, and how often for which reason. */
export function verdicts(report: Report) {
  const always = ["deferred", "let in"];
  return [
    {
      name: "deferred",
      count: report.deferred,
      byReason: report.deferredByReason,
    },
    {
      name: "would have been deferred",
      count: report.wouldDefer,
      byReason: report.wouldDeferByReason,
    },
    { name: "let in", count: report.passed, byReason: report.passedByReason },
    {
      name: "turned away",
      count: report.turnedAway,
      byReason: report.turnedAwayByReason,
    },
  ].filter(({ name, count }) => count > 0 || always.includes(name));
}

/** Whether the log is of mode "observe" alone. */
export function isObserved({ networks, delay }: Report): boolean {
  const { observed, deferred } = networks;
  return deferred > 0 && observed === deferred && delay.count === 0;
}

/** How long mail had to wait, as a sentence. */
export function waits(report: Report): string {
  const { delay } = report;
  if (isObserved(report)) return 'No mail waited (mode "observe").';
  if (delay.count === 0) return "No wait ended in acceptance.";
  return `${counted(delay.count, "wait")}: half took up to ${
    duration(delay.median)
  }, 90 % up to ${duration(delay.p90)}, the longest ${duration(delay.worst)}.`;
}

/** The time that the log spans; empty if no line has a time. */
export function span({ from, to }: Report): string {
  if (from === null || to === null) return "";
  return `${moment(from)} to ${moment(to)} (${duration(to - from)})`;
}

/** The text around the lines to paste. */
export const ADVICE = {
  note: "A sender is proposed if the same mail came again from another " +
    `network ${MOVES} times, from ${MOVES} networks or more, and one of them ` +
    `was let in; a network, if its mail waited for ${
      duration(WAIT)
    } or more. ` +
    "Clients that the configuration covers already are left out. Check " +
    "each line before you paste it: a spammer that came back looks the same. " +
    "The domain of a pool is guessed from HELO: make sure that one sender " +
    "owns all of it: it may be the domain of a cloud or of a registry.",
  pool: "Pools, for greylist.config.ts",
  whitelist: "Whitelist, for a file of whitelist.files",
  look: "Never let in, perhaps real mail",
  lookNote: `The same mail came for ${duration(WAIT)} or more, again and ` +
    "again from other networks, and none of these networks was let in: they " +
    "count as stopped or open. Unless the mail came through a network that was " +
    "known before, it has not arrived so far. If its sender gives up, its " +
    "author gets a bounce; Exchange Online gives up after a day. Spam may look " +
    "the same, and a domain is only what clients say in HELO: look up the " +
    "address. If it belongs to a real mail service, make that a pool: greylist " +
    "help pools.",
} as const;

/** The outcomes of a network, in the order of the bar. */
export function outcomes({ networks, retryWindow }: Report) {
  const { stopped, accepted, open, observed, deferred } = networks;
  const only = observed === deferred && deferred > 0;
  return [
    {
      outcome: "stopped",
      name: only ? "never came back" : "stopped",
      count: stopped,
      note: only ? "" : "never let in",
    },
    {
      outcome: "delayed",
      name: only ? "came again" : "let in later",
      count: accepted,
      note: "",
    },
    {
      outcome: "open",
      name: "still open",
      count: open,
      note: `log ends within ${duration(retryWindow)}`,
    },
  ] as const;
}
