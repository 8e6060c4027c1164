/**
 * `greylist check`: where log lines go, and the name in the banner.
 *
 * @module
 */

import type { ResolvedConfig } from "../../config.ts";
import { reachesClient } from "../../log/client_socket.ts";
import { FACILITIES } from "../../log/settings.ts";
import { syslogMessage } from "../../log/targets.ts";
import { reasonOf } from "../../reason.ts";
import { greetingName } from "../../smtp/control_files.ts";
import { mayAccess } from "../../system/access.ts";
import { E } from "../../system/constants.ts";
import { sendDatagram } from "../../system/datagram.ts";
import { isErrno } from "../../system/libc.ts";
import { openOn } from "../../system/statx.ts";
import { userId } from "../../system/user.ts";
import { encode } from "../../system/utf8.ts";
import { type Finding, fix, ok } from "./finding.ts";

/**
 * The name in the banner, which should come from a control file of qmail.
 *
 * @param get gives the variables that the service has
 */
export function banner(
  controlDir: string,
  get: (name: string) => string | undefined = () => undefined,
): Finding {
  const name = greetingName(controlDir, get);
  if (name !== "localhost") return ok(`the banner says ${name}`);
  return fix(
    `${controlDir}: no smtpgreeting and no me that can be read: the ` +
      "banner would say TCPLOCALHOST, or localhost",
  );
}

/**
 * Whether log lines can be written to the configured target.
 *
 * @param socket the path of the socket of the syslog daemon
 */
export function log(
  { target, facility }: Pick<ResolvedConfig["log"], "target" | "facility">,
  socket: string = "/dev/log",
): Finding {
  if (target.startsWith("/")) return logFile(target);
  if (target !== "syslog" && !isClient(2)) return ok("log to stderr");
  try {
    // Severity 7 is debug (RFC 3164 section 4.1.1).
    const code = FACILITIES[facility];
    const text = syslogMessage(code, 7, new Date(), Deno.pid, "check");
    sendDatagram(socket, encode(text));
    return ok(`log to syslog: ${socket} takes messages`);
  } catch (error) {
    if (isErrno(error, E.EPROTOTYPE)) {
      return fix(
        `log to syslog: ${socket} is a stream socket, and lines are sent as ` +
          "datagrams: let the syslog daemon make a datagram socket there " +
          "(syslog-ng: unix-dgram)",
      );
    }
    return fix(
      `log to syslog: ${reasonOf(error)}: is a syslog daemon running?`,
    );
  }
}

function logFile(path: string): Finding {
  const dir = path.slice(0, path.lastIndexOf("/")) || "/";
  const there = mayAccess(path, "exist");
  const writable = there
    ? mayAccess(path, "write")
    : mayAccess(dir, "write", "execute");
  if (!writable) {
    return fix(`log file ${path}: not writable for uid ${userId()}`);
  }
  if (there && !mayBeLog(Deno.statSync(path))) {
    return fix(`log file ${path}: expected a regular file`);
  }
  return ok(`log file ${path}`);
}

function mayBeLog(info: Deno.FileInfo): boolean {
  return info.isFile || info.isCharDevice === true;
}

/**
 * Whether a descriptor is a client's socket. A pipe is none: if `check` is run by
 * hand, stdout and stderr are often one pipe.
 */
function isClient(fd: number): boolean {
  return reachesClient(fd) && openOn(fd).kind === "a socket";
}
