/**
 * `greylist serve`: a listener that takes the place of tcpserver.
 *
 * @module
 */

import { DescriptorLimit } from "../serve/descriptor_limit.ts";
import { descriptorsFor, WAITING_SHARE } from "../serve/descriptors.ts";
import { canWatchChildren } from "../system/child.ts";
import { isSupported } from "../system/constants.ts";
import { isOwnerMasked } from "../system/create.ts";
import { Epoll } from "../system/epoll.ts";
import { descriptorLimit, raised } from "../system/resource_limit.ts";
import {
  HANDLED,
  ignoreFileSizeSignal,
  unblockSignals,
} from "../system/signals.ts";
import { changeBacklog, limitUnsent } from "../system/listener.ts";
import { shareHeaps } from "../system/memory.ts";
import { binaryPath } from "../system/own_program.ts";
import { formatSocketName } from "../system/socket.ts";
import { formatLine, quote } from "../log/line.ts";
import { Children, LATE_START } from "../serve/children.ts";
import { hangLine } from "../serve/hang.ts";
import { Upgrade } from "../serve/upgrade.ts";
import { BaseDirectory } from "../serve/base_directory.ts";
import { Connections } from "../serve/connections.ts";
import {
  type ListenAddress,
  parseListenAddress,
} from "../serve/listen_address.ts";
import { Notify, takeNotifyVariables } from "../serve/notify.ts";
import { ProgramLook } from "../serve/program_look.ts";
import { Server } from "../serve/server.ts";
import { SiteFiles } from "../serve/site_files.ts";
import { ChildProgram } from "../system/spawn.ts";
import { userId } from "../system/user.ts";
import { within } from "../system/within.ts";
import { type Command, EXIT, type Site, UsageError } from "./command.ts";
import { userAfterUpgrade, userOf } from "./serve/become.ts";
import { EarlySignal } from "./serve/early_signal.ts";
import { handedOver, inheritedSockets, listenAt } from "./serve/listeners.ts";
import { storeOf } from "./serve/store.ts";

/** The command; see {@linkcode Command}. */
export const command: Command = {
  help: `NAME
  greylist serve - listen, defer, and start PROGRAM for clients that pass

SYNOPSIS
  greylist serve [[HOST:]PORT...] -- PROGRAM [ARG...]

DESCRIPTION
  Takes the place of "tcpserver ... greylist PROGRAM". Each client is checked as
  the wrapper checks it. For a client that passes, PROGRAM is started with the
  connection as its standard input and output, and with the environment of
  tcp-environ(5). A client that is deferred needs no process of its own.

  HOST is an address, an IPv6 address in brackets; 0 is every IPv4 address.
  Without HOST, connections over IPv4 and IPv6 are taken. PORT is a number,
  smtp or submission. Sockets that systemd has opened (LISTEN_FDS) are used too;
  without such sockets at least one PORT is needed.

  A service manager is told of start, reload and end, and that the event loop is
  alive (NOTIFY_SOCKET, WATCHDOG_USEC: sd_notify(3)).

  The section serve of greylist.config.ts has the limits, the user that this
  program becomes once it listens, and the rules for clients. Root has to name
  a user there; "root" is allowed. deferral.at "rblsmtpd" is "rcpt" here.

SIGNALS
  TERM, INT  accept no connection, tell clients that are deferred or wait to
             come back, exit 0; programs go on with their clients, and process 1
             of a container waits for them
  HUP        read the files of whitelist, only and pools and the name in the
             banner again, and open the log file again
  USR2       upgrade: become the binary that is now at the path of this one, in
             the same process and with the same sockets, if "check" of it finds
             nothing wrong; clients that are deferred or wait are told to come
             back

LOG
  What the wrapper logs, and
  end ip=... net=... pid=... code=N     PROGRAM has ended (or signal=N)
  deny ip=... rule=rules[N]             a rule of serve.rules refused the client
  busy ip=... net=... reason=...        a limit was met (limit,
                                        limitPerNetwork, descriptors), PROGRAM
                                        did not start in time (start), the
                                        client left, or this program stopped
                                        (stopping)
  error start hang=... clients=N        a start of PROGRAM hangs
  warn proxy client=... what=...        a balancer of serve.proxy sent no header
  defer ... what=...                    another client sent a header, or an
                                        empty first line
`,
  async run(args, site) {
    const { addresses, program } = parseLine(args);
    if (!isSupported(Deno.build)) {
      const { os, arch } = Deno.build;
      throw new UsageError(
        `not supported on ${os} ${arch}: expected linux on x86_64 or ` +
          "aarch64; under tcpserver the program works here too",
      );
    }
    return await serve(addresses, program, site);
  },
};

