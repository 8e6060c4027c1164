import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../../lib/config.ts";
import { clean, clientLines, compile, logLines } from "../harness/binary.ts";
import { bothWays } from "../harness/both_ways.ts";
import { programPath } from "../harness/need.ts";
import { greeter } from "../harness/next_program.ts";
import { run, waitFor } from "../harness/process.ts";
import { emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { assertOnlySmtp, ATTEMPT, burst, talk } from "../harness/smtp.ts";
import { openStalledSyslog, openSyslog } from "../harness/syslog.ts";
import { serve, type WayIn } from "../harness/way_in.ts";

const SESSION = ATTEMPT.join("\r\n") + "\r\n";
const WHO = "ip=127.0.0.1 net=127.0.0.0/24";
const DEFERRED = `defer ${WHO} reason=new wait=60 ` +
  "helo=client.example from=<a@client.example> to=<b@mx.example>";
const AUTO: Partial<Config> = { log: {} };

bothWays("the log is stderr, for multilog", {}, async (way) => {
  clean();
  const binary = await compile(AUTO);
  await using server = await way.start({ binary, next: greeter() });
  await burst(server.port, SESSION);
  await server.idle();
  const lines = server.stderr().split("\n");
  assertEquals(clientLines(lines), [DEFERRED, ""]);
});

bothWays("a pipe on stderr gets whole lines, real multilog stamps them", {
  programs: ["multilog"],
}, async (way) => {
  clean();
  const binary = await compile(AUTO);
  const dir = emptyDir("multilog", 0o777);
  // Under tcpserver standard output is the client; a service of daemontools
  // has both in one pipe.
  const both = way === serve ? "2>&1" : "2>&1 >&0";
  const script = writeFile(
    "multilog.sh",
    `"$@" ${both} | ${programPath("multilog")} t ${dir} >/dev/null\n`,
  );
  await using server = await way.start({
    binary,
    before: ["/bin/sh", script],
    next: greeter(),
  });
  await burst(server.port, SESSION);
  await waitFor("the line in multilog's file", () => {
    const [line] = clientLines(logLines(`${dir}/current`));
    return line?.replace(/^@[0-9a-f]{24} /, "") === DEFERRED;
  });
});

bothWays("target syslog with a facility", { mounts: true }, async (way) => {
  clean();
  await using syslog = openSyslog();
  const binary = await compile({
    log: { target: "syslog", facility: "local3" },
    whitelist: { files: [`${ROOT}/no/whitelist` as Path] },
  });
  const { before } = syslog;
  await using server = await way.start({
    binary,
    before,
    next: greeter(),
  });
  await burst(server.port, SESSION);
  const found = (line: RegExp) => syslog.messages.some((m) => line.test(m));
  await waitFor("a line", () => found(/^<158>\w+ .*: defer ip=/));
  assert(found(/^<156>\w+ .*: warn whitelist what="whitelist file /));
  assertEquals(server.stderr(), "");
});

bothWays("a syslog daemon that does not read stops no client", {
  mounts: true,
}, async (way) => {
  clean();
  await using syslog = await openStalledSyslog();
  const binary = await compile({ log: { target: "syslog" } });
  const { before } = syslog;
  await using server = await way.start({
    binary,
    before,
    next: greeter(),
  });
  assertMatch(await burst(server.port, SESSION), /\r\n451 4\.7\.1 /);
  await server.idle();
});

/** Checks that a client is deferred behind the command `before`. */
async function assertDefers(way: WayIn, before: string[]): Promise<void> {
  clean();
  const binary = await compile(AUTO);
  await using server = await way.start({ binary, before, next: greeter() });
  const text = await burst(server.port, SESSION);
  assertOnlySmtp(text);
  assertMatch(text, /\r\n451 4\.7\.1 /);
}

bothWays("a closed stderr stops no client", {}, async (way) => {
  const script = writeFile("closed.sh", 'exec "$@" 2>&-\n');
  await assertDefers(way, ["/bin/sh", script]);
});

bothWays("a log reader that has gone stops no client", {}, async (way) => {
  const script = writeFile(
    "broken.sh",
    'mkfifo "$0.$$"; sleep 0.1 <"$0.$$" & exec 2>"$0.$$"; wait; exec "$@"\n',
  );
  await assertDefers(way, ["/bin/sh", script]);
});

bothWays("a log file is made, added to, and stamped", {}, async (way) => {
  clean();
  const binary = await compile();
  await using server = await way.start({ binary, next: greeter() });
  for (let i = 0; i < 2; i++) {
    await talk(server.port);
    await server.idle();
  }
  const lines = clientLines();
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
  bothWays(`a log file that ${what}: syslog is told, the client served`, {
    mounts: true,
  }, async (way) => {
    clean();
    await run(["rm", "-rf", `${ROOT}/no`]);
    prepare();
    await using syslog = openSyslog();
    const binary = await compile({ log: { target: `${ROOT}/no/log` as Path } });
    const { before } = syslog;
    await using server = await way.start({
      binary,
      before,
      next: greeter(),
    });
    assertMatch(await burst(server.port, SESSION), /\r\n451 4\.7\.1 /);
    await server.idle();
    const messages = () => clientLines(syslog.messages);
    await waitFor("two messages", () => messages().length === 2);
    assertMatch(messages()[0], /^<19>.*error .*\/no\/log/);
    assertMatch(messages()[1], /^<22>.*: defer ip=/);
  });
}

bothWays("lines below the level are left out", {}, async (way) => {
  clean();
  const binary = await compile({ log: { level: "WARN" } });
  await using server = await way.start({ binary, next: greeter() });
  await talk(server.port);
  await server.idle();
  assertEquals(server.stderr(), "");
});
