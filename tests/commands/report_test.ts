import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../../lib/config.ts";
import { PAGE_START } from "../../lib/report/html.ts";
import { TIMES } from "../../lib/report/period.ts";
import type { Report } from "../../lib/report/report.ts";
import { age, clean, compile, logLines } from "../harness/binary.ts";
import { e2e } from "../harness/need.ts";
import {
  type Outcome,
  run,
  type RunOptions,
  waitFor,
} from "../harness/process.ts";
import { emptyDir, LOG, ROOT, writeFile } from "../harness/root.ts";
import { randomFrom } from "../harness/streams.ts";
import { openSyslog } from "../harness/syslog.ts";

/** What each client says. */
const DIALOGUE = [
  "EHLO mx.sender.example",
  "MAIL FROM:<a@sender.example>",
  "RCPT TO:<b@rcpt.example>",
  "QUIT",
  "",
].join("\r\n");

/**
 * Has the wrapper write its lines: three deferred clients, one of which is let
 * in on its second attempt, one that a variable exempts.
 *
 * @param then what its stderr goes to, as a shell has it
 * @param before what stands before it on the command line
 */
async function connections(
  config: Partial<Config>,
  then = "",
  before: readonly string[] = [],
) {
  clean();
  const binary = await compile(config);
  const connect = async (ip: string, more: Record<string, string> = {}) => {
    const command = [...before, "sh", "-c", `"$0" true ${then}`, binary];
    const env = { TCPREMOTEIP: ip, ...more };
    const { code, stderr } = await run(command, { input: DIALOGUE, env });
    assertEquals([code, stderr], [0, ""]);
  };
  await connect("192.0.2.1");
  await connect("2001:db8::1");
  await connect("198.51.100.1");
  await connect("198.51.100.2");
  age("198.51.100.0_24", 90);
  await connect("198.51.100.1");
  await connect("203.0.113.1", { RELAYCLIENT: "" });
}

function assertConnections(report: Report) {
  assertEquals(report.lines.unreadable, 0);
  assertEquals(report.connections, 6);
  assertEquals(report.deferredByReason, { new: 3, early: 1 });
  assertEquals(report.passedByReason, { retried: 1, whitelisted: 1 });
  assertEquals(report.networks.deferred, 3);
  assertEquals(report.networks.accepted, 1);
  assertEquals(report.networks.open, 2);
  assertEquals(report.delay.count, 1);
  assertEquals(report.whitelistedByRule, [
    { rule: "env:RELAYCLIENT", count: 1 },
  ]);
  const [most] = report.mostDeferred;
  assertEquals(most.network, "198.51.100.0/24");
  assertEquals(most.deferrals, 2);
  assertEquals(most.helo, "mx.sender.example");
  assertEquals(most.from, "<a@sender.example>");
}

/** An old page. */
const OLD = `${PAGE_START}old`;

async function report(args: string[], options?: RunOptions): Promise<Outcome> {
  return await run([await compile(), "report", ...args], options);
}

async function json(args: string[], options?: RunOptions): Promise<Report> {
  const { code, stdout, stderr } = await report(["--json", ...args], options);
  assertEquals([code, stderr], [0, ""]);
  return JSON.parse(stdout);
}

