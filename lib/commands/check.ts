/**
 * `greylist check`: looks for mistakes in an installation.
 *
 * @module
 */

import type { ResolvedConfig } from "../config.ts";
import type { ServeConfig } from "../serve/config.ts";
import { findProgram } from "../system/access.ts";
import { variable } from "../system/environment.ts";
import { binaryPath } from "../system/own_program.ts";
import { userId } from "../system/user.ts";
import { workAs } from "./user_rights.ts";
import { baseDirectory, content } from "./check/base_directory.ts";
import { clock } from "./check/clock.ts";
import {
  clientNames,
  type CommandLine,
  cut,
  limitBefore,
  places,
  programs,
} from "./check/command_line.ts";
import { fileSystem } from "./check/file_system.ts";
import { type Finding, fix, type Kind, note, ok } from "./check/finding.ts";
import { listener, memory, neededBy } from "./check/limits.ts";
import { locks } from "./check/locks.ts";
import { banner, log } from "./check/log.ts";
import { checkMatch } from "./check/match.ts";
import { serveNetworks } from "./check/serve_networks.ts";
import { checkTimeouts } from "./check/timeouts.ts";
import { lookingAs, ownBinary } from "./check/user.ts";
import { isUpgrade, upgrade } from "./check/upgrade.ts";
import { poolMembers, ruleFiles, whitelists } from "./check/whitelist.ts";
import { type Command, EXIT, Output, parseOptions } from "./command.ts";

/** The command; see {@linkcode Command}. */
export const command: Command = {
  help: `NAME
  greylist check - is this installation right?

SYNOPSIS
  greylist check [--user=NAME] [PROGRAM [ARG...]]

DESCRIPTION
  Looks at everything that a connection will need, and prints a line for each:
  "ok", or "FIX" and what to do. It looks at timeouts, match, the base directory
  and its file system, clocks, whitelists, pools, the files of "only", the name
  in the banner, the log, memory limits, rblsmtpd if deferral.at needs it, the
  user and the descriptors of serve if serve.user is set, serve.rules and
  serve.proxy, PROGRAM and the files that its arguments name. "warn" is
  something that works and may be a mistake, "note" something that only the
  administrator can judge.

  PROGRAM may also be the whole command line of the run script, such as
  "tcpserver -p 0 25 greylist softlimit -m 30000000 qmail-smtpd". The programs
  in front of greylist are then checked as well. None of them is run.

  Files are made in baseDir and removed again. If the log is syslog, one line is
  sent to it at level debug. The exit status is 0 if no line is FIX, else 100.

OPTIONS
  --user=NAME  look with the rights of this user, such as qmaild; only root can
`,
  run(args, { config, serve }) {
    const { options, operands } = parseOptions(args, {
      string: ["user"],
      stopEarly: true,
    });
    const user = options.user as string | undefined;
    // Another user may not be able to ask for it.
    const own = binaryPath();
    if (user !== undefined) {
      // `serve` takes that group in place of the user's own.
      workAs(user, user === serve.user ? serve.group : undefined);
    }
    const line = cut(operands, (word) => findProgram(word) !== undefined);
    const output = new Output();
    let wrong = false;
    for (const look of looks(config, serve, line, user, own)) {
      for (const { kind, text } of look()) {
        output.line(`${LABELS[kind]} ${text}`);
        wrong ||= kind === "fix";
      }
      // Written at once: the next look may hang in a file system.
      output.flush();
    }
    return wrong ? EXIT.wrong : EXIT.done;
  },
};

const LABELS: Readonly<Record<Kind, string>> = {
  ok: "ok  ",
  note: "note",
  warn: "warn",
  fix: "FIX ",
};

/** All looks at the installation, in the order of the output. */
function looks(
  config: ResolvedConfig,
  serve: ServeConfig,
  line: CommandLine,
  user: string | undefined,
  own: string | Error,
): (() => Finding[])[] {
  const { baseDir, match, timeouts } = config;
  return [
    () => [
      ok("greylist.config.ts is valid"),
      ...config.mode === "observe"
        ? [note('mode "observe": every client is let in')]
        : [],
      ...checkTimeouts(config),
      ...checkMatch(match),
    ],
    () => [
      lookingAs(user, userId(), serve.user),
      ...ownBinary(own, serve.configured && user === serve.user),
    ],
    () => {
      const directory = baseDirectory(baseDir);
      // On a read-only file system the directory cannot be written to, whoever
      // owns it. So only the finding about the file system is shown.
      const below = isDirectory(baseDir) ? fileSystem(baseDir, match.ipv6) : [];
      if (below.some(({ kind }) => kind === "fix")) return below;
      if (directory.kind === "fix") return [directory, ...below];
      return [
        directory,
        // Says nothing about a new binary, and takes minutes for many entries on a
        // shared file system; `serve` waits ten seconds for this check.
        ...isUpgrade() ? [] : content(baseDir, timeouts.retryWindow),
        ...below,
        ...clock(baseDir, timeouts.delay),
        ...prunes(config, serve) ? locks(baseDir) : [],
      ];
    },
    () => {
      const { whitelist, only, pools } = config;
      const lists = [
        whitelists(whitelist),
        ruleFiles("only", only?.files ?? []),
        poolMembers(pools),
      ];
      const findings = lists.flatMap((list) => list.findings);
      const namesMatter = lists.some((list) => list.namesHosts) ||
        only !== undefined && (only.nameless || only.hosts.length > 0);
      if (!namesMatter) return findings;
      return [...findings, clientNames(line, serve.nameLookup)];
    },
    () => [
      // A serve that runs has TCPLOCALHOST; a shell need not have it.
      banner(config.controlDir, isUpgrade() ? variable : undefined),
      log(config.log),
    ],
    () => {
      const needed = neededBy(
        serve.configured,
        line.serves || isUpgrade(),
      );
      return [...memory(needed), ...limitBefore(line, needed)];
    },
    () => config.deferral.at === "rblsmtpd" ? [rblsmtpd()] : [],
    // Thousands of rules take seconds, too.
    () => [...listener(serve), ...isUpgrade() ? [] : serveNetworks(serve)],
    () => [...places(line, serve.user), ...programs(line)],
    () => upgrade(serve),
  ];
}

/** Whether the wrapper or `serve` prunes by itself. */
function prunes(
  { prune, mode, deferral }: ResolvedConfig,
  { configured }: ServeConfig,
): boolean {
  const byWrapper = mode === "enforce" && deferral.at !== "rblsmtpd";
  return prune.every > 0 && (configured || byWrapper);
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

function rblsmtpd(): Finding {
  const path = findProgram("rblsmtpd");
  return path === undefined
    ? fix(
      'rblsmtpd: not found on PATH: install ucspi-tcp, or set deferral.at "rcpt"',
    )
    : ok(`rblsmtpd is ${path}`);
}
