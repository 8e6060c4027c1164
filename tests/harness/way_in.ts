/**
 * The ways in which a connection reaches greylist: the super-servers, and its
 * own listener, each started for real on a free port of the loopback.
 *
 * @module
 */

import { addListener } from "./binary.ts";
import { type Ability, programPath } from "./need.ts";
import {
  areAtRest,
  freePort,
  gone,
  hungUp,
  isListening,
  startServer,
  waitFor,
} from "./process.ts";
import { ROOT, writeFile } from "./root.ts";

/** The programs and options of one start. */
export interface Start {
  /** The compiled program. */
  readonly binary: string;
  /** The program behind it, and that one's arguments. */
  readonly next: readonly string[];
  /** Programs between the super-server and greylist, such as `env A=b`. */
  readonly before?: readonly string[];
  /** Options of the super-server itself. */
  readonly options?: readonly string[];
  readonly hostname?: "127.0.0.1" | "::1";
  readonly port?: number;
  /** The super-server's own environment besides the tests'. */
  readonly env?: Record<string, string>;
  /** How many clients it has to serve at once; inetd and others have no option. */
  readonly clients?: number;
  /** How long it runs at most, in seconds. */
  readonly life?: number;
}

/** A super-server that takes connections. */
export interface Listener extends AsyncDisposable {
  readonly port: number;
  readonly hostname: string;
  /** The super-server's process. */
  readonly pid: number;
  /** The exit code, if the super-server ends by itself. */
  readonly code: Promise<number>;
  /** The standard error so far of the super-server and of its programs. */
  stderr(): string;
  /** Waits until all sessions are over, and what they leave is in the log. */
  idle(): Promise<void>;
}

/** One way in. */
export interface WayIn {
  readonly name: string;
  /** Programs that it needs. */
  readonly programs: readonly string[];
  readonly root: boolean;
  /** Why it cannot run on this machine, undefined if it can. */
  readonly obstacle?: () => string | undefined;
  /** Whether standard error is the client's socket. */
  readonly stderrIsClient: boolean;
  /** How many processes of the binary there are without a connection. */
  readonly resident: number;
  start(what: Start): Promise<Listener>;
}

let count = 0;

