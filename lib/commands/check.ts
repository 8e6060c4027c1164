/**
 * `greylist check`: is this installation right?
 *
 * @module
 */

import type { ResolvedConfig } from "../config.ts";
import { FACILITIES } from "../log/settings.ts";
import { descriptorsFor } from "../serve/descriptors.ts";
import { sendDatagram } from "../system/datagram.ts";
import { readRegularFile } from "../system/file.ts";
import { descriptorLimit, memoryLimits } from "../system/resource_limit.ts";
import { Listing } from "../store/listing.ts";
import { syslogMessage } from "../log/targets.ts";
import { reachesClient } from "../log/client_socket.ts";
import { quote } from "../log/line.ts";
import { reasonOf } from "../reason.ts";
import { greetingName } from "../smtp/control_files.ts";
import { unreadable } from "../whitelist/exemption.ts";
import { searchFile } from "../whitelist/file.ts";
import { findProgram, mayAccess } from "../system/access.ts";
import { workAs } from "./account.ts";
import type { ServeConfig } from "../serve/config.ts";
import { findGroup, findUser, userId } from "../system/user.ts";
import { encode } from "../system/utf8.ts";
import { type Command, EXIT, Output, parseOptions } from "./command.ts";
import { count } from "./words.ts";

/** What was looked at: it is right, or this has to be done. */
type Finding = { readonly ok: string } | { readonly fix: string };

/** The command; see {@linkcode Command}. */
export const command: Command = {
  help: `NAME
  greylist check - is this installation right?

SYNOPSIS
  greylist check [--user=NAME] [PROGRAM [ARG...]]

DESCRIPTION
  Looks at everything that a connection will need, and says in a line each
  that it is "ok", or after "FIX" what to do: base directory, whitelist files,
  the name in the banner, the log, memory limits, rblsmtpd where
  deferral.at needs it, the user and the descriptors of serve where serve.user
  is set, PROGRAM, and names in baseDir that are no entries.

  Run it the way the super-server runs greylist, under the same softlimit.
  Nothing is changed; where the log is syslog, one line is sent to it at level
  debug. Exit status 0 means that every line is ok, else it is 100.

OPTIONS
  --user=NAME  look with the rights of this user, such as qmaild; only root can
`,
  run(args, { config, serve }) {
    const { options, operands } = parseOptions(args, {
      string: ["user"],
      stopEarly: true,
    });
    if (options.user !== undefined) workAs(String(options.user));
    const findings = [
      { ok: "greylist.config.ts is valid" },
      ...baseDirectory(config.baseDir),
      ...config.whitelist.files.map(whitelistFile),
      banner(config.controlDir),
      log(config.log),
      ...memory(serve.configured),
      ...(config.deferral.at === "rblsmtpd" ? rblsmtpd() : []),
      ...listener(serve),
      ...(operands.length > 0 ? [program(operands[0])] : []),
    ];
    const output = new Output();
    for (const finding of findings) {
      output.line(
        "ok" in finding ? `ok   ${finding.ok}` : `FIX  ${finding.fix}`,
      );
    }
    output.flush();
    return findings.every((finding) => "ok" in finding)
      ? EXIT.done
      : EXIT.wrong;
  },
};

function baseDirectory(dir: string): Finding[] {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(dir);
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    const problem = missing ? "does not exist" : reasonOf(error);
    return [{
      fix:
        `baseDir ${dir}: ${problem}: make it, mode 0700, owned by the user ` +
        "that greylist runs as",
    }];
  }
  if (!info.isDirectory) {
    return [{ fix: `baseDir ${dir}: expected a directory` }];
  }
  const mode = (info.mode ?? 0) & 0o7777;
  const octal = mode.toString(8).padStart(4, "0");
  const what = `baseDir ${dir}: mode ${octal}, owned by uid ${info.uid}`;
  if (mode & 0o002) {
    return [{ fix: `${what}: anybody can write there: chmod 0700` }];
  }
  if (!mayAccess(dir, "write", "execute")) {
    return [{
      fix: `${what}: not writable for uid ${userId()}: chown it to the user ` +
        "that greylist runs as",
    }];
  }
  return [{ ok: what }, names(dir)];
}

function names(dir: string): Finding {
  try {
    const listing = new Listing(dir);
    let entries = 0;
    listing.visit(() => {
      entries++;
      return false;
    });
    listing.close();
    const { example, count: foreign } = listing.foreign;
    const found = count(entries, "entry", "entries");
    if (example === undefined) return { ok: `${found} in it, nothing else` };
    return {
      fix:
        `${count(foreign, "name", "names")} in ${dir} that are no entries, ` +
        `such as ${quote(example)}: move them away`,
    };
  } catch (error) {
    return { fix: reasonOf(error) };
  }
}

