/**
 * The formats in which `greylist info` writes an entry: JSON, CSV, and a table.
 *
 * @module
 */

import { moment, timestamp } from "../report/format.ts";
import { networkText, type State } from "../store/listing.ts";
import type { Timeouts } from "../store/policy.ts";
import { period, relative } from "./format.ts";

/** The columns of an entry. Times are seconds since 1970. */
interface Row {
  readonly network: string;
  readonly state: State;
  readonly accepted: number;
  readonly first: number | null;
  readonly last: number;
  readonly letInFrom: number | null;
  readonly letInUntil: number | null;
  readonly forgottenAt: number;
}

/** A format of the output. */
export interface Form {
  readonly heading?: string;
  /** One entry; times are seconds since 1970. */
  line(
    name: string,
    state: State,
    accepted: number,
    mtime: number,
    first: number | undefined,
  ): string;
}

/**
 * Chooses the format: an object a line, CSV, or the table.
 *
 * @param now seconds since 1970
 */
export function formOf(
  { json, csv }: { readonly json?: unknown; readonly csv?: unknown },
  timeouts: Timeouts,
  now: number,
): Form {
  if (json) return jsonForm(timeouts);
  const describe = rowsWith(timeouts);
  return csv ? csvForm(describe) : tableForm(describe, now);
}

/**
 * Makes the text that JSON.stringify gives for a row, in less than half the time,
 * which matters with a million entries. No value of a row needs an escape.
 */
function jsonForm({ delay, retryWindow, expireAfter }: Timeouts): Form {
  const is: Record<State, string> = {
    grey: '","state":"grey","accepted":',
    known: '","state":"known","accepted":',
    expired: '","state":"expired","accepted":',
  };
  const notGrey = ',"letInFrom":null,"letInUntil":null,"forgottenAt":';
  return {
    line(name, state, accepted, mtime, first) {
      const last = Math.floor(mtime);
      const begin = '{"network":"' + networkText(name) + is[state] + accepted +
        ',"first":' + (first === undefined ? null : Math.floor(first)) +
        ',"last":' + last;
      const forgottenAt = last + (accepted > 0 ? expireAfter : retryWindow);
      if (state !== "grey") return begin + notGrey + forgottenAt + "}";
      const from = last + delay, until = last + retryWindow;
      return begin + ',"letInFrom":' + from + ',"letInUntil":' + until +
        ',"forgottenAt":' + forgottenAt + "}";
    },
  };
}

type Describe = (...entry: Parameters<Form["line"]>) => Row;

function rowsWith({ delay, retryWindow, expireAfter }: Timeouts): Describe {
  return (name, state, accepted, mtime, first) => {
    const last = Math.floor(mtime);
    const grey = state === "grey";
    return {
      network: networkText(name),
      state,
      accepted,
      first: first === undefined ? null : Math.floor(first),
      last,
      letInFrom: grey ? last + delay : null,
      letInUntil: grey ? last + retryWindow : null,
      forgottenAt: last + (accepted > 0 ? expireAfter : retryWindow),
    };
  };
}

function csvForm(describe: Describe): Form {
  return {
    heading:
      "network,state,accepted,first,last,letInFrom,letInUntil,forgottenAt",
    line: (...entry) =>
      Object.values(describe(...entry)).map((value) => value ?? "").join(","),
  };
}

const COLOURS: Record<State, string> = {
  grey: "33",
  known: "32",
  expired: "2",
};

function tableForm(describe: Describe, now: number): Form {
  // NO_COLOR counts when it is set and not empty (no-color.org).
  const colour = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
  // The first column is wide enough for an IPv6 network of 64 bits.
  const columns = (...cells: string[]) => {
    const [network, state, accepted, first, last, next] = cells;
    return `${network.padEnd(23)}  ${state} ${accepted.padStart(8)}  ` +
      `${first.padEnd(10)}  ${last.padEnd(26)}  ${next}`;
  };
  return {
    heading: columns(
      "NETWORK",
      "STATE  ",
      "ACCEPTED",
      "FIRST SEEN",
      "LAST SEEN (AGO)",
      "NEXT",
    ),
    line(...entry) {
      const row = describe(...entry);
      const state = row.state.padEnd(7);
      return columns(
        row.network,
        colour ? `\x1b[${COLOURS[row.state]}m${state}\x1b[0m` : state,
        String(row.accepted),
        row.first === null ? "-" : timestamp(row.first).slice(0, 10),
        `${moment(row.last)} (${since(row.last, now)})`,
        next(row, now),
      );
    },
  };
}

/** The age of a time; for a time in the future, a minus sign and how far ahead. */
function since(time: number, now: number): string {
  return time > now ? `-${period(time - now)}` : period(now - time);
}

function next(row: Row, now: number): string {
  const { state, letInFrom, letInUntil, forgottenAt } = row;
  if (state === "expired") return `expired ${relative(forgottenAt, now)}`;
  if (state === "known") return `forgotten ${relative(forgottenAt, now)}`;
  return now < letInFrom!
    ? `let in after ${period(Math.ceil(letInFrom! - now))}`
    : `let in for ${period(letInUntil! - now)}`;
}