function parseLine(args: string[]) {
  const end = args.indexOf("--");
  const before = end < 0 ? args : args.slice(0, end);
  const program = end < 0 ? [] : args.slice(end + 1);
  const addresses = before.map((text) => {
    const address = parseListenAddress(text);
    if (address !== undefined) return address;
    const what = text.startsWith("-") ? "unknown option" : "expected " +
      "[HOST:]PORT such as 25, 192.0.2.1:25 or [2001:db8::1]:25" +
      (end < 0 ? ", and -- in front of PROGRAM" : "");
    throw new UsageError(`${text}: ${what}`);
  });
  if (before.length + program.length === 0) {
    throw new UsageError("expected [HOST:]PORT to listen on");
  }
  if (program.length === 0) {
    throw new UsageError("expected -- PROGRAM behind what to listen on");
  }
  return { addresses, program };
}

async function serve(
  addresses: readonly ListenAddress[],
  program: readonly string[],
  { config, serve }: Site,
): Promise<number> {
  // handedOver, inheritedSockets and takeNotifyVariables remove variables that
  // PROGRAM must not get, so they run before ChildProgram copies the environment.
  const taken = handedOver();
  const { become, problem } = taken === undefined
    ? { become: userOf(serve) }
    : userAfterUpgrade(serve);
  const inherited = taken?.listeners ?? inheritedSockets();
  const variables = takeNotifyVariables();
  if (addresses.length + inherited.length === 0) {
    throw new UsageError("expected [HOST:]PORT to listen on");
  }
  const path = taken?.path ?? binaryPath();
  const child = new ChildProgram(program);
  ignoreFileSizeSignal();
  shareHeaps();
  // Signals are taken before the first client can connect.
  const toReload = new EarlySignal("SIGHUP");
  const toStop = new EarlySignal("SIGTERM", "SIGINT");
  const toUpgrade = new EarlySignal("SIGUSR2");
  if (taken?.again) toUpgrade.come();
  if (taken !== undefined) unblockSignals(HANDLED);
  // In an upgrade, the image before this one hands over all its listening sockets,
  // also those that it opened for the addresses.
  const opened = taken?.listeners ?? [
    ...inherited,
    ...addresses.map((address) => listenAt(address, serve.backlog)),
  ];
  for (const fd of taken?.own ?? []) changeBacklog(fd, serve.backlog);
  for (const { fd } of opened) limitUnsent(fd);
  become();

  const before = descriptorLimit();
  const wanted = descriptorsFor(serve);
  const most = raised(before, wanted);
  const programs = taken?.programs ?? [];
  const descriptors = new DescriptorLimit(before, most, programs.length);
  const maxDescriptors = descriptors.forClients;
  const look = new ProgramLook(child);
  const epoll = new Epoll();
  // isOwnerMasked sets the umask of the whole process for a moment, so it has to
  // run before there are threads that make files or start programs.
  const ownerMasked = isOwnerMasked();
  const files = await SiteFiles.open(config);
  const warn = (what: string) =>
    files.log.warn(formatLine("serve", { what: quote(what) }));
  const children = new Children(
    epoll,
    child,
    serve.limit,
    config.deferral.sessionTimeout * 1000,
    WAITING_SHARE * maxDescriptors,
    (notice) => {
      const what = notice.state === "ended"
        ? `no start of ${program[0]} hangs any more`
        : `${program[0]} does not start within ${LATE_START / 1000} s`;
      files.log.error(hangLine("start", notice, what));
    },
  );
  const store = storeOf(config, ownerMasked, epoll, files);
  const connections = new Connections({
    config,
    serve,
    epoll,
    program: program[0],
    children,
    files,
    store,
    maxDescriptors,
    isFirst: Deno.pid === 1,
  });
  const directory = new BaseDirectory(
    config,
    ownerMasked,
    () => files.log,
    () => epoll.wake(),
  );
  const notify = new Notify(variables, warn, () => epoll.wake());
  const listeners = opened.map(({ fd }) => fd);
  const server = new Server({
    epoll,
    connections,
    files,
    directory,
    notify,
    listeners,
    own: taken?.own ?? listeners.slice(inherited.length),
    descriptors,
  });
  /** The names of the sockets that accept connections. */
  const names = () =>
    opened.filter(({ fd }) => server.listeners.includes(fd))
      .map(({ name }) => formatSocketName(name)).join(",");
  const ready = () => notify.ready(`listening on ${names()}`);
  /** Waits for files that are being read, but not for a disk that hangs. */
  const untilRead = async (reading: Promise<void>) => {
    const { storeTimeout } = config;
    if (await within(reading, storeTimeout * 1000) !== undefined) return;
    warn(
      "waiting for lists, control files or the log: " +
        `no answer within ${storeTimeout} s`,
    );
  };
  let isReloading = false;
  const reload = async () => {
    notify.reloading("reading files again");
    const reloaded = files.reload();
    // The wait that is under way is for this signal too: each wait takes one of the
    // 32 threads that Deno has for calls that may block, and PROGRAM's start one.
    if (isReloading) return;
    isReloading = true;
    await untilRead(reloaded);
    isReloading = false;
    ready();
  };
  const upgrades = new Upgrade({
    server,
    children,
    store,
    directory,
    files,
    path,
    limit: before,
    look,
    variables: { ...variables },
    begins: () => notify.reloading("upgrade"),
    failed: ready,
  });
  toStop.handle(() => server.stop());
  // pidfd_open(2) needs Linux 5.3, and a container may forbid it. Without it, only
  // SIGCHLD reports the end of a child process.
  if (!canWatchChildren()) {
    Deno.addSignalListener("SIGCHLD", () => epoll.wake());
  }
  for (const [pid, served] of programs) connections.adopt(pid, served);
  const came = taken && { upgrade: "done", programs: programs.length };
  files.log.info(formatLine("serve", { on: names(), pid: Deno.pid, ...came }));
  if (taken?.problem !== undefined) {
    warn(`programs started before the upgrade are not known: ${taken.problem}`);
  }
  if (problem !== undefined) {
    const what = `${problem}: serve goes on as uid ${userId()}`;
    files.log.error(formatLine("serve", { what: quote(what) }));
  }
  void look.report(files, config.storeTimeout * 1000);
  if (most.soft < wanted) {
    warn(
      `descriptors: ${most.soft}: expected ${wanted} for serve.limit and ` +
        "serve.deferredLimit",
    );
  }
  await untilRead(files.load());
  ready();
  toReload.handle(reload);
  toUpgrade.handle(() => upgrades.request());
  let end = await server.run();
  for (; end === "paused"; end = await server.run()) await upgrades.replace();
  files.log.info(formatLine("serve", { end: "stopped", pid: Deno.pid }));
  await files.flush(LAST_LINES);
  // The supervisor has to start it again.
  return end === "cut" ? EXIT.temporary : EXIT.done;
}

/** How long the program waits for its last log lines, in milliseconds. */
const LAST_LINES = 200;
