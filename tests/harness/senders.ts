/**
 * Mail servers as clients: each with a configuration, a queue and a log of its
 * own, taking mail on one port of the loopback and sending all of it to another.
 * The system's own are not touched.
 *
 * @module
 */

import { type Needs, programPath } from "./need.ts";
import {
  freePort,
  isListening,
  run,
  startServer,
  waitFor,
} from "./process.ts";
import { emptyDir, ROOT, writeFile } from "./root.ts";

/** A mail server that runs. */
export interface Sender extends AsyncDisposable {
  /** Where it takes mail. */
  readonly port: number;
  /** Whether its log says that a recipient has to be tried again. */
  isDeferred(recipient: string): boolean;
  /** How many messages it has not got rid of. */
  queued(): number;
  /** Has its queue runner go now, where it cannot be set up to go often. */
  retry(): Promise<void>;
  /** What its log says about mail that it gave up. */
  failures(): string[];
}

/** What is to be started. */
export interface SenderOptions {
  /** The port that everything is sent to. */
  readonly to: number;
  /** Sends nothing without TLS. */
  readonly tls?: boolean;
  /** Sends one message after the other over one connection. */
  readonly reuse?: boolean;
}

/** One mail server. */
export interface SenderKind extends Needs {
  readonly name: string;
  /** Whether it knows RFC 6531. */
  readonly takesUtf8: boolean;
  start(options: SenderOptions): Promise<Sender>;
}

function lines(path: string): string[] {
  try {
    // Addresses beyond ASCII stand there as they are, or byte for byte.
    return Deno.readTextFileSync(path).split("\n");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** How many files with such a name are below a directory. */
function countFiles(dir: string, name: RegExp): number {
  let count = 0;
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(dir)];
  } catch {
    return 0; // It went away, as directories in a queue do.
  }
  for (const entry of entries) {
    if (entry.isDirectory) count += countFiles(`${dir}/${entry.name}`, name);
    else if (name.test(entry.name)) count++;
  }
  return count;
}

async function own(user: string, ...paths: string[]): Promise<void> {
  const { code, stderr } = await run(["chown", "-R", user, ...paths]);
  if (code !== 0) throw new Error(stderr);
}

interface Started {
  readonly command: string[];
  readonly port: number;
  readonly log: string;
  readonly env?: Record<string, string>;
  readonly deferred: (recipient: string) => (line: string) => boolean;
  readonly failed: RegExp;
  readonly queue: [dir: string, name: RegExp];
  readonly retry?: (pid: number) => Promise<unknown>;
}