async function gzip(text: string): Promise<Uint8Array> {
  const stream = new Blob([text]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

Deno.test("report: the lines of the wrapper, in its own file", async () => {
  await connections({});
  // Without a LOGFILE the configured file is read.
  assertConnections(await json([]));
  assertConnections(await json([LOG]));
  // What a syslog daemon or journald puts in front of the message.
  const messages = logLines().map((line) => line.slice(line.indexOf(" ") + 1));
  const frames = [
    "",
    "Nov 23 19:00:00 mx greylist[12]: ",
    "2026-11-23T19:00:00.123456+01:00 mx greylist[12]: ",
    "2026-11-23T19:00:00+0100 mx greylist[12]: ",
    "2026-11-23 19:00:00.123456789 ",
  ];
  for (const frame of frames) {
    const text = messages.map((line) => `${frame}${line}\n`).join("");
    const found = await json(["-"], { input: text });
    assertConnections(found);
    assertEquals(found.from === null, frame === "");
  }
});

e2e("report: the lines of the wrapper, through multilog", {
  programs: ["multilog", "tai64nlocal"],
}, async () => {
  const directory = emptyDir("multilog");
  const before = Date.now() / 1000;
  await connections({ log: { target: "stderr" } }, `2>>${ROOT}/stderr`);
  const raw = Deno.readFileSync(`${ROOT}/stderr`);
  Deno.removeSync(`${ROOT}/stderr`);
  await run(["multilog", "t", directory], { input: raw });
  const current = `${directory}/current`;
  assertMatch(Deno.readTextFileSync(current), /^@4000000/);
  const found = await json([current]);
  assertConnections(found);
  assert(found.from! > before - 60 && found.to! < Date.now() / 1000 + 60);

  const local = await run(["tai64nlocal"], {
    input: Deno.readFileSync(current),
  });
  assertConnections(await json(["-"], { input: local.stdout }));
});

e2e("report: the lines of the wrapper, through syslog", {
  mounts: true,
}, async () => {
  await using syslog = openSyslog();
  await connections({ log: { target: "syslog" } }, "", syslog.before);
  await waitFor("six messages", () => syslog.messages.length >= 6);
  const text = syslog.messages.map((message) => message + "\n").join("");
  assertConnections(await json(["-"], { input: text }));
});

Deno.test("report: the lines of the wrapper in mode observe", async () => {
  await connections({ mode: "observe" });
  const found = await json([LOG]) as Report & {
    summary: string;
    caveats: string[];
  };
  assertEquals(found.lines.unreadable, 0);
  assertEquals([found.connections, found.deferred], [6, 0]);
  assertEquals(found.wouldDeferByReason, { new: 3, early: 1 });
  assertEquals(found.passedByReason, { retried: 1, whitelisted: 1 });
  assertEquals([found.networks.deferred, found.networks.observed], [3, 3]);
  assertEquals(found.delay.count, 0);
  assertEquals(
    found.wouldDelay.map(({ network, ip }) => [network, ip]),
    [["198.51.100.0/24", "198.51.100.1"]],
  );
  assertMatch(found.summary, /all let in, 1 came again in time so far/);
  assertMatch(found.caveats.join(" "), /Nobody was deferred/);
});

const DAY = 86400;
const A_TIME = `expected ${TIMES}`;
const STAMP = Date.parse("2026-11-01T12:00:00Z");

/** A line of the log, so many seconds after noon. */
function line(seconds: number, text: string): string {
  return `${new Date(STAMP + seconds * 1000).toISOString()} ${text}\n`;
}

const FIRST = line(0, "defer ip=192.0.2.1 net=192.0.2.0/24 reason=new wait=60");
const SECOND = line(
  300,
  "pass ip=192.0.2.1 net=192.0.2.0/24 reason=retried age=300 accepted=1",
);

Deno.test("report: gzip, by what is in the file", async () => {
  const first = await gzip(FIRST);
  const second = await gzip(SECOND);
  const file = writeFile("log/both", joined(first, second));
  const found = await json([file]);
  assertEquals([found.connections, found.delay.worst], [2, 300]);
  assertEquals((await json(["-"], { input: first })).connections, 1);
  const plain = writeFile("log/plain.gz", FIRST);
  assertEquals((await json([plain])).connections, 1);
});

Deno.test("report: what another program has compressed", async () => {
  const heads = { xz: "\xfd7zXZ\0", zstd: "\x28\xb5\x2f\xfd", bzip2: "BZh9" };
  for (const [name, head] of Object.entries(heads)) {
    const bytes = Uint8Array.from(head, (byte) => byte.charCodeAt(0));
    const file = writeFile("log/other", bytes);
    const { code, stderr } = await report([file]);
    assertEquals(code, 100);
    assertEquals(
      stderr,
      `greylist report: ${file}: compressed with ${name}: expected text or ` +
        `gzip (${name} -dc FILE | greylist ...)\n`,
    );
  }
});

Deno.test("report: gzip that ends early is read up to there", async () => {
  let text = "";
  for (let i = 0; i < 20_000; i++) {
    text += line(i * Math.PI, FIRST.slice(25, -1));
  }
  const whole = await gzip(text);
  const file = writeFile("log/cut", whole.subarray(0, whole.length - 1000));
  const { code, stdout, stderr } = await report(["--json", file]);
  assertEquals(code, 0);
  assertEquals(
    stderr,
    `greylist report: ${file}: damaged gzip data, read up to there\n`,
  );
  const { connections, damaged } = JSON.parse(stdout) as Report;
  assert(connections > 1000 && connections < 20_000, `${connections}`);
  assertEquals(damaged, [file]);
  // Nobody may see the standard error of a page from cron.
  for (const args of [[file], ["--html=-", file]]) {
    const { code, stdout } = await report(args);
    assertEquals(code, 0);
    assertMatch(
      stdout.replaceAll(/\s+/g, " "),
      /The gzip data of \S+ is damaged/,
    );
  }
});

Deno.test("report: files in the order of their first lines", async () => {
  const files = [
    writeFile("log/a", await gzip("garbage\n" + SECOND)),
    writeFile("log/b", FIRST),
  ];
  for (const order of [files, files.toReversed()]) {
    const found = await json(order);
    assertEquals(found.delay.worst, 300);
    assertEquals(found.networks.accepted, 1);
    assertEquals(found.lines.unreadable, 1);
  }
});

Deno.test("report: a file that is named twice is read once", async () => {
  const file = writeFile("log/twice", FIRST + SECOND);
  const link = `${ROOT}/log/link`;
  Deno.symlinkSync(file, link);
  const copy = writeFile("log/copy", FIRST);
  const said = (name: string, what = `the same file as ${file}`) =>
    `greylist report: ${name}: ${what}: read once\n`;
  // A --host comes first.
  const found = await report(["--json", file, link, copy, `--host=a=${file}`]);
  assertEquals(found.code, 0);
  assertEquals(found.stderr, said(file, "named twice") + said(link));
  assertEquals(JSON.parse(found.stdout).connections, 3);

  const shell = ["sh", "-c", 'exec "$0" report --json "$1" - <"$1"'];
  const stdin = await run([...shell, await compile(), file]);
  assertEquals([stdin.code, stdin.stderr], [0, said("-")]);
  assertEquals(JSON.parse(stdin.stdout).connections, 2);
});

Deno.test("report: nothing, and what is no log", async () => {
  const nothing = await report(["-"]);
  assertEquals([nothing.code, nothing.stderr], [0, ""]);
  assertMatch(nothing.stdout, /^The log holds no connection\.\n/);

  // One of some hundred others has a line that reads like `x y=`.
  const random = randomFrom(1);
  const noise = new Uint8Array(3_000_000).map(() => random(256));
  noise[0] = 1;
  const found = await json([writeFile("log/noise", noise)]);
  assertEquals(found.connections, 0);
  const { read, foreign, unreadable } = found.lines;
  assertEquals(foreign + unreadable, read);
  assert(unreadable > 0.9 * read, `${unreadable} of ${read}`);
  const zeros = await json(["-"], { input: new Uint8Array(1_000_000) });
  assertEquals(zeros.lines.unreadable, 1);
});

Deno.test("report: logs of two hosts that share a database", async () => {
  // Deferred at one host and let in at the other, in both directions; each file
  // begins before the other ends.
  const of = (name: string) => `ip=${name}.1 net=${name}.0/24`;
  const a = of("192.0.2");
  const b = of("198.51.100");
  const one = [
    line(0, `defer ${a} reason=new wait=60`),
    line(400, `pass ${b} reason=retried age=300 accepted=1`),
    line(DAY, `pass ${b} reason=known age=1 accepted=2`),
  ];
  const two = [
    line(100, `defer ${b} reason=new wait=60`),
    line(300, `pass ${a} reason=retried age=300 accepted=1`),
    line(DAY, `pass ${a} reason=known age=1 accepted=2`),
  ];
  const mx1 = writeFile("log/mx1", one.join(""));
  const mx2 = writeFile("log/mx2", await gzip(two.join("")));
  const frame = (host: string, lines: string[]) =>
    lines.map((line) => line.replace(" ", ` ${host} greylist[1]: `));
  const central = [...frame("mx1", one), ...frame("mx2", two)].sort();
  const ways: [string[], RunOptions?][] = [
    [[`--host=mx1=${mx1}`, `--host=mx2=${mx2}`]],
    [["--host", `mx2=${mx2}`, "--host", `mx1=${mx1}`]],
    [["-"], { input: central.join("") }],
  ];
  for (const [args, options] of ways) {
    const found = await json(args, options);
    assertEquals(found.networks.deferred, 2);
    assertEquals(found.networks.accepted, 2, "as one log, by time");
    assertEquals([found.delay.count, found.delay.worst], [2, 300]);
    const counts = { deferred: 1, wouldDefer: 0, passed: 2, retried: 1 };
    const rest = { elsewhere: 1, warnings: 0, errors: 0 };
    assertEquals(found.hosts, [
      { host: "mx1", ...counts, ...rest },
      { host: "mx2", ...counts, ...rest },
    ]);
  }
  const unnamed = await json([mx1, mx2]);
  assertEquals([unnamed.networks.accepted, unnamed.hosts], [2, []]);
  const { stdout } = await report(ways[0][0]);
  assertMatch(stdout, /^By host$[^]*^ {2}mx1 .*^ {2}mx2 /ms);
});

Deno.test("report: long logs are merged line by line", async () => {
  // Each network is deferred in one file and let in by the next line of the
  // other, some megabytes long.
  const files: string[][] = [[], []];
  const count = 20_000;
  for (let i = 0; i < count; i++) {
    const net = `net=2001:db8:${(i >> 8).toString(16)}:${i & 255}::/64`;
    files[i % 2].push(line(i, `defer ip=x ${net} reason=new wait=1`));
    files[1 - i % 2].push(
      line(i + 0.5, `pass ip=x ${net} reason=retried age=0 accepted=1`),
    );
  }
  const names = files.map((lines, i) =>
    writeFile(`log/long${i}`, lines.join(""))
  );
  const found = await json(names);
  assertEquals(found.networks.deferred, count);
  assertEquals([found.networks.accepted, found.delay.count], [count, count]);
});

Deno.test("report: one period, and two side by side", async () => {
  const day = (n: number, net: string) =>
    line(n * DAY, `defer ip=x net=${net} reason=new wait=60`) +
    line(
      n * DAY + 60 * (n + 1),
      `pass ip=x net=${net} reason=retried age=${60 * (n + 1)} accepted=1`,
    );
  const text = day(0, "a") + day(1, "b") + day(2, "c") + day(3, "d");
  const log = writeFile("log/days", text);
  const since = new Date(STAMP + 1.5 * DAY * 1000).toISOString().slice(0, 19);
  const period = await json([`--since=${since}Z`, log]);
  assertEquals([period.connections, period.lines.outside], [4, 4]);
  assertEquals(period.delay.median, 180);
  const both = await json([
    `--since=${since}Z`,
    `--compare=..${since}Z`,
    log,
  ]) as Report & { compared: Report };
  assertEquals(both.delay.median, 180);
  assertEquals(both.compared.delay.median, 60);
  assertEquals(both.compared.connections, 4);
  const shown = await report([
    `--since=${since}Z`,
    `--compare=..${since}Z`,
    log,
  ]);
  assertMatch(shown.stdout, /^ {2}half of them took up to +1 min +3 min$/m);
  const page = await report([
    "--html=-",
    `--since=${since}Z`,
    `--compare=..${since}Z`,
    log,
  ]);
  assertMatch(page.stdout, /half of them took up to<\/th><td>1\u00a0min<\/td>/);
  const ago = await json(["--until=1d", log]);
  assertEquals(ago.connections, 8, "the log is older than a day");
});

Deno.test("report: a client that is whitelisted already is not proposed", async () => {
  let text = "";
  for (let i = 1; i <= 5; i++) {
    const who = `ip=192.0.${i}.7 net=192.0.${i}.0/24`;
    text += line(
      0,
      `defer ${who} reason=new wait=60 helo=mx${i}.b${i}.example`,
    );
    text += line(4000, `pass ${who} reason=retried age=4000 accepted=1`);
  }
  const log = writeFile("log/advice", text);
  const file = writeFile("control/covered", "192.0.2.0/24\n.b3.example\n");
  const binary = await compile({
    whitelist: { networks: ["192.0.1.7"], files: [file as Path] },
    pools: [{ name: "b5", hosts: [".b5.example"] }],
  });
  const { code, stdout } = await run([binary, "report", "--json", log]);
  assertEquals(code, 0);
  const { advice } = JSON.parse(stdout) as Report;
  assertEquals(advice.map(({ paste }) => paste), [
    "192.0.4.0/24  # mx4.b4.example, waited 1 h 6 min",
  ]);
});

Deno.test("report: wrong options", async () => {
  const file = writeFile("log/good", FIRST);
  const cases: [string[], string][] = [
    [["--jason"], "--jason: unknown option"],
    [["--html"], "--html: expected --html=VALUE"],
    [["--html="], "--html: expected --html=VALUE"],
    [["--json=1"], "--json: takes no value"],
    [["--json", "--html=-", file], "--html=- and --json: both are for stdout"],
    [["-", "-"], "-: standard input can be read once only"],
    [[`${ROOT}/none`], `${ROOT}/none: No such file or directory`],
    [["--since=monday", file], `--since=monday: ${A_TIME}`],
    [["--until=2026-02-30", file], `--until=2026-02-30: ${A_TIME}`],
    [
      ["--since=2026-11-02", "--until=2026-11-01", file],
      "--until=2026-11-01: expected a time after --since=2026-11-02",
    ],
    [
      ["--compare=2026-11-02", file],
      `--compare=2026-11-02: expected FROM..TO, FROM before TO, each ${TIMES}`,
    ],
    [["--host", file], `--host=${file}: expected --host=NAME=LOGFILE`],
    [["--host"], "--host=: expected --host=NAME=LOGFILE"],
    [["--host=mx1", file], "--host=mx1: expected --host=NAME=LOGFILE"],
    [["--host=mx1=", file], "--host=mx1=: expected --host=NAME=LOGFILE"],
    [[`--host=mx1=${ROOT}/none`], `${ROOT}/none: No such file or directory`],
    [["--host=mx1=-", "-"], "-: standard input can be read once only"],
    [[ROOT], `${ROOT}: is a directory: expected a file`],
    [[file, `${ROOT}/none`], `${ROOT}/none: No such file or directory`],
    [[`${file}/x`], `${file}/x: Not a directory`],
    [[`--html=${ROOT}`, file], `${ROOT}: is a directory: expected a file`],
    [["--html=/dev/null", file], "/dev/null: is no regular file: not replaced"],
    [
      [`--html=${ROOT}/none/x`, file],
      `${ROOT}/none/x: No such file or directory`,
    ],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await report(args);
    assertEquals(stderr, `greylist report: ${message}\n`);
    assertEquals([code, stdout], [100, ""]);
  }
});

e2e("report: a file that may not be read", {
  root: true,
  programs: ["setpriv"],
}, async () => {
  const file = writeFile("log/secret", FIRST, 0o600);
  const binary = await compile();
  const command = ["setpriv", "--reuid=65534", "--clear-groups", binary];
  const { code, stdout, stderr } = await run([...command, "report", file]);
  assertEquals(stderr, `greylist report: ${file}: Permission denied\n`);
  assertEquals([code, stdout], [100, ""]);
});

Deno.test("report --html: a page, replaced as a whole", async () => {
  const log = writeFile("log/good", FIRST + SECOND);
  const directory = emptyDir("html");
  const page = `${directory}/page.html`;
  for (let i = 0; i < 2; i++) {
    const { code, stdout, stderr } = await report([`--html=${page}`, log]);
    assertEquals([code, stdout, stderr], [0, "", ""]);
    assertMatch(Deno.readTextFileSync(page), /^<!DOCTYPE html>[^]*<\/html>\n$/);
    Deno.writeTextFileSync(page, OLD);
  }
  const onStdout = await report(["--html=-", log]);
  assertMatch(onStdout.stdout, /^<!DOCTYPE html>[^]*<\/html>\n$/);
  const both = await json([`--html=${page}`, log]);
  assertEquals(both.connections, 2);
  const relative = await report(["--html=here.html", log], { cwd: directory });
  assertEquals(relative.code, 0);
  assertEquals(
    [...Deno.readDirSync(directory)].map(({ name }) => name).sort(),
    [
      "here.html",
      "page.html",
    ],
  );
});

Deno.test("report --html: a file that is no page stays", async () => {
  const directory = emptyDir("html");
  const log = writeFile("html/a.log", FIRST);
  const other = writeFile("html/b.log", SECOND);
  const packed = writeFile("html/c.log", await gzip(FIRST));
  const short = writeFile("html/d.log", "<!");
  const refusal = (path: string) =>
    `greylist report: ${path}: is no page of greylist report: expected another ` +
    "file: not replaced\n";
  const state = (path: string) => [
    Deno.readFileSync(path),
    Deno.statSync(path).ino,
  ];
  for (const path of [log, packed, short]) {
    const before = state(path);
    // As a shell expands `--html *.log`. The other log is not read either.
    for (const logs of [[other], [`${ROOT}/none`], ["-"]]) {
      const { code, stdout, stderr } = await report(["--html", path, ...logs]);
      assertEquals([code, stdout, stderr], [100, "", refusal(path)]);
      assertEquals(state(path), before);
    }
  }
  const empty = writeFile("html/page.html", "");
  const made = await report([`--html=${empty}`, log]);
  assertEquals([made.code, made.stderr], [0, ""]);
  assertMatch(Deno.readTextFileSync(empty), /^<!DOCTYPE html>/);
  assertEquals([...Deno.readDirSync(directory)].length, 5);
});

e2e("report --html: mode and owner of the page stay", {
  root: true,
  programs: ["setpriv"],
}, async () => {
  const log = writeFile("log/good", FIRST);
  const directory = emptyDir("html");
  Deno.chmodSync(directory, 0o777);
  const page = writeFile("html/page.html", OLD, 0o600);
  Deno.chownSync(page, 65534, 12345);
  const state = () => {
    const { mode, uid, gid } = Deno.statSync(page);
    return [mode! & 0o7777, uid, gid];
  };
  for (const mode of [0o600, 0o664]) {
    Deno.chmodSync(page, mode);
    const { code, stderr } = await report([`--html=${page}`, log]);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(Deno.readTextFileSync(page), /^<!DOCTYPE html>/);
    assertEquals(state(), [mode, 65534, 12345]);
  }
  // Nobody but root can give a file away, to a user or to a group.
  Deno.writeTextFileSync(page, OLD);
  for (const uid of [65500, 65534]) {
    const user = [`--reuid=${uid}`, "--regid=65500", "--clear-groups"];
    const command = [await compile(), "report", `--html=${page}`, log];
    const { code, stderr } = await run(["setpriv", ...user, ...command]);
    assertEquals(
      stderr,
      `greylist report: ${page}: belongs to uid 65534 and gid 12345, which ` +
        "only root can keep: not replaced\n",
    );
    assertEquals([code, state()], [100, [0o664, 65534, 12345]]);
    assertEquals(Deno.readTextFileSync(page), OLD);
  }
  assertEquals([...Deno.readDirSync(directory)].length, 1);
});

Deno.test("report --html: what is no log leaves the old page", async () => {
  const page = writeFile("html/page.html", OLD);
  const services = writeFile("log/services", "ssh 22/tcp\nsmtp 25/tcp mail\n");
  const foreign = writeFile("log/mail.log", "Nov 23 19:00:00 mx sshd[1]: hi\n");
  const empty = writeFile("log/empty", "");
  const cut = writeFile("log/cut", (await gzip(FIRST)).subarray(0, 10));
  const cases: [string[], string][] = [
    [[], "standard input: no line"],
    [["-"], "standard input: no line"],
    [["-", empty], "2 logs: no line"],
    [[services], `${services}: no line of greylist in 2 lines`],
    [["--json", services, foreign], "2 logs: no line of greylist in 3 lines"],
    [[foreign, "--since=1d"], `${foreign}: no line of greylist in 1 line`],
    [[cut], `${cut}: no line`],
  ];
  // With log.target "auto" or "stderr" there is no LOGFILE by default.
  const binary = await compile({ log: { target: "stderr" } });
  const html = [binary, "report", `--html=${page}`];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await run([...html, ...args]);
    assertEquals(
      stderr.split("\n").at(-2),
      `greylist report: ${message}: expected a log of greylist: ${page} is not ` +
        "written",
    );
    assertEquals([code, stdout], [100, ""]);
    assertEquals(Deno.readTextFileSync(page), OLD);
  }
  // The log of a quiet night, and one with entries of other nights only.
  const log = writeFile("log/good", FIRST);
  for (const args of [[empty], [empty, "--since=1d"], [log, "--since=1d"]]) {
    Deno.writeTextFileSync(page, OLD);
    const { code, stderr } = await run([...html, ...args]);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(Deno.readTextFileSync(page), /The log holds no connection\./);
  }
});

e2e("report --html: a full disk leaves the old page", {
  mounts: true,
  programs: ["mount", "unshare"],
}, async () => {
  const log = writeFile("log/good", FIRST);
  const directory = emptyDir("full");
  const page = `${directory}/page.html`;
  const script = `mount -t tmpfs -o size=8k tmpfs "$0" && cd "$0" || exit 1
printf '${OLD}' >page.html
"$@"
code=$?
ls -A
cat page.html
exit $code`;
  const { code, stdout, stderr } = await run([
    "unshare",
    "--mount",
    "sh",
    "-c",
    script,
    directory,
    await compile(),
    "report",
    `--html=${page}`,
    log,
  ]);
  assertEquals(stderr, `greylist report: ${page}: No space left on device\n`);
  assertEquals([code, stdout], [111, `page.html\n${OLD}`]);
});

Deno.test("report: a reader that goes away", async () => {
  let text = "";
  for (let i = 0; i < 200; i++) text += line(i * 86400, FIRST.slice(25, -1));
  const log = writeFile("log/good", text);
  const binary = await compile();
  const script = '"$0" report "$1" | true; "$0" report "$1" | head -n 1';
  const { stdout, stderr } = await run(["sh", "-c", script, binary, log]);
  assertEquals(stderr, "");
  assertMatch(stdout, /^From 2026-11-01/);
});

Deno.test("report: --help names every key of the JSON object", async () => {
  const { stdout } = await run([await compile(), "report", "--help"]);
  for (const line of stdout.split("\n")) assert(line.length <= 80, line);
  const found = await json(["-"], { input: FIRST + SECOND });
  for (const key of Object.keys(found)) {
    assertMatch(stdout, new RegExp(`\\b${key}\\b`));
  }
});
