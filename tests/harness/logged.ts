/**
 * Reads the log lines of sessions by a strict grammar: a forged field or line does
 * not match it.
 *
 * @module
 */

import { clientLines } from "./binary.ts";
import { DEADLINE, waitFor } from "./process.ts";

/** The line of a deferred session; values are still escaped. */
export interface Deferred {
  readonly ip: string;
  readonly net: string;
  readonly reason: string;
  readonly helo?: string;
  readonly from?: string;
  readonly to?: string;
}

/** The line of a session that was let in. */
export interface Passed {
  readonly ip: string;
  readonly net: string;
  readonly reason: string;
  readonly accepted: string;
}

const STAMP = String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`;
const WHO = String.raw`ip=(?<ip>[0-9a-f.:]+) net=(?<net>[0-9a-f.:/]+)`;
// Nothing invisible, no blank, no control character, no forged escape.
const VALUE = String
  .raw`(?:[^\p{C}\p{Z}\p{DI}\\"]|\\x[0-9a-f]{2})*(?:\.\.\.)?`;
const ENVELOPE = `(?: helo=(?<helo>${VALUE}))?` +
  `(?: from=<(?<from>${VALUE})>)?(?: to=<(?<to>${VALUE})>)?`;
const PROXY = ' what="a PROXY header or an empty line: [^"]+"';
const DEFERRED = new RegExp(
  `${STAMP} defer ${WHO} reason=(?<reason>[a-z]+) wait=\\d+` +
    `(?:${PROXY}|${ENVELOPE})$`,
  "u",
);
const PASSED = new RegExp(
  `${STAMP} pass ${WHO} reason=(?<reason>[a-z]+) age=\\d+ ` +
    "accepted=(?<accepted>\\d+)$",
);

function read<T>(line: string, grammar: RegExp): T {
  const match = grammar.exec(line);
  if (match === null || line.length > 1500) {
    throw new Error(`not the line of a session: ${JSON.stringify(line)}`);
  }
  return { ...match.groups } as T;
}

/**
 * Waits for the lines of a number of sessions.
 *
 * @param patience how long, in seconds
 * @throws {Error} if there are fewer, or more
 */
async function sessions<T>(
  count: number,
  grammar: RegExp,
  patience: number,
): Promise<T[]> {
  await waitFor(
    `${count} lines`,
    () => clientLines().length >= count,
    patience,
  );
  const all = clientLines();
  if (all.length > count) {
    const some = all.slice(0, 20).join("\n");
    throw new Error(`${all.length} lines of ${count} sessions:\n${some}`);
  }
  return all.map((line) => read<T>(line, grammar));
}

/** The lines of that many deferred sessions; there must be no others. */
export function deferred(
  count: number,
  patience = DEADLINE,
): Promise<Deferred[]> {
  return sessions(count, DEFERRED, patience);
}

/** The lines of that many sessions that were let in; there must be no others. */
export function passed(count: number, patience = DEADLINE): Promise<Passed[]> {
  return sessions(count, PASSED, patience);
}