async function listen(
  what: Start,
  command: (port: number, hostname: string, id: string) => string[],
  resident = 0,
): Promise<Listener> {
  const { port = freePort(), hostname = "127.0.0.1", env = {} } = what;
  const id = `${Deno.pid}-${++count}`;
  const errors = writeFile(`servers/${id}.stderr`, "");
  const server = startServer(
    command(port, hostname, id),
    errors,
    env,
    what.life,
  );
  if (resident > 0) addListener(what.binary);
  const stderr = () => Deno.readTextFileSync(errors);
  let ended: number | undefined;
  server.code.then((code) => ended = code);
  try {
    await waitFor(`somebody to listen on ${port}`, () => {
      // Else whoever listens there would be taken for this server.
      if (ended !== undefined) throw new Error(`exit code ${ended}`);
      return isListening(port);
    });
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw new Error(`${(error as Error).message}: ${stderr()}`);
  }
  return {
    port,
    hostname,
    stderr,
    idle: async () => {
      await hungUp(port);
      await gone(what.binary, resident);
      // A listener writes its lines in the background.
      if (resident > 0) {
        await waitFor("a listener at rest", () => areAtRest(what.binary));
      }
    },
    code: server.code,
    get pid() {
      return server.pid;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function line({ before = [], binary, next }: Start): string[] {
  return [...before, binary, ...next];
}

/** The options for so many programs at once, and as many waiting clients. */
function atOnce(clients: number | undefined): string[] {
  return clients === undefined ? [] : [`-c${clients}`, `-b${clients}`];
}

/** tcpserver without look-ups; `program` names which build of it. */
function tcpserverWay(name: string, program: string): WayIn {
  return {
    name,
    programs: [program],
    root: false,
    stderrIsClient: false,
    resident: 0,
    start: (what) =>
      listen(what, (port, hostname) => [
        programPath(program),
        "-HR",
        "-l0",
        ...atOnce(what.clients),
        ...what.options ?? [],
        hostname,
        String(port),
        ...line(what),
      ]),
  };
}

/** Debian's tcpserver, the build with IPv6. */
export const tcpserver: WayIn = tcpserverWay("tcpserver", "tcpserver");

/** A tcpserver with IPv6; another build has none. */
export const TCPSERVER_IPV6: Ability = {
  program: "tcpserver",
  what: "IPv6",
  // The shell's process id becomes tcpserver's; the port is the second line.
  works: (path) =>
    new Deno.Command("sh", {
      args: [
        "-c",
        `sh -c 'echo $$; exec "$0" -1HRl0 ::1 0 true' "$0" 2>/dev/null |
          { read pid; read port; kill "$pid"; [ -n "$port" ]; }`,
        path,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).outputSync().success,
};

/** The other build, IPv4 only; it has to be on PATH as `tcpserver4`. */
export const tcpserver4: WayIn = tcpserverWay("tcpserver (IPv4)", "tcpserver4");

/** Words as one line of inetd's or xinetd's file, which have no quoting. */
function words(parts: readonly string[]): string {
  const bad = parts.find((part) => part === "" || /[\s#"]/.test(part));
  if (bad !== undefined) throw new Error(`cannot be quoted here: ${bad}`);
  return parts.join(" ");
}

/** openbsd-inetd. */
export const inetd: WayIn = {
  name: "inetd",
  programs: ["inetd"],
  root: true,
  obstacle: () => {
    try {
      const pid = Deno.readTextFileSync("/run/inetd.pid").trim();
      // The inetd of another test file does not need its pid file any more. While it
      // starts the file is empty, and while it ends it has no command line.
      if (!/^\d+$/.test(pid)) return undefined;
      const command = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
      if (command === "" || command.includes("/greylist-e2e")) return undefined;
      // Another process may have the number by now.
      const name = Deno.readTextFileSync(`/proc/${pid}/comm`);
      if (!name.includes("inetd")) return undefined;
      return "this machine's own inetd is running";
    } catch {
      return undefined;
    }
  },
  stderrIsClient: true,
  resident: 0,
  start: (what) =>
    listen(what, (port, hostname, id) => {
      const [program] = line(what);
      const address = hostname.includes(":") ? `[${hostname}]` : hostname;
      const protocol = hostname.includes(":") ? "tcp6" : "tcp4";
      const entry = words(line(what));
      const config = writeFile(
        `servers/${id}.conf`,
        `${address}:${port} stream ${protocol} nowait root ${program} ${entry}\n`,
      );
      const options = ["-i", "-R", "10000", ...what.options ?? []];
      return [programPath("inetd"), ...options, config];
    }),
};

/** xinetd. */
export const xinetd: WayIn = {
  name: "xinetd",
  programs: ["xinetd"],
  root: true,
  stderrIsClient: true,
  resident: 0,
  start: (what) =>
    listen(what, (port, hostname, id) => {
      const [server, ...args] = line(what);
      const config = writeFile(
        `servers/${id}.conf`,
        `defaults
{
  cps = 10000 1
  per_source = UNLIMITED
}
service greylist
{
  type = UNLISTED
  socket_type = stream
  protocol = tcp
  flags = ${hostname.includes(":") ? "IPv6" : "IPv4"}
  bind = ${hostname}
  port = ${port}
  wait = no
  user = root
  server = ${server}
  server_args = ${words(args)}
  ${(what.options ?? []).join("\n  ")}
}
`,
      );
      return [
        programPath("xinetd"),
        "-dontfork",
        "-f",
        config,
        "-pidfile",
        `${ROOT}/servers/${id}.pid`,
        "-filelog",
        `${ROOT}/servers/${id}.log`,
      ];
    }),
};

/**
 * A socket unit of systemd with Accept=yes: the connection is standard input,
 * output and error.
 */
export const systemd: WayIn = {
  name: "systemd-socket-activate",
  programs: ["systemd-socket-activate"],
  root: false,
  stderrIsClient: true,
  resident: 0,
  start: (what) =>
    listen(what, (port, hostname) => {
      const address = hostname.includes(":") ? `[${hostname}]` : hostname;
      return [
        // Without its own message about each connection.
        ...[programPath("env"), "SYSTEMD_LOG_LEVEL=err"],
        programPath("systemd-socket-activate"),
        `--listen=${address}:${port}`,
        "--accept",
        "--inetd",
        ...what.options ?? [],
        // With StandardInput=socket, standard error is the socket as well.
        "/bin/sh",
        "-c",
        'exec "$@" 2>&1',
        "sh",
        ...line(what),
      ];
    }),
};

/** The program itself, as a listener. */
export const serve: WayIn = {
  name: "serve",
  programs: [],
  root: false,
  stderrIsClient: false,
  resident: 1,
  start: (what) =>
    listen(what, (port, hostname) => {
      const { before = [], binary, next, options = [] } = what;
      const address = hostname.includes(":") ? `[${hostname}]` : hostname;
      const place = `${address}:${port}`;
      return [...before, binary, "serve", ...options, place, "--", ...next];
    }, 1),
};