function whitelistFile(path: string): Finding {
  try {
    // Nobody has no address and no name, so every line is looked at.
    const nobody = { address: undefined, host: undefined };
    const { bad } = searchFile(readRegularFile(path), nobody);
    if (bad.length === 0) return { ok: `whitelist file ${path}` };
    const [{ number, content }] = bad;
    return {
      fix: `${path}:${number}: ${quote(content.slice(0, 60))}: ` +
        "expected a network, an address, a host, .suffix or /regex/ " +
        `(${count(bad.length, "bad line", "bad lines")} in all)`,
    };
  } catch (error) {
    return { fix: unreadable(path, error) };
  }
}

function banner(controlDir: string): Finding {
  const name = greetingName(controlDir, () => undefined);
  if (name !== "localhost") return { ok: `the banner says ${name}` };
  return {
    fix: `${controlDir}: no smtpgreeting and no me that can be read: the ` +
      "banner would say TCPLOCALHOST, or localhost",
  };
}

function log({ target, facility }: ResolvedConfig["log"]): Finding {
  if (target.startsWith("/")) return logFile(target);
  if (target !== "syslog" && !isClient(2)) return { ok: "log to stderr" };
  try {
    // Severity 7 is debug (RFC 3164 section 4.1.1).
    const code = FACILITIES[facility];
    const text = syslogMessage(code, 7, new Date(), Deno.pid, "check");
    sendDatagram("/dev/log", encode(text));
    return { ok: "log to syslog: /dev/log takes messages" };
  } catch (error) {
    return {
      fix: `log to syslog: ${reasonOf(error)}: is a syslog daemon running?`,
    };
  }
}

function logFile(path: string): Finding {
  const dir = path.slice(0, path.lastIndexOf("/")) || "/";
  const there = mayAccess(path, "exist");
  const writable = there
    ? mayAccess(path, "write")
    : mayAccess(dir, "write", "execute");
  if (!writable) {
    return { fix: `log file ${path}: not writable for uid ${userId()}` };
  }
  if (there && !mayBeLog(Deno.statSync(path))) {
    return { fix: `log file ${path}: expected a regular file` };
  }
  return { ok: `log file ${path}` };
}

function mayBeLog(info: Deno.FileInfo): boolean {
  return info.isFile || info.isCharDevice === true;
}

/**
 * Whether a super-server has put the client's socket there. By hand, stdout and
 * stderr are often one pipe, which is none.
 */
function isClient(fd: number): boolean {
  return reachesClient(fd) &&
    !Deno.readLinkSync(`/proc/self/fd/${fd}`).startsWith("pipe:");
}

/** What V8 reserves, in bytes: measured, under it the program does not start. */
const NEEDED = {
  addressSpace: 75_000_000_000n,
  data: 40_000_000n,
  /** With V8's compilers, which a binary has that is configured to serve. */
  dataToCompile: 600_000_000n,
};

function memory(compiles: boolean): Finding[] {
  const { addressSpace, data } = memoryLimits();
  const needed = compiles ? NEEDED.dataToCompile : NEEDED.data;
  const findings: Finding[] = [];
  if (addressSpace !== undefined && addressSpace < NEEDED.addressSpace) {
    findings.push({
      fix:
        `address space is limited to ${addressSpace} bytes: put softlimit -m ` +
        "or -a after greylist, not before it",
    });
  }
  if (data !== undefined && data < needed) {
    findings.push({
      fix: `data is limited to ${data} bytes: softlimit -d ${needed} or ` +
        "more before greylist",
    });
  }
  return findings.length > 0 ? findings : [{ ok: "memory limits" }];
}

function rblsmtpd(): Finding[] {
  const path = findProgram("rblsmtpd");
  if (path !== undefined) return [{ ok: `rblsmtpd is ${path}` }];
  return [{
    fix:
      'rblsmtpd: not found on PATH: install ucspi-tcp, or set deferral.at "rcpt"',
  }];
}

/** What `serve` needs besides, where it is told who to become. */
function listener({ user, group, ...limits }: ServeConfig): Finding[] {
  if (user === undefined) return [];
  if (findUser(user) === undefined) {
    return [{ fix: `serve.user ${user}: expected the name of a user` }];
  }
  if (group !== undefined && findGroup(group) === undefined) {
    return [{ fix: `serve.group ${group}: expected the name of a group` }];
  }
  const wanted = descriptorsFor(limits);
  const { hard } = descriptorLimit();
  if (hard >= wanted) return [{ ok: `serve becomes ${user}` }];
  return [{
    fix:
      `serve.limit and serve.deferredLimit need ${wanted} descriptors, and ` +
      `there may be ${hard}: raise LimitNOFILE=, softlimit -o or ulimit -Hn`,
  }];
}

function program(name: string): Finding {
  const path = findProgram(name);
  return path === undefined
    ? { fix: `${name}: no program that uid ${userId()} can execute` }
    : { ok: `PROGRAM is ${path}` };
}
