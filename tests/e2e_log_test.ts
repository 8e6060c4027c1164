import { assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../lib/config.ts";
import { clean, compile, logLines } from "./harness/binary.ts";
import { e2e, programPath } from "./harness/need.ts";
import { greeter } from "./harness/next_program.ts";
import { gone, run, waitFor } from "./harness/process.ts";
import { emptyDir, ROOT, writeFile } from "./harness/root.ts";
import { assertOnlySmtp, ATTEMPT, burst, talk } from "./harness/smtp.ts";
import { openStalledSyslog, openSyslog } from "./harness/syslog.ts";
import { tcpserver } from "./harness/way_in.ts";

const needs = { programs: ["tcpserver"] };
const SESSION = ATTEMPT.join("\r\n") + "\r\n";
const WHO = "ip=127.0.0.1 net=127.0.0.0/24";
const DEFERRED = `defer ${WHO} reason=new wait=60 ` +
  "helo=client.example from=<a@client.example> to=<b@mx.example>";
const AUTO: Partial<Config> = { log: {} };

e2e("under tcpserver the log is stderr, for multilog", needs, async () => {
  clean();
  const binary = await compile(AUTO);
  await using server = await tcpserver.start({ binary, next: greeter() });
  await burst(server.port, SESSION);
  await gone(binary);
  assertEquals(server.stderr(), `${DEFERRED}\n`);
});

e2e("a pipe on stderr gets whole lines, real multilog stamps them", {
  programs: ["tcpserver", "multilog"],
}, async () => {
  clean();
  const binary = await compile(AUTO);
  const dir = emptyDir("multilog", 0o777);
  const script = writeFile(
    "multilog.sh",
    `"$@" 2>&1 >&0 | ${programPath("multilog")} t ${dir} >/dev/null\n`,
  );
  await using server = await tcpserver.start({
    binary,
    before: ["/bin/sh", script],
    next: greeter(),
  });
  await burst(server.port, SESSION);
  await waitFor("the line in multilog's file", () => {
    const [line] = logLines(`${dir}/current`);
    return line?.replace(/^@[0-9a-f]{24} /, "") === DEFERRED;
  });
});

e2e("target syslog with a facility", { ...needs, root: true }, async () => {
  clean();
  await using syslog = openSyslog();
  const binary = await compile({
    log: { target: "syslog", facility: "local3" },
  });
  const { before } = syslog;
  await using server = await tcpserver.start({
    binary,
    before,
    next: greeter(),
  });
  await burst(server.port, SESSION);
  await waitFor("a message", () => syslog.messages.length > 0);
  assertMatch(syslog.messages[0], /^<158>.*: defer ip=/);
  assertEquals(server.stderr(), "");
});

e2e("a syslog daemon that does not read stops nobody", {
  ...needs,
  root: true,
}, async () => {
  clean();
  await using syslog = await openStalledSyslog();
  const binary = await compile({ log: { target: "syslog" } });
  const { before } = syslog;
  await using server = await tcpserver.start({
    binary,
    before,
    next: greeter(),
  });
  assertMatch(await burst(server.port, SESSION), /\r\n451 4\.7\.1 /);
  await gone(binary);
});

e2e("a closed stderr stops nobody", needs, async () => {
  clean();
  const binary = await compile(AUTO);
  const before = ["/bin/sh", writeFile("closed.sh", 'exec "$@" 2>&-\n')];
  await using server = await tcpserver.start({
    binary,
    before,
    next: greeter(),
  });
  const text = await burst(server.port, SESSION);
  assertOnlySmtp(text);
  assertMatch(text, /\r\n451 4\.7\.1 /);
});

e2e("a log reader that has gone stops nobody", needs, async () => {
  clean();
  const binary = await compile(AUTO);
  const before = [
    "/bin/sh",
    writeFile(
      "broken.sh",
      'mkfifo "$0.$$"; sleep 0.1 <"$0.$$" & exec 2>"$0.$$"; wait; exec "$@"\n',
    ),
  ];
  await using server = await tcpserver.start({
    binary,
    before,
    next: greeter(),
  });
  const text = await burst(server.port, SESSION);
  assertOnlySmtp(text);
  assertMatch(text, /\r\n451 4\.7\.1 /);
});

e2e("a log file is made, added to, and stamped", needs, async () => {
  clean();
  const binary = await compile();
  await using server = await tcpserver.start({ binary, next: greeter() });
  await talk(server.port);
  await talk(server.port);
  await gone(binary);
  const lines = logLines();
  assertEquals(lines.length, 2);
  assertMatch(lines[0], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z defer ip=/);
  assertMatch(lines[1], / reason=early /);
  assertEquals(server.stderr(), "");
});

for (
  const [what, prepare] of Object.entries({
    "cannot be made": () => {},
    "is a directory": () =>
      Deno.mkdirSync(`${ROOT}/no/log`, { recursive: true }),
  })
) {
  e2e(`a log file that ${what}: syslog is told, the client served`, {
    ...needs,
    root: true,
  }, async () => {
    clean();
    await run(["rm", "-rf", `${ROOT}/no`]);
    prepare();
    await using syslog = openSyslog();
    const binary = await compile({ log: { target: `${ROOT}/no/log` as Path } });
    const { before } = syslog;
    await using server = await tcpserver.start({
      binary,
      before,
      next: greeter(),
    });
    assertMatch(await burst(server.port, SESSION), /\r\n451 4\.7\.1 /);
    await gone(binary);
    await waitFor("two messages", () => syslog.messages.length === 2);
    assertMatch(syslog.messages[0], /^<19>.*error .*\/no\/log/);
    assertMatch(syslog.messages[1], /^<22>.*: defer ip=/);
  });
}

e2e("the level leaves out what is below it", needs, async () => {
  clean();
  const binary = await compile({ log: { level: "WARN" } });
  await using server = await tcpserver.start({ binary, next: greeter() });
  await talk(server.port);
  await gone(binary);
  assertEquals(server.stderr(), "");
});
