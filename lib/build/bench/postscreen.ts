/**
 * Postfix's postscreen(8).
 *
 * @module
 */

import { join } from "@std/path";
import { TemporaryError } from "../../commands/command.ts";
import { userId } from "../../system/user.ts";
import { findInstalled } from "../find_installed.ts";
import { freePort } from "../ports.ts";
import { makePostfix } from "../postfix.ts";
import { type Bench, logOf } from "./plan.ts";
import { Process } from "./process.ts";
import { type Server, untilListening } from "./servers.ts";

/** How long Postfix lives at most, in seconds. */
const LIFE = 600;

/** Why postscreen cannot be measured; undefined if it can. */
export function lacksPostscreen(): string | undefined {
  if (userId() !== 0) return "Postfix needs root";
  return findInstalled("postfix") === undefined
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
  const port = freePort();
  await Deno.chmod(bench.scratch, 0o711);
  const { command, env, log } = await makePostfix({
    program: findInstalled("postfix")!,
    dir: join(bench.scratch, "postfix"),
    main: `postscreen_access_list =
postscreen_dnsbl_sites =
postscreen_greet_banner =
postscreen_greet_wait = 1s
postscreen_pre_queue_limit = 1000
postscreen_pipelining_enable = yes
postscreen_non_smtp_command_enable = yes
postscreen_bare_newline_enable = yes
`,
    master: `127.0.0.1:${port} inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
`,
  });
  // Postfix's master makes a session of its own, which the first process of a group
  // cannot. So timeout(1) is that one. It hands SIGTERM on, and if it is killed,
  // the master ends as well.
  const process = new Process({
    argv: [
      ...["timeout", String(LIFE), "setpriv", "--pdeathsig", "TERM"],
      ...command,
    ],
    env,
    errors: `${logOf(bench)}.postfix`,
  });
  const pid = () => childOf(childOf(process.pid, "master"), "postscreen");
  await untilListening(bench, "postscreen", async () => {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      // The master starts it for the first connection.
      return pid();
    } catch {
      return undefined;
    }
  }, log);
  return { process, port, pid };
}

/** @throws {TemporaryError} if there is none of that name */
function childOf(parent: number, name: string): number {
  const children = `/proc/${parent}/task/${parent}/children`;
  const pid = Deno.readTextFileSync(children).split(" ").slice(0, -1)
    .find((pid) => Deno.readTextFileSync(`/proc/${pid}/comm`).trim() === name);
  if (pid !== undefined) return Number(pid);
  throw new TemporaryError(`${name} does not run`);
}
