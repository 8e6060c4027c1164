/**
 * Mail servers as clients. Each has a configuration, a queue and a log of its
 * own, takes mail on one port of the loopback and sends all of it to another.
 * The mail servers of the system are not touched.
 *
 * @module
 */

import { makePostfix } from "../../lib/build/postfix.ts";
import { programPath } from "./need.ts";
import { freePort, run } from "./process.ts";
import { emptyDir, writeFile } from "./root.ts";
import { own, prefixOf, type SenderKind, start } from "./sender.ts";

/** Postfix; it may be unpacked anywhere. */
const postfix: SenderKind = {
  name: "Postfix",
  programs: ["postfix"],
  root: true,
  takesUtf8: true,
  reuses: true,
  start: async ({ to, tls = false, reuse = false }) => {
    const dir = emptyDir("postfix");
    const port = freePort();
    const { command, env, log } = await makePostfix({
      program: programPath("postfix"),
      dir,
      main: `mydestination =
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:${to}
smtp_host_lookup = native
smtp_dns_support_level = disabled
message_size_limit = 50000000
smtp_tls_security_level = ${tls ? "encrypt" : reuse ? "none" : "may"}
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
          : "smtp_connection_cache_on_demand = no\n"
      }`,
      master: `127.0.0.1:${port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
scache unix - - n - 1 scache
`,
    });
    return start("postfix", {
      command,
      port,
      log,
      env,
      deferred: (to) => (line) =>
        line.includes(` to=<${to}>`) && line.includes("status=deferred"),
      failed: /status=bounced|status=expired|fatal:|panic:/,
      // In the order in which a message moves, so that none is missed.
      queue: {
        dirs: ["maildrop", "incoming", "deferred", "active", "deferred"]
          .map((name) => `${dir}/queue/${name}`),
        name: /^[0-9A-F]{6,}$/,
      },
    });
  },
};

/** Exim. */
const eximSender: SenderKind = {
  name: "Exim",
  programs: ["exim4"],
  root: true,
  takesUtf8: true,
  reuses: false,
  start: async ({ to, tls = false, reuse = false }) => {
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
  ${reuse ? "hosts_avoid_tls = *" : "connection_max_messages = 1"}
begin retry
* * F,1h,1s
`,
    );
    await own("Debian-exim", emptyDir("exim/spool"), emptyDir("exim/log"));
    return start("exim", {
      command: [programPath("exim4"), "-C", config, "-bdf", "-q1s"],
      port,
      log: `${dir}/log/mainlog`,
      // Exim may log another form of a non-ASCII address in front of the original.
      deferred: (to) => (line) =>
        / == /.test(line) &&
        (line.includes(` ${to} `) || line.includes(`<${to}>`)),
      failed: / \*\* /,
      queue: { dirs: [`${dir}/spool/input`], name: /-H$/ },
    });
  },
};

/**
 * OpenSMTPD. Its paths and users are fixed, so a mount namespace has files of the
 * test in their place. It would wait 400 seconds, so it is told to try again.
 */
const opensmtpd: SenderKind = {
  name: "OpenSMTPD",
  programs: ["smtpctl", "unshare", "nsenter"],
  mounts: true,
  takesUtf8: false,
  reuses: true,
  start: ({ to, tls = false }) => {
    const dir = emptyDir("opensmtpd");
    const prefix = prefixOf("smtpctl");
    const port = freePort();
    const url = `${tls ? "smtp+tls" : "smtp"}://127.0.0.1:${to}`;
    const config = writeFile(
      "opensmtpd/smtpd.conf",
      `smtp max-message-size "50M"
# Each time that it is told to try again counts as hours.
bounce warn-interval 6d
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
# It wants to be setgid.
install -m 2755 -g opensmtpq ${prefix}/usr/sbin/smtpctl /run/smtpctl
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
      queue: { dirs: [`${dir}/spool/queue`], name: /^[0-9a-f]{16}$/ },
      retry: async (pid) => {
        // It does not go back to a server that failed within 15 seconds.
        await new Promise((done) => setTimeout(done, 1000));
        const { code, stdout, stderr } = await run([
          ...["nsenter", "--mount", `--target=${pid}`],
          ...["/run/smtpctl", "schedule", "all"],
        ]);
        if (code !== 0) throw new Error(stdout + stderr);
      },
    });
  },
};

/** All of them. */
export const SENDERS: readonly SenderKind[] = [postfix, eximSender, opensmtpd];
