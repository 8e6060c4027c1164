import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Path } from "../../lib/config.ts";
import { TIMES } from "../../lib/report/period.ts";
import type { Report } from "../../lib/report/report.ts";
import { compile, logLines } from "../harness/binary.ts";
import { e2e } from "../harness/need.ts";
import { run, waitFor } from "../harness/process.ts";
import {
  A_TIME,
  connections,
  DAY,
  FIRST,
  json,
  line,
  report,
  SECOND,
  STAMP,
} from "../harness/report_command.ts";
import { emptyDir, LOG, ROOT, writeFile } from "../harness/root.ts";
import { randomFrom } from "../harness/streams.ts";
import { openSyslog } from "../harness/syslog.ts";

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
