/**
 * Postfix's postscreen(8), with a configuration, a queue and a log of its own. A
 * Postfix of the system is not touched.
 *
 * @module
 */

import { dirname, join } from "@std/path";
import { TemporaryError } from "../../commands/command.ts";
import { userId } from "../../system/user.ts";
import { type Bench, logOf } from "./plan.ts";
import { findProgram, Process } from "./process.ts";
import { freePort, type Server } from "./servers.ts";

/** How long Postfix may take until it listens, in milliseconds. */
const PATIENCE = 10_000;

/** How long it lives at most, in seconds. */
const LIFE = 600;

/** Its user and group: any that exist, are not root's, and own nothing here. */
const OWNER = "daemon";
const GROUP = "mail";

/** Why postscreen cannot be measured; undefined if it can. */
export function lacksPostscreen(): string | undefined {
  if (userId() !== 0) return "Postfix needs root";
  return findProgram("postfix") === undefined
    ? "postfix is not installed"
    : undefined;
}

/** A postscreen that listens on 127.0.0.1. */
export interface Postscreen extends Server {
  /** The process id of postscreen itself, a child of Postfix's master. */
  pid(): number;
}

/**
 * Starts it. A client that it has not seen is tested: it waits for the banner
 * (postscreen_greet_wait, one second at least), and then speaks SMTP with
 * postscreen itself, which answers 450 to RCPT.
 *
 * @throws {TemporaryError} if it does not listen
 */
export async function startPostscreen(bench: Bench): Promise<Postscreen> {
  bench.say("starting postscreen");
  const dir = join(bench.scratch, "postfix");
  // Postfix may be unpacked anywhere: /usr is above sbin.
  const usr = dirname(dirname(findProgram("postfix")!));
  const libraries = join(usr, "lib/postfix");
  const daemons = join(libraries, "sbin");
  const port = freePort();
  await Deno.mkdir(join(dir, "etc"), { recursive: true });
  await Deno.chmod(bench.scratch, 0o711);
  await Deno.writeTextFile(
    join(dir, "etc/main.cf"),
    `compatibility_level = 3.6
queue_directory = ${dir}/queue
data_directory = ${dir}/data
daemon_directory = ${daemons}
command_directory = ${usr}/sbin
shlib_directory = ${libraries}
meta_directory = ${dir}/etc
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
export_environment = MAIL_CONFIG LD_LIBRARY_PATH
mail_owner = ${OWNER}
setgid_group = ${GROUP}
maillog_file = ${dir}/log
maillog_file_prefixes = ${dir}
myhostname = mx.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
postscreen_access_list =
postscreen_dnsbl_sites =
postscreen_greet_banner =
postscreen_greet_wait = 1s
postscreen_pre_queue_limit = 1000
postscreen_pipelining_enable = yes
postscreen_non_smtp_command_enable = yes
postscreen_bare_newline_enable = yes
`,
  );
  await Deno.writeTextFile(
    join(dir, "etc/master.cf"),
    `127.0.0.1:${port} inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`,
  );
  await makeQueue(bench, dir);
  // Postfix's master makes a session of its own, which the first process of a group
  // cannot. So timeout(1) is that one. It hands SIGTERM on, and if it is killed,
  // the master ends as well.
  const process = new Process({
    argv: [
      ...["timeout", String(LIFE), "setpriv", "--pdeathsig", "TERM"],
      ...[join(daemons, "master"), "-s", "-c", join(dir, "etc")],
    ],
    env: { LD_LIBRARY_PATH: libraries },
    errors: `${logOf(bench)}.postfix`,
  });
  await untilListening(bench, port, join(dir, "log"));
  const pid = () => childOf(childOf(process.pid, "master"), "postscreen");
  return { process, port, pid };
}

/** The directories that the master expects, with their owners. */
async function makeQueue(bench: Bench, dir: string): Promise<void> {
  const queue = join(dir, "queue");
  const names = "active bounce corrupt defer deferred flush hold incoming " +
    "maildrop private public saved trace";
  const owned = names.split(" ").map((name) => join(queue, name));
  owned.push(join(dir, "data"));
  for (const path of [...owned, join(queue, "pid")]) {
    await Deno.mkdir(path, { recursive: true });
  }
  const errors = logOf(bench);
  const { code } = await new Process({
    argv: ["chown", OWNER, ...owned],
    errors,
  }).ended(10);
  if (code !== 0) throw new TemporaryError(`chown ${OWNER}: exit ${code}`);
}

async function untilListening(
  bench: Bench,
  port: number,
  log: string,
): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (performance.now() < end) {
    bench.signal.throwIfAborted();
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch {
      await new Promise((done) => setTimeout(done, 50));
    }
  }
  const said = await Deno.readTextFile(log).catch(() => "no log");
  throw new TemporaryError(`postscreen does not listen: ${said.trimEnd()}`);
}

/** @throws {TemporaryError} if there is none of that name */
function childOf(parent: number, name: string): number {
  const children = `/proc/${parent}/task/${parent}/children`;
  const pid = Deno.readTextFileSync(children).split(" ").slice(0, -1)
    .find((pid) => Deno.readTextFileSync(`/proc/${pid}/comm`).trim() === name);
  if (pid !== undefined) return Number(pid);
  throw new TemporaryError(`${name} does not run`);
}
