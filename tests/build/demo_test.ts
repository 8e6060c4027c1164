/**
 * `deno task demo`: what it shows, that it notices a greylist that does wrong,
 * and that it leaves nothing behind.
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import {
  difference,
  exchange,
  labelled,
  verdictOf,
} from "../../lib/build/demo/screen.ts";
import { MX_NEEDS } from "../harness/mx.ts";
import { e2e } from "../harness/need.ts";
import {
  type Outcome,
  processesBelow,
  run,
  waitFor,
} from "../harness/process.ts";
import { PROJECT } from "../harness/project.ts";
import { emptyDir } from "../harness/root.ts";

Deno.test("a command and its reply share a line if there is room", () => {
  assertEquals(exchange("QUIT", "221 bye"), [
    "> QUIT                     < 221 bye",
  ]);
  assertEquals(exchange(undefined, "220 mx"), [
    "                           < 220 mx",
  ]);
  const fits = "250 " + "x".repeat(47);
  assertEquals(exchange("A", fits)[0].length, 80);
  assertEquals(exchange("A", fits + "x"), ["> A", `< ${fits}x`]);
  const long = "MAIL FROM:<somebody@a.example>";
  assertEquals(exchange(long, "250 ok"), [`> ${long}`, "< 250 ok"]);
  assertEquals(exchange(undefined, fits + "x"), [`< ${fits}x`]);
});

Deno.test("the reply to a message stands beside its last line", () => {
  assertEquals(exchange("Subject: a\n\n.", "250 ok"), [
    "> Subject: a",
    ">",
    "> .                        < 250 ok",
  ]);
});

Deno.test("a missing reply is shown as such", () => {
  assertEquals(exchange("QUIT", undefined), [
    "> QUIT                     (no reply)",
  ]);
});

Deno.test("a wide line is broken at spaces, a narrow one left as it is", () => {
  assertEquals(labelled("file:", "-rw 1  x"), ["file: -rw 1  x"]);
  const word = "w".repeat(50);
  assertEquals(labelled("log: ", `a ${word} ${word}`), [
    `log:  a ${word}`,
    `      ${word}`,
  ]);
});

Deno.test("the verdict of a log line", () => {
  assertEquals(
    verdictOf("defer ip=192.0.2.1 net=192.0.2.0/24 reason=new wait=2"),
    "defer new",
  );
  assertEquals(verdictOf("error pass reason=error what=x"), "error error");
  assertEquals(verdictOf(""), "");
});

Deno.test("a difference is reported with what was expected", () => {
  assertEquals(difference("size", 1, 1), undefined);
  assertEquals(difference("size", 0, 1), "size: 0: expected 1");
  assertEquals(difference("size", undefined, 1), "size: none: expected 1");
  assertEquals(difference("pid", "7", undefined), "pid: 7: expected none");
  assertEquals(difference("pid", undefined, undefined), undefined);
});

/** How long a demo may take on a busy machine, in seconds. */
const PATIENCE = 300;

/** A demo with a temporary directory of its own. */
function command(project: string, ...args: string[]) {
  const scratch = emptyDir("demo-tmp");
  const env = { ...Deno.env.toObject(), TMPDIR: scratch };
  const argv = [Deno.execPath(), "task", "demo", ...args];
  return { argv, project, scratch, env };
}

/** Runs the demo of a project; it has to leave nothing behind. */
async function demo(
  project: string,
  env: Record<string, string> = {},
  ...args: string[]
): Promise<Outcome> {
  const { argv, scratch, env: own } = command(project, ...args);
  const outcome = await run(argv, {
    cwd: project,
    env: { ...own, ...env },
    patience: PATIENCE,
  });
  assertEquals([...Deno.readDirSync(scratch)], []);
  return outcome;
}

e2e("the demo shows each step, and that all is well", {}, async () => {
  const { code, stdout, stderr } = await demo(PROJECT);
  assertEquals(code, 0, stdout + stderr);
  assertShows(stdout, [
    /^1\. .*\n.*< 220 d\.example ESMTP\n/m,
    /^> RCPT TO:<c@d\.example> +< 451 4\.7\.1 .* 2 seconds\n/m,
    /^log: {2}defer ip=127\.0\.0\.1 .*reason=new /m,
    /^file: -rw-------.* 0 .* 127\.0\.0\.0_24/m,
    /^2\. [^]*< 451 4\.7\.1 [^]*^log: {2}defer .*reason=early /m,
    /^3\. [^]*< 220 .*stand-in for qmail-smtpd, pid \d+\n/m,
    /^> RCPT TO:<c@d\.example> +< 250 /m,
    /^> \. +< 250 .*queued/m,
    /^log: {2}pass ip=127\.0\.0\.1 .*reason=retried age=\d+ accepted=1\n/m,
    /^file: -rw-------.* 1 .* 127\.0\.0\.0_24/m,
    /\nok: .*\n$/,
  ]);
});

/** Throws if a screen does not have all of this in this order, or is too wide. */
function assertShows(stdout: string, wanted: readonly RegExp[]): void {
  let rest = stdout;
  for (const pattern of wanted) {
    const match = pattern.exec(rest);
    assert(match !== null, `${pattern} not found in\n${rest}`);
    rest = rest.slice(match.index + match[0].length - 1);
  }
  assert(!stdout.includes("\x1b"), "colour without a terminal");
  const wide = stdout.split("\n").filter((line) => line.length > 80);
  assertEquals(wide, []);
}

