/**
 * What the program says about itself.
 *
 * @module
 */

import meta from "../../deno.json" with { type: "json" };
import type { Command } from "./command.ts";

/** The program's name and version. */
export function version(): string {
  return `greylist ${meta.version}`;
}

/** The page for the program as a whole; each command's first line is its summary. */
export function overview(commands: Record<string, Command>): string {
  const summaries = Object.entries(commands).map(([name, { help }]) => {
    const summary = help.split("\n").find((line) => line.includes(" - ")) ?? "";
    return `  ${name.padEnd(12)}${summary.split(" - ")[1]}`;
  });
  return `NAME
  greylist - greylisting in front of qmail-smtpd

SYNOPSIS
  greylist [--] PROGRAM [ARG...]
  greylist COMMAND [OPTION...]

DESCRIPTION
  Started by a super-server (tcpserver, inetd, xinetd, systemd) for one SMTP
  connection on standard input and output. A client that has waited becomes
  PROGRAM's, by execve(2); any other is told to come back later. What is
  configured was compiled in: see greylist.config.ts.

  A first argument that is the name of a command below is that command; with --
  before it, it is PROGRAM.

COMMANDS
${summaries.join("\n")}
  help        this page; help COMMAND is that command's
  version     the version

EXIT STATUS
  0    done
  100  used or configured wrongly
  111  temporary trouble
`;
}
