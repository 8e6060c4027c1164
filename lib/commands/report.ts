/**
 * `greylist report`: what the log says that greylisting does for this site.
 *
 * @module
 */

import { htmlReport, PAGE_START } from "../report/html.ts";
import { type LogLine, LogReader } from "../report/logline.ts";
import type { Report } from "../report/report.ts";
import { counted } from "../report/format.ts";
import { caveats, summary } from "../report/story.ts";
import { Tally } from "../report/tally.ts";
import { textReport } from "../report/text.ts";
import {
  type Command,
  EXIT,
  Output,
  parseOptions,
  UsageError,
} from "./command.ts";
import { checkOutput, replaceFile } from "./files.ts";
import { type LogName, readLogs } from "./logs.ts";
import {
  logNames,
  otherPeriod,
  periodOf,
  takeHosts,
} from "./report/arguments.ts";
import { coverage } from "./report/coverage.ts";

const HELP = `NAME
  greylist report - what greylisting does for this site, from its log

SYNOPSIS
  greylist report [--since=TIME] [--until=TIME] [--compare=FROM..TO]
                  [--json] [--html=FILE] [--host=NAME=LOGFILE...] [LOGFILE...]

DESCRIPTION
  Reads log lines of greylist and says first what became of new networks: how
  many were stopped, how many were let in later and after how long. Then come
  the delay of real mail, what you can do about mail that waited for long, with
  lines to paste, the load by hour and day, and what stands out. Errors and
  warnings in the log stand on top.

  LOGFILE may have been written by multilog (with its @4000... stamps, or after
  tai64nlocal), svlogd, s6-log, splogger, a syslog daemon, journalctl or
  greylist itself, and it may be compressed with gzip. - is standard input.
  Several files are read as one log, in the order of the times of their lines:
  rotated files as well as files of several hosts that share one database. A
  file that is named twice is read once. Without LOGFILE the file that
  log.target in greylist.config.ts names is read, or else standard input.

  Lines of other programs are passed over. Lines that cannot be read are
  counted. A syslog stamp has no year: a file is taken to span less than one.

  A new network is one that was deferred at least once, other than by an error.
  It counts as stopped if it was never let in and the log goes on for at least
  timeouts.retryWindow after its retry window began; until then it is open. A
  client that is whitelisted or unsuspected does not let its network in. Delays
  run from the first deferral to acceptance and are exact to the second; a
  silence of more than five days begins another wait. Days and hours are local
  time.

  In mode "observe" every client is let in: the report says which networks never
  came back and which did. A real sender has no reason to come back then, so the
  share that never did is the most that greylisting can stop.

  What you can do: a sender is proposed as a pool if the same mail came again
  from another network three times, from three networks or more, and one of them
  was let in. Its domain is guessed from HELO: make sure that one sender owns
  it. A network is proposed for the whitelist if its mail waited for an hour.
  If the same mail moved for an hour or more and none of the networks was let
  in, the sender is shown without a line to paste: it may be spam, or real mail
  of which the author gets a bounce. Clients that the configuration covers
  already, by address or by the name in HELO, are left out.

OPTIONS
  --since=TIME   Only lines from TIME on: 2026-11-23, "2026-11-23 19:00"
                 (local time), 2026-11-23T19:00:00Z, or 7d, 12h, 30m before now.
  --until=TIME   Only lines before TIME.
  --compare=FROM..TO
                 Puts another period beside this one, such as the week before a
                 change of the configuration. FROM or TO may be left out.
  --host=NAME=LOGFILE
                 A log of the host NAME; may be given several times. Lines that
                 a syslog daemon wrote already name their host. With several
                 hosts the report has a line for each.
  --json         Print one JSON object instead of text.
  --html=FILE    Write a page with charts to FILE instead of text to standard
                 output; - is standard output. A FILE that exists has to be such
                 a page or empty, and keeps its mode and owner. It is left as it
                 was if no line of greylist was read, unless all LOGFILEs are
                 empty files.

JSON
  summary        the first sentence
  caveats        what has to be said next to it, a list of sentences
  lines          read, entries (a line repeated N times counts N times),
                 outside (of the period), foreign, unreadable, lost (not written
                 by serve, because the log did not take them)
  damaged        each LOGFILE with damaged gzip data, which was read up to there
  from, to       time of the first and last line, seconds since 1970, or null
  retryWindow    seconds, as configured
  connections, deferred, wouldDefer (in mode "observe"), passed, turnedAway (by
  a limit or a rule of serve), warnings, errors
                 how many
  troubles       the errors and warnings written most often: level, what, count
  deferredByReason, wouldDeferByReason, passedByReason, turnedAwayByReason
                 connections by reason
  networks       deferred (new networks), and of these accepted, stopped (once:
                 of the stopped those that came once) and open; observed: of the
                 deferred those in mode "observe" only; limit: how many are kept
                 apart; deferralsBeyondLimit: deferrals of any further ones
  delay          count, median, p90, worst in seconds; histogram of below
                 (seconds, null in the last one) and count
  byHour, byDay  connections by hour (0 to 23) or day, by what became of their
                 network: stopped, delayed, open, atOnce
  hosts          host, deferred, wouldDefer, passed, retried (let in after a
                 wait), elsewhere (of these, first deferred by another host),
                 warnings, errors; empty unless there are several hosts
  advice         kind (pool, whitelist or look), subject, why, paste (the line;
                 empty for look)
  mostDeferred, mostTries, wouldDelay (in mode "observe" only, came again)
                 network, deferrals, tries (in the wait with the most), delay
                 (of that wait, in seconds), longest (wait), outcome, ip, helo,
                 from
  pools          domains whose mail came again from another of their networks:
                 domain (a guess), hosts (what the HELO names have in common),
                 moves, networks (1000 at most), accepted (of these networks),
                 tried (seconds over which one mail came three times or more
                 from another network within a day), ip, helo, from
  poolsForgotten candidates with few moves that did not fit into memory
  whitelistedByRule
                 rule, count; the tenth is followed by the sum of all others
  compared       with --compare: the same for the other period

EXIT STATUS
  0    done
  100  the command line is wrong, a file is missing or may not be read, or a
       page is not written for want of a log
  111  a disk or file system fails
`;

