/**
 * `greylist report`: the logs and the periods that its command line names.
 *
 * @module
 */

import type { ResolvedConfig } from "../../config.ts";
import {
  parsePeriod,
  parseTime,
  type Period,
  TIMES,
} from "../../report/period.ts";
import { type Parsed, UsageError } from "../command.ts";
import { checkStandardInput, type LogName } from "../logs.ts";

/**
 * Takes the options `--host=NAME=LOGFILE` and `--host NAME=LOGFILE` out of the
 * arguments; no other option may be given several times.
 */
export function takeHosts(
  args: string[],
): { hosts: LogName[]; rest: string[] } {
  const hosts: LogName[] = [];
  const rest: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === "--") return { hosts, rest: [...rest, ...args.slice(i)] };
    if (arg !== "--host" && !arg.startsWith("--host=")) {
      rest.push(arg);
      continue;
    }
    const value = arg === "--host" ? args[++i] ?? "" : arg.slice(7);
    const match = /^([^=\s]+)=(.+)$/s.exec(value);
    if (match === null) {
      throw new UsageError(`--host=${value}: expected --host=NAME=LOGFILE`);
    }
    hosts.push({ host: match[1], path: match[2] });
  }
  return { hosts, rest };
}

/** The logs to be read; without any, that of `log.target` or standard input. */
export function logNames(
  hosts: LogName[],
  operands: string[],
  { log }: ResolvedConfig,
): LogName[] {
  const names = [...hosts, ...operands.map((path) => ({ path }))];
  if (names.length === 0) {
    names.push({ path: log.target.startsWith("/") ? log.target : "-" });
  }
  checkStandardInput(names.map(({ path }) => path));
  return names;
}

/** The period of `--since` and `--until`; undefined without them. */
export function periodOf(
  { since, until }: Parsed["options"],
  now: number,
): Period | undefined {
  if (since === undefined && until === undefined) return undefined;
  const time = (name: string, text: typeof since, absent: number) => {
    if (text === undefined) return absent;
    const time = parseTime(String(text), now);
    if (time !== undefined) return time;
    throw new UsageError(`--${name}=${text}: expected ${TIMES}`);
  };
  const period = {
    since: time("since", since, -Infinity),
    until: time("until", until, Infinity),
  };
  if (period.since < period.until) return period;
  throw new UsageError(
    `--until=${until}: expected a time after --since=${since}`,
  );
}

/** The period of `--compare`; undefined without it. */
export function otherPeriod(
  text: string | undefined,
  now: number,
): Period | undefined {
  if (text === undefined) return undefined;
  const period = parsePeriod(text, now);
  if (period !== undefined) return period;
  throw new UsageError(
    `--compare=${text}: expected FROM..TO, FROM before TO, each ${TIMES}`,
  );
}
