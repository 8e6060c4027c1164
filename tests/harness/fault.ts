/**
 * The parts that the tests of a faulty machine share: a client, an entry, and the
 * checks of the outcome.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { clean, clientLines, logLines } from "./binary.ts";
import { makeEntry } from "./entry.ts";
import { greeter, NEXT } from "./next_program.ts";
import { DEADLINE } from "./process.ts";
import { BASE, ROOT, writeFile } from "./root.ts";
import { assertOnlySmtp, ATTEMPT, burst } from "./smtp.ts";
import { tcpserver, type WayIn } from "./way_in.ts";

/** The client's entry. */
export const NAME = "127.0.0.0_24";
/** Its path. */
export const ENTRY = `${BASE}/${NAME}`;
/** The commands of a client that wants to send one mail. */
export const SESSION = ATTEMPT.join("\r\n") + "\r\n";
/** Runs the rest of the command as nobody. */
export const NOBODY = [
  "setpriv",
  "--reuid=65534",
  "--regid=65534",
  "--clear-groups",
];
/** In seconds. */
export const HOUR = 3600;
/** In seconds. */
export const YEAR = 365 * 24 * HOUR;
/** The timeouts of the tests' binaries, in seconds. */
export const TIMEOUTS = {
  delay: 60,
  retryWindow: 24 * HOUR,
  expireAfter: 36 * 86400,
};

/** The states of an entry before a connection. */
export const STATES = {
  none: () => {},
  early: (name = NAME) => makeEntry(name, 0, 10),
  grey: (name = NAME) => makeEntry(name, 0, 100),
  stale: (name = NAME) => makeEntry(name, 0, 40 * HOUR),
  known: (name = NAME) => makeEntry(name, 3, 100),
  expired: (name = NAME) => makeEntry(name, 3, 1000 * HOUR),
};
/** One of {@linkcode STATES}. */
export type StateName = keyof typeof STATES;

/** As `clean`, with a log directory for any user. */
export function empty(): void {
  clean();
  Deno.chmodSync(`${ROOT}/log`, 0o777);
}

/** The replies to one client that sends all commands at once. */
export async function connect(
  binary: string,
  before: readonly string[],
  way: WayIn = tcpserver,
): Promise<string> {
  const next = greeter();
  await using server = await way.start({ binary, before, next });
  const text = await burst(server.port, SESSION);
  await server.idle();
  assertEquals(server.stderr(), "");
  return text;
}

/**
 * The log lines about clients. The lines of serve's first pruning and of its look
 * at the base directory's mode are left out.
 */
export function aboutClients(): string[] {
  const own = /Z (warn prune|error baseDir) /;
  const end = Date.now() + DEADLINE * 1000;
  while (true) {
    const serves = logLines().some((line) => / serve on=/.test(line));
    const lines = clientLines().filter((line) => !serves || !own.test(line));
    // serve writes its lines in the background.
    if (lines.length > 0 || !serves || Date.now() > end) return lines;
  }
}

/** Checks that the client got the greeting of the next program. */
export function assertNext(text: string): void {
  assertEquals(text.split("\r\n")[0], NEXT);
  assertOnlySmtp(text);
}

/** Checks that the client was deferred after RCPT. */
export function assertDeferred(text: string, status: "4.3.0" | "4.7.1"): void {
  assertOnlySmtp(text);
  assertMatch(text, /^220 mx\.example/);
  assert(text.includes(`\r\n451 ${status} `), text);
  assertMatch(text, /\r\n221 [^\r]*\r\n$/);
}

/** Checks that the check has failed and that `onError` decided. */
export function assertSurvived(
  onError: Config["onError"],
  text: string,
  says: RegExp,
): void {
  if (onError === "accept") assertNext(text);
  else assertDeferred(text, "4.3.0");
  const verb = onError === "accept" ? "pass" : "defer";
  const [line = "", ...more] = aboutClients();
  assertMatch(line, new RegExp(`^\\S+Z error ${verb} ip=[ -~]*reason=error`));
  assertMatch(line, says);
  assertEquals(more, []);
}

/** A shell script as a command. */
export function script(name: string, text: string): string[] {
  return ["/bin/sh", writeFile(name, text)];
}
