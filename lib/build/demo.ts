/**
 * `deno task demo`: a sender is deferred, is too early, and is let in, all on
 * this machine and without a mail server. The binary is the one that
 * `deno task compile` makes; only tcpserver and qmail-smtpd are played. With
 * `--hosts=2` the sender goes from one MX host to another.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import { EXIT } from "../exit.ts";
import { sleep } from "../system/sleep.ts";
import { userId } from "../system/user.ts";
import { Client } from "./demo/client.ts";
import { type Contact, CONTACTS, DELAY, HOSTNAME } from "./demo/contacts.ts";
import { showHosts } from "./demo/hosts.ts";
import { ended, Listener } from "./demo/listener.ts";
import { difference, labelled, verdictOf } from "./demo/screen.ts";
import { converse, finish, paint, showFile, tell } from "./demo/show.ts";
import { standIn } from "./demo/stand_in.ts";
import { lackOf } from "./hosts/glusterfs.ts";
import { endOnSignals, endTask, killDescendants } from "./signals.ts";
import { ROOT } from "./std.ts";
import { reasonOf } from "../reason.ts";

/** How long the build, which may download, may take, in milliseconds. */
const BUILD_TIME = 300_000;

/** The one option: several MX hosts with one base directory. */
const HOSTS = "--hosts=2";

/** The entry of the network that 127.0.0.1 is in. */
const ENTRY = "127.0.0.0_24";

/** The directory of all files that the demo writes. */
const scratch = await Deno.makeTempDir({ prefix: "greylist-demo-" });
const binary = join(scratch, "greylist");
const nextProgram = join(scratch, "stand-in");
const base = join(scratch, "base");
const log = join(scratch, "log");

function writeFiles(): void {
  const library = new URL("lib/config.ts", ROOT).href;
  Deno.mkdirSync(base, { mode: 0o700 });
  // What greylist calls the server in its banner (qmail-smtpd(8)).
  Deno.writeTextFileSync(join(scratch, "me"), HOSTNAME + "\n");
  Deno.writeTextFileSync(nextProgram, standIn(HOSTNAME), { mode: 0o700 });
  Deno.writeTextFileSync(
    join(scratch, "config.ts"),
    `import { defineConfig } from ${JSON.stringify(library)};
export default defineConfig({
  baseDir: ${JSON.stringify(base)},
  controlDir: ${JSON.stringify(scratch)},
  timeouts: { delay: "${DELAY}s" },
  // A busy machine or disk may be slower than the default.
  storeTimeout: "1m",
  log: { target: "stderr" },
${userId() === 0 ? '  serve: { user: "root" },' : ""}
});
`,
  );
}

/**
 * Builds the binary, as `deno task compile` does.
 *
 * @returns the exit code; unless it is 0, the reason stands on stderr
 */
async function compile(): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-lock",
      fromFileUrl(new URL("lib/build/task.ts", ROOT)),
      "compile",
      `--config=${join(scratch, "config.ts")}`,
      `--output=${binary}`,
    ],
    // If the build is interrupted, its files are removed with the rest.
    env: { TMPDIR: scratch },
    stdin: "null",
    stdout: "null",
  }).spawn();
  const timer = setTimeout(() => {
    console.error(`greylist demo: no binary after ${BUILD_TIME / 1000} s`);
    killDescendants();
  }, BUILD_TIME);
  const { code, signal } = await child.status;
  clearTimeout(timer);
  return signal === null ? code : EXIT.temporary;
}

function sizeOf(path: string): number | undefined {
  try {
    return Deno.lstatSync(path).size;
  } catch {
    return undefined;
  }
}

/**
 * Makes one connection and shows what comes of it.
 *
 * @returns a line for each thing that is not as it has to be
 */
async function show(listener: Listener, contact: Contact): Promise<string[]> {
  const { commands, codes, verdict, size, meaning, handedOver } = contact;
  console.log(`\n${paint("title", contact.introduction)}`);
  await sleep(contact.wait * 1000);
  const logged = sizeOf(log) ?? 0;
  const client = await Client.connect(listener.port);
  const pid = listener.serve([binary, nextProgram], log);
  const replies = await converse(client, commands);
  client.close();
  const code = await ended(pid);

  const line = Deno.readTextFileSync(log).slice(logged).trimEnd();
  for (const part of labelled("log: ", line)) console.log(part);
  await showFile([], base, ENTRY, meaning);
  const speaker = /pid (\d+)$/.exec(replies[0] ?? "")?.[1];
  if (speaker === String(pid)) {
    console.log(`pid:  ${pid} was greylist and is the stand-in now`);
  }

  const seen = replies.map((reply) => reply.slice(0, 3)).join(" ");
  return [
    difference("replies", seen, codes),
    difference("log", verdictOf(line), verdict),
    difference("size of the file", sizeOf(join(base, ENTRY)), size),
    difference(
      "pid in the banner",
      speaker,
      handedOver ? String(pid) : undefined,
    ),
    difference("exit code", code, EXIT.done),
  ].filter((text) => text !== undefined);
}

/**
 * The whole demo.
 *
 * @returns the exit code: 1 if anything was not as it has to be
 */
async function main(args: string[]): Promise<number> {
  const [option, ...more] = args;
  if (option === "--help") {
    console.log(
      "deno task demo: shows a client that is deferred, comes back too early, " +
        `and is let in.\ndeno task demo ${HOSTS}: shows two MX hosts.`,
    );
    return EXIT.done;
  }
  if (more.length > 0 || (option ?? HOSTS) !== HOSTS) {
    const what = more.length > 0 ? more[0] : option;
    console.error(`greylist demo: ${what}: expected nothing, or ${HOSTS}`);
    return EXIT.wrong;
  }
  const lack = option === HOSTS ? lackOf() : undefined;
  if (lack !== undefined) {
    console.error(`greylist demo: ${HOSTS}: ${lack}`);
    return EXIT.temporary;
  }
  console.log(
    `Greylisting: a new client has to try again. Mail servers do, most spam does not.
Compiling greylist with a wait of ${DELAY} seconds (a minute is usual) ...`,
  );
  writeFiles();
  const built = await compile();
  if (built !== EXIT.done) return built;
  if (option === HOSTS) {
    return finish(await showHosts({ scratch, base, binary, nextProgram }));
  }
  using listener = new Listener();
  console.log(
    `A connection to 127.0.0.1:${listener.port} starts "greylist stand-in", as tcpserver would
start "greylist qmail-smtpd". Shown are sender (>), server (<), the log, and the
file of the sender's network; its size is how often that was accepted.`,
  );
  return finish(
    await tell(
      CONTACTS,
      (contact) => show(listener, contact),
      () => Deno.removeSync(join(base, ENTRY)),
    ),
  );
}

endOnSignals([scratch]);
let code: number = EXIT.temporary;
try {
  code = await main(Deno.args);
} catch (error) {
  // The reader of the output is gone, which is no error.
  if (!(error instanceof Deno.errors.BrokenPipe)) {
    const message = reasonOf(error);
    console.error(`greylist demo: ${message}`);
  }
} finally {
  endTask([scratch], code);
}
