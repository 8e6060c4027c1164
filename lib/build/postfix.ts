/**
 * A Postfix with a configuration, a queue and a log of its own, for the measurements
 * and for the tests. A Postfix of the system is not touched.
 *
 * @module
 */

import { dirname, join } from "@std/path";
import { TemporaryError } from "../commands/command.ts";

/** Its user and group: any that exist, are not root's, and own nothing here. */
const OWNER = "daemon";
const GROUP = "mail";

/** Below queue_directory; all but pid belong to {@linkcode OWNER}. */
const QUEUES = "active bounce corrupt defer deferred flush hold incoming " +
  "maildrop private public saved trace";

/** What a Postfix is to do. */
export interface PostfixOptions {
  /** The path of the program `postfix`. Its package may be unpacked anywhere. */
  readonly program: string;
  /** A directory that {@linkcode OWNER} can enter, and that nothing else uses. */
  readonly dir: string;
  /** Lines of main.cf besides those that each Postfix gets. */
  readonly main: string;
  /** The same of master.cf. */
  readonly master: string;
}

/** How Postfix is to be started; only root may. */
export interface Postfix {
  /** Starts its master, which stays in the foreground. */
  readonly command: string[];
  readonly env: Record<string, string>;
  /** The path of its log. */
  readonly log: string;
}

/**
 * Writes the configuration of a Postfix, and makes its queue.
 *
 * @throws {TemporaryError} if its user cannot get the queue
 */
export async function makePostfix(
  { program, dir, main, master }: PostfixOptions,
): Promise<Postfix> {
  const usr = dirname(dirname(await Deno.realPath(program)));
  const libraries = join(usr, "lib/postfix");
  const daemons = join(libraries, "sbin");
  const [etc, queue, data, log] = ["etc", "queue", "data", "log"]
    .map((name) => join(dir, name));
  const owned = [data, ...QUEUES.split(" ").map((name) => join(queue, name))];
  for (const path of [etc, join(queue, "pid"), ...owned]) {
    await Deno.mkdir(path, { recursive: true });
  }
  await Deno.writeTextFile(
    join(etc, "main.cf"),
    `compatibility_level = 3.6
queue_directory = ${queue}
data_directory = ${data}
daemon_directory = ${daemons}
command_directory = ${usr}/sbin
shlib_directory = ${libraries}
meta_directory = ${etc}
import_environment = MAIL_CONFIG POSTLOG_SERVICE POSTLOG_HOSTNAME LD_LIBRARY_PATH
export_environment = MAIL_CONFIG LD_LIBRARY_PATH
mail_owner = ${OWNER}
setgid_group = ${GROUP}
maillog_file = ${log}
maillog_file_prefixes = ${dir}
myhostname = postfix.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
${main}`,
  );
  await Deno.writeTextFile(
    join(etc, "master.cf"),
    `rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
${master}`,
  );
  const { success, stderr } = await new Deno.Command("chown", {
    args: [OWNER, ...owned],
  }).output();
  if (!success) {
    throw new TemporaryError(new TextDecoder().decode(stderr).trimEnd());
  }
  return {
    command: [join(daemons, "master"), "-s", "-c", etc],
    env: { LD_LIBRARY_PATH: libraries },
    log,
  };
}