/** The subcommand. */
export const command: Command = {
  help: HELP,
  async run(args, { config }) {
    const { hosts, rest } = takeHosts(args);
    const { options, operands } = parseOptions(rest, {
      string: ["html", "since", "until", "compare"],
      boolean: ["json"],
    });
    const page = options.html as string | undefined;
    if (page === "-" && options.json) {
      throw new UsageError("--html=- and --json: both are for stdout");
    }
    const now = Date.now() / 1000;
    const period = periodOf(options, now);
    const other = otherPeriod(options.compare as string | undefined, now);
    // Checked before the log is read, which may be a gigabyte.
    if (page !== undefined && page !== "-") {
      checkOutput(page, PAGE_START, "page of greylist report");
    }

    const { retryWindow } = config.timeouts;
    const tally = new Tally(retryWindow, period);
    const otherTally = other && new Tally(retryWindow, other);
    const names = logNames(hosts, operands, config);
    await readLogs(names, {
      command: "report",
      reader: (written, host) => new LogReader(written, host),
      line(line: LogLine) {
        tally.add(line);
        otherTally?.add(line);
      },
      long() {
        tally.addUnreadable();
        otherTally?.addUnreadable();
      },
      damaged(path) {
        tally.addDamaged(path);
        otherTally?.addDamaged(path);
      },
    });
    const covered = await coverage(config);
    const report = tally.report(covered);
    const compared = otherTally?.report(covered);

    if (page !== undefined && page !== "-") refuseNoLog(report, names, page);

    const output = new Output();
    if (page !== undefined) {
      const text = htmlReport(report, now, compared);
      if (page === "-") output.line(text.trimEnd());
      else replaceFile(page, text);
    }
    if (options.json) {
      const found = {
        ...withSentences(report),
        compared: compared && withSentences(compared),
      };
      output.line(JSON.stringify(found));
    } else if (page === undefined) {
      for (const line of textReport(report, compared)) output.line(line);
    }
    output.flush();
    return EXIT.done;
  },
};

/**
 * Keeps the old page if what was read is no log: another program's file, or the empty
 * output of a command that failed. An empty file is the log of a quiet night.
 *
 * @throws {UsageError}
 */
function refuseNoLog(
  { lines, damaged }: Report,
  names: LogName[],
  page: string,
): void {
  if (lines.entries + lines.outside > 0) return;
  const isEmpty = lines.read === 0 && damaged.length === 0;
  const paths = names.map(({ path }) => path);
  if (isEmpty && !paths.includes("-")) return;
  const [path] = paths;
  const one = path === "-" ? "standard input" : path;
  const where = paths.length === 1 ? one : `${paths.length} logs`;
  const what = lines.read === 0
    ? "no line"
    : `no line of greylist in ${counted(lines.read, "line")}`;
  throw new UsageError(
    `${where}: ${what}: expected a log of greylist: ${page} is not written`,
  );
}

/** The report with its sentences, as `--json` prints it. */
function withSentences(report: Report) {
  return { summary: summary(report), caveats: caveats(report), ...report };
}