async function start(name: string, what: Started): Promise<Sender> {
  const errors = writeFile(`${name}/stderr`, "");
  const server = startServer(what.command, errors, what.env);
  const sender: Sender = {
    port: what.port,
    isDeferred: (recipient) =>
      lines(what.log).some(what.deferred(recipient)),
    queued: () => countFiles(...what.queue),
    retry: async () => void await what.retry?.(server.pid),
    failures: () => lines(what.log).filter((line) => what.failed.test(line)),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
  try {
    await waitFor(`${name} to listen`, () => isListening(what.port));
  } catch (error) {
    await sender[Symbol.asyncDispose]();
    const said = [...lines(errors), ...lines(what.log)].join("\n");
    throw new Error(`${(error as Error).message}: ${said}`);
  }
  return sender;
}

/** The directory that a package was unpacked below: "" where it is installed. */
function prefixOf(program: string): string {
  return Deno.realPathSync(programPath(program)).replace(/\/usr\/.*/, "");
}

/** Postfix; it may be unpacked anywhere. Its user is Exim's, its group mail's. */
export const postfix: SenderKind = {
  name: "Postfix",
  programs: ["postfix", "exim4"],
  root: true,
  takesUtf8: true,
  start: async ({ to, tls = false, reuse = false }) => {
    const dir = emptyDir("postfix");
    const prefix = prefixOf("postfix");
    const port = freePort();
    const libraries = `${prefix}/usr/lib/postfix`;
    writeFile(
      "postfix/etc/main.cf",
      `compatibility_level = 3.6
queue_directory = ${dir}/queue
data_directory = ${dir}/data
daemon_directory = ${libraries}/sbin
command_directory = ${prefix}/usr/sbin
shlib_directory = ${libraries}
meta_directory = ${dir}/etc
import_environment = LD_LIBRARY_PATH
export_environment = LD_LIBRARY_PATH
mail_owner = Debian-exim
setgid_group = mail
maillog_file = ${dir}/log
maillog_file_prefixes = ${ROOT}
myhostname = postfix.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
smtpd_recipient_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:${to}
smtp_host_lookup = native
smtp_dns_support_level = disabled
message_size_limit = 50000000
smtp_tls_security_level = ${tls ? "encrypt" : "may"}
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
# One destination that does not answer is no reason not to try the next mail.
default_destination_concurrency_failed_cohort_limit = 1000
${
        reuse
          ? `smtp_connection_cache_destinations = [127.0.0.1]:${to}
default_destination_concurrency_limit = 1
initial_destination_concurrency = 1
`
          : ""
      }`,
    );
    writeFile(
      "postfix/etc/master.cf",
      `127.0.0.1:${port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
`,
    );
    const queues =
      "active bounce corrupt defer deferred flush hold incoming maildrop pid " +
      "private public saved trace";
    for (const queue of queues.split(" ")) emptyDir(`postfix/queue/${queue}`);
    await own("Debian-exim", emptyDir("postfix/data"), `${dir}/queue`);
    await own("root", `${dir}/queue/pid`);
    Deno.chownSync(`${dir}/queue`, 0, 0);
    return start("postfix", {
      command: [`${libraries}/sbin/master`, "-s", "-c", `${dir}/etc`],
      port,
      log: `${dir}/log`,
      env: { LD_LIBRARY_PATH: libraries },
      deferred: (to) => (line) =>
        line.includes(` to=<${to}>`) && line.includes("status=deferred"),
      failed: /status=bounced|status=expired|fatal:|panic:/,
      queue: [`${dir}/queue`, /^[0-9A-F]{6,}$/],
    });
  },
};

/** Exim. */
export const eximSender: SenderKind = {
  name: "Exim",
  programs: ["exim4"],
  root: true,
  takesUtf8: true,
  start: async ({ to, tls = false }) => {
    const dir = emptyDir("exim");
    const port = freePort();
    const config = writeFile(
      "exim/exim.conf",
      `primary_hostname = exim.example
spool_directory = ${dir}/spool
log_file_path = ${dir}/log/%slog
pid_file_path = ${dir}/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${port}
domainlist local_domains =
acl_smtp_rcpt = accept
acl_smtp_data = accept
deliver_drop_privilege
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
smtp_accept_queue_per_connection = 0
keep_environment =
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = out
begin transports
out:
  driver = smtp
  port = ${to}
  allow_localhost
  ${tls ? "hosts_require_tls = *" : ""}
begin retry
* * F,1h,1s
`,
    );
    await own("Debian-exim", emptyDir("exim/spool"), emptyDir("exim/log"));
    return start("exim", {
      command: [programPath("exim4"), "-C", config, "-bdf", "-q1s"],
      port,
      log: `${dir}/log/mainlog`,
      deferred: (to) => (line) => line.includes(` == ${to} `),
      failed: / \*\* /,
      queue: [`${dir}/spool/input`, /-H$/],
    });
  },
};

/**
 * OpenSMTPD. Its paths and users are fixed, so it sees its own in their place, in
 * a mount namespace. It waits 400 seconds before it tries again: it is told to.
 */
export const opensmtpd: SenderKind = {
  name: "OpenSMTPD",
  programs: ["smtpctl", "unshare", "nsenter"],
  root: true,
  takesUtf8: false,
  start: async ({ to, tls = false }) => {
    const dir = emptyDir("opensmtpd");
    const prefix = prefixOf("smtpctl");
    const port = freePort();
    const url = `${tls ? "smtp+tls" : "smtp"}://127.0.0.1:${to}`;
    const config = writeFile(
      "opensmtpd/smtpd.conf",
      `smtp max-message-size "50M"
listen on 127.0.0.1 port ${port}
action "out" relay host ${url} ${tls ? "tls no-verify" : ""}
match from any for any action "out"
`,
    );
    const accounts = Deno.readTextFileSync("/etc/passwd");
    const groups = Deno.readTextFileSync("/etc/group");
    const ids: [string, number][] = [["opensmtpd", 65001], [
      "opensmtpq",
      65002,
    ]];
    writeFile(
      "opensmtpd/passwd",
      accounts +
        ids.map(([name, id]) => `${name}:x:${id}:${id}::/:/bin/false\n`)
          .join(""),
    );
    writeFile(
      "opensmtpd/group",
      groups + ids.map(([name, id]) => `${name}:x:${id}:\n`).join(""),
    );
    writeFile("opensmtpd/mailname", "opensmtpd.example\n");
    emptyDir("opensmtpd/spool", 0o711);
    const script = writeFile(
      "opensmtpd/start",
      `set -e
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir -p /var/lib/opensmtpd/empty
mount -t tmpfs -o mode=755 tmpfs /var/spool
mkdir /var/spool/smtpd
mount --bind ${dir}/spool /var/spool/smtpd
mount -t tmpfs -o mode=755 tmpfs /run
for file in passwd group; do mount --bind ${dir}/$file /etc/$file; done
[ ! -e /etc/mailname ] || mount --bind ${dir}/mailname /etc/mailname
exec "$@"
`,
    );
    return start("opensmtpd", {
      command: [
        ...["unshare", "--mount", "/bin/sh", script],
        ...[`${prefix}/usr/sbin/smtpd`, "-d", "-f", config],
      ],
      port,
      log: `${dir}/stderr`,
      deferred: (to) => (line) =>
        line.includes(` to=<${to}>`) && line.includes('result="TempFail"'),
      failed: /result="PermFail"|fatal/,
      queue: [`${dir}/spool/queue`, /^[0-9a-f]{16}$/],
      retry: (pid) =>
        run([
          ...["nsenter", "--mount", `--target=${pid}`],
          ...[`${prefix}/usr/sbin/smtpctl`, "schedule", "all"],
        ]),
    });
  },
};

/** All of them. */
export const SENDERS: readonly SenderKind[] = [postfix, eximSender, opensmtpd];
