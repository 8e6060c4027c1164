/**
 * `deno task demo`: a sender is deferred, is too early, and is let in, all on
 * this machine and without a mail server. The binary is the one that
 * `deno task compile` makes; only tcpserver and qmail-smtpd are played.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import { EXIT } from "../exit.ts";
import { Client } from "./demo/client.ts";
import { type Contact, CONTACTS, DELAY, HOSTNAME } from "./demo/contacts.ts";
import { ended, Listener } from "./demo/listener.ts";
import { difference, exchange, labelled, verdictOf } from "./demo/screen.ts";
import { standIn } from "./demo/stand_in.ts";
import { ROOT } from "./std.ts";
import { reasonOf } from "../reason.ts";

/** How long the build may take, in milliseconds; it may have to download. */
const BUILD_TIME = 300_000;

/** The entry of the network that 127.0.0.1 is in. */
const ENTRY = "127.0.0.0_24";

/** All that the demo writes is in here. */
const scratch = await Deno.makeTempDir({ prefix: "greylist-demo-" });
const binary = join(scratch, "greylist");
const nextProgram = join(scratch, "stand-in");
const base = join(scratch, "base");
const log = join(scratch, "log");

/** The processes that were started and have not ended. */
const running = new Set<number>();

/** A process and all that it started, and so on. */
function withDescendants(pid: number): number[] {
  const children: number[] = [];
  try {
    for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
      const text = Deno.readTextFileSync(`/proc/${pid}/task/${name}/children`);
      children.push(...text.split(" ").filter(Boolean).map(Number));
    }
  } catch {
    // It has ended already.
  }
  return [pid, ...children.flatMap(withDescendants)];
}

/** Ends all that runs. */
function stop(): void {
  for (const pid of [...running].flatMap(withDescendants)) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It has ended already.
    }
  }
}

let ending = false;

/** Leaves nothing behind, and ends the demo unless that is under way. */
async function end(code: number): Promise<void> {
  if (ending) return;
  ending = true;
  stop();
  // What is being killed may be writing.
  for (let tries = 0; tries < 20; tries++) {
    try {
      Deno.removeSync(scratch, { recursive: true });
      break;
    } catch {
      await new Promise((done) => setTimeout(done, 50));
    }
  }
  Deno.exit(code);
}

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
  log: { target: "stderr" },
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
    // Should it be ended, what it leaves behind goes with the rest.
    env: { TMPDIR: scratch },
    stdin: "null",
    stdout: "null",
  }).spawn();
  running.add(child.pid);
  const timer = setTimeout(() => {
    console.error(`greylist demo: no binary after ${BUILD_TIME / 1000} s`);
    stop();
  }, BUILD_TIME);
  const { code, signal } = await child.status;
  clearTimeout(timer);
  running.delete(child.pid);
  return signal === null ? code : EXIT.temporary;
}

// NO_COLOR counts when it is set and not empty (no-color.org).
const colour = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");

const STYLES = { title: 1, bad: 31, good: 32, later: 33 } as const;

function paint(style: keyof typeof STYLES, text: string): string {
  return colour ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text;
}

/** Shows a command and its reply, the latter in the colour of its code. */
function showExchange(command: string | undefined, reply: string | undefined) {
  const style = reply?.startsWith("4") ? "later" : "good";
  for (const line of exchange(command, reply)) {
    console.log(line.replace(/< \d.*$/, (text) => paint(style, text)));
  }
}

/** Speaks, and shows the replies as they come. */
async function converse(client: Client, commands: readonly string[]) {
  const replies: string[] = [];
  for (const command of [undefined, ...commands]) {
    const reply = command === undefined
      ? await client.reply()
      : await client.say(command);
    showExchange(command, reply);
    if (reply === undefined) break;
    replies.push(reply);
  }
  return replies;
}

/** What `ls -l` says about a file. */
async function list(directory: string, name: string): Promise<string> {
  const { stdout } = await new Deno.Command("ls", {
    args: ["-l", name],
    cwd: directory,
    env: { LC_ALL: "C" },
    stderr: "inherit",
  }).output();
  return new TextDecoder().decode(stdout).trimEnd();
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
  await new Promise((done) => setTimeout(done, contact.wait * 1000));
  const logged = sizeOf(log) ?? 0;
  const client = await Client.connect(listener.port);
  const pid = listener.serve([binary, nextProgram], log);
  running.add(pid);
  const replies = await converse(client, commands);
  client.close();
  const code = await ended(pid);
  if (code !== undefined) running.delete(pid);

  const line = Deno.readTextFileSync(log).slice(logged).trimEnd();
  for (const part of labelled("log: ", line)) console.log(part);
  const file = `${await list(base, ENTRY)} (${meaning})`;
  for (const part of labelled("file:", file)) console.log(part);
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
  if (args.length > 0) {
    console.error(`greylist demo: ${args[0]}: expected no arguments`);
    return EXIT.wrong;
  }
  console.log(
    `Greylisting: who is new has to try again. Mail servers do, most spam does not.
Compiling greylist with a wait of ${DELAY} seconds (a minute is usual) ...`,
  );
  writeFiles();
  const built = await compile();
  if (built !== EXIT.done) return built;
  using listener = new Listener();
  console.log(
    `A connection to 127.0.0.1:${listener.port} starts "greylist stand-in", as tcpserver would
start "greylist qmail-smtpd". Shown are sender (>), server (<), the log, and the
file of the sender's network; its size is how often that was accepted.`,
  );
  const faults: string[] = [];
  for (const [i, contact] of CONTACTS.entries()) {
    for (const fault of await show(listener, contact)) {
      faults.push(`FAILED: connection ${i + 1}: ${fault}`);
    }
  }
  console.log();
  for (const fault of faults) console.log(paint("bad", fault));
  if (faults.length > 0) return 1;
  console.log(
    paint("good", "ok: replies, log and file were as they should be"),
  );
  return EXIT.done;
}

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
for (const [signal, number] of Object.entries(SIGNALS)) {
  Deno.addSignalListener(signal as Deno.Signal, () => end(128 + number));
}
let code: number = EXIT.temporary;
try {
  code = await main(Deno.args);
} catch (error) {
  // Whoever closed the pipe does not want to know.
  if (!(error instanceof Deno.errors.BrokenPipe)) {
    const message = reasonOf(error);
    console.error(`greylist demo: ${message}`);
  }
} finally {
  await end(code);
}