e2e("the demo with two MX hosts shows each step", MX_NEEDS, async () => {
  const { code, stdout, stderr } = await demo(PROJECT, {}, "--hosts=2");
  assertEquals(code, 0, stdout + stderr);
  assertShows(stdout, [
    /^1\. .*MX 1\n/m,
    /^> RCPT TO:<c@d\.example> +< 451 4\.7\.1 .* 2 seconds\n/m,
    /^log: {2}defer ip=\S+ .*reason=new /m,
    /^file: -rw-------.* 0 .*_24/m,
    /^2\. .*MX 2 /m,
    /^log: {2}defer .*reason=early /m,
    /^3\. .*MX 2 /m,
    /< 220 .*stand-in for qmail-smtpd, pid \d+\n/m,
    /^log: {2}pass ip=\S+ .*reason=retried age=\d+ accepted=1\n/m,
    /^4\. .*MX 1/m,
    /^log: {2}pass ip=\S+ .*reason=known .*accepted=2\n/m,
    /^file: -rw-------.* 2 .*_24/m,
    /\nok: .*\n$/,
  ]);
});

e2e("the demo says what two MX hosts take that is not here", {}, async () => {
  const env = { PATH: "/nowhere" };
  const { code, stdout, stderr } = await demo(PROJECT, env, "--hosts=2");
  assertEquals(code, 111, stderr);
  assertEquals(stdout, "");
  assertMatch(
    stderr,
    Deno.uid() === 0
      ? /^greylist demo: --hosts=2: not installed: glusterd, .*: apt-get install glusterfs-server .*\n$/m
      : /^greylist demo: --hosts=2: several hosts on one machine need root\n$/m,
  );
});

e2e("demo --help: what it shows", {}, async () => {
  const { code, stdout } = await demo(PROJECT, {}, "--help");
  assertEquals(code, 0);
  assertStringIncludes(stdout, "deno task demo --hosts=2: ");
});

e2e("a wrong command line of the demo is one line", {}, async () => {
  for (const args of [["--hosts=3"], ["--hosts=2", "--hosts=3"]]) {
    const { code, stderr } = await demo(PROJECT, {}, ...args);
    assertEquals(code, 100, stderr);
    assertMatch(
      stderr,
      /^greylist demo: --hosts=3: expected nothing, or --hosts=2\n$/m,
    );
  }
});

e2e(
  "the demo fails if greylist lets a sender in too early",
  {},
  async () => {
    const copy = emptyDir("demo-copy");
    const files = [
      "deno.json",
      "deno.lock",
      "greylist.config.ts",
      "main.ts",
      "lib",
    ]
      .map((name) => PROJECT + name);
    const { code: copied } = await run(["cp", "-R", ...files, copy]);
    assertEquals(copied, 0);
    const policy = `${copy}/lib/store/policy.ts`;
    const right = Deno.readTextFileSync(policy);
    const wrong = right.replace("if (age < delay) {", "if (age < 0) {");
    assert(right !== wrong, "the line that makes a sender wait has changed");
    Deno.writeTextFileSync(policy, wrong);

    const { code, stdout } = await demo(copy);
    assertEquals(code, 1, stdout);
    assertStringIncludes(
      stdout,
      "FAILED: connection 2: replies: 220 250 250 250 221: " +
        "expected 220 250 250 451 221\n" +
        "FAILED: connection 2: log: pass retried: expected defer early\n",
    );
    assert(!stdout.includes("\nok"), stdout);
  },
);

e2e("a build that fails ends the demo with its code", {}, async () => {
  const env = { DENORT_BIN: "/nonexistent/denort" };
  const { code, stdout, stderr } = await demo(PROJECT, env);
  assertEquals(code, 100, stdout + stderr);
  assertStringIncludes(stderr, "greylist compile: DENORT_BIN: ");
  assert(!stdout.includes("\nok"), stdout);
});

for (
  const [moment, needs, ...args] of [
    ["Compiling", {}],
    ["\n1. ", {}],
    ["Bringing up", MX_NEEDS, "--hosts=2"],
    ["\n1. ", MX_NEEDS, "--hosts=2"],
  ] as const
) {
  const name = `${JSON.stringify(moment)} ${args.join(" ")}`.trim();
  e2e(`SIGINT after ${name} leaves nothing behind`, needs, async () => {
    const { argv, scratch, env } = command(PROJECT, ...args);
    await using child = new Deno.Command(argv[0], {
      args: argv.slice(1),
      cwd: PROJECT,
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    let seen = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      const before = seen.includes(moment);
      seen += decoder.decode(chunk);
      if (before || !seen.includes(moment)) continue;
      child.kill("SIGINT");
    }
    const { code } = await child.status;
    assertEquals(code, 130, seen);
    assert(!seen.includes("\nok"), seen);
    await waitFor(
      "an empty temporary directory",
      () => [...Deno.readDirSync(scratch)].length === 0,
    );
    await waitFor(
      "the end of all processes",
      () => processesBelow(scratch).length === 0,
    );
  });
}
