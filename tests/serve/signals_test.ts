import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../../lib/config.ts";
import { logLines } from "../harness/binary.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import {
  childrenOf,
  descriptorsOf,
  freePort,
  hungUp,
  isListening,
  processesOf,
  waitFor,
} from "../harness/process.ts";
import { CONTROL, LOG, ROOT, writeFile } from "../harness/root.ts";
import {
  HELPER_LIFE,
  lines,
  logged,
  serving,
  untilAccepted,
} from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";
import { openSyslog } from "../harness/syslog.ts";
import { lingering, slowingAt } from "../harness/strace.ts";
import { serve } from "../harness/way_in.ts";

const FILE = `${ROOT}/served-whitelist` as Path;

/** The clients of 127.0.0.0/24 are let in, one at a time. */
const CONFIG: Partial<Config> = {
  // Longer than a test takes, as its clients come again and again.
  timeouts: { delay: "1h" },
  whitelist: { networks: ["127.0.0.0/24"], files: [FILE] },
  serve: { limit: 1 },
  // So long that no timeout is due during the tests.
  prune: { every: 0 },
};

const STOPPING = "421 4.3.2 Shutting down, please try again later";

function begin(next?: string[], before?: readonly string[]) {
  writeFile("served-whitelist", "# nobody\n");
  return serving(CONFIG, { ...next && { next }, ...before && { before } });
}

e2e(
  "serve signals: TERM ends deferred and waiting clients, and no others",
  {},
  async () => {
    await using server = await begin();
    const { port, pid } = server;
    using accepted = await Client.connect(port);
    assertEquals(await accepted.reply(), NEXT);
    using silent = await Client.connectFrom(port, { from: "127.0.1.1" });
    assertMatch((await silent.reply())!, /^220 /);
    using talking = await Client.connectFrom(port, { from: "127.0.1.2" });
    assertMatch((await talking.reply())!, /^220 /);
    await talking.send("EHLO client.example\r\n");
    assertMatch((await talking.reply())!, /^250-/);
    using waiting = await untilAccepted(pid, () => Client.connect(port));

    Deno.kill(pid, "SIGTERM");
    assertMatch((await silent.reply())!, /^421 4\.3\.2 /);
    assertMatch((await talking.reply())!, /^421 4\.3\.2 /);
    assertEquals(await waiting.reply(), STOPPING);
    for (const client of [silent, talking, waiting]) {
      assertEquals(await client.rest(), "");
      assertEquals(client.wasReset, false);
      client[Symbol.dispose]();
    }
    assertEquals(await server.code, 0);
    assert(!isListening(port));

    // The port is free again, and the program runs on.
    await using _again = await serve.start({
      binary: server.binary,
      next: greeter(),
      port,
    });
    await accepted.send("one\r\n");
    assertEquals(await accepted.reply(), "250 one");
    await accepted.send("QUIT\r\n");
    assertEquals(await accepted.rest(), "250 QUIT\r\n");
    assertEquals(lines().map((line) => line.split(" ")[0]), [
      "pass",
      "busy",
      "defer",
      "defer",
    ]);
    await logged(
      / busy ip=127\.0\.0\.1 net=127\.0\.0\.0\/24 reason=stopping$/,
    );
    assert(logLines().some((line) => / serve end=stopped pid=\d+$/.test(line)));
    assertEquals(server.stderr(), "");
  },
);

e2e(
  "serve signals: TERM waits for accepted sessions if they would end with it",
  { mounts: true, programs: ["unshare"] },
  async () => {
    // The first process of a container, or of any PID namespace.
    const first = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    await using server = await begin(undefined, ["unshare", ...first]);
    const { port } = server;
    using accepted = await Client.connect(port);
    assertEquals(await accepted.reply(), NEXT);
    using silent = await Client.connectFrom(port, { from: "127.0.1.1" });
    assertMatch((await silent.reply())!, /^220 /);

    const [pid] = childrenOf(server.pid);
    Deno.kill(pid, "SIGTERM");
    assertMatch((await silent.reply())!, /^421 4\.3\.2 /);
    assertEquals(await silent.rest(), "");
    silent[Symbol.dispose]();
    await accepted.send("one\r\n");
    assertEquals(await accepted.reply(), "250 one");
    await accepted.send("QUIT\r\n");
    assertEquals(await accepted.rest(), "250 QUIT\r\n");
    assertEquals(await server.code, 0);
    // Without the wait nobody would be there to see the end of the program.
    assertEquals(lines().map((line) => line.split(" ")[0]), [
      "pass",
      "defer",
      "end",
    ]);
    assertMatch(logLines().at(-1)!, / serve end=stopped pid=1$/);
    assertEquals(server.stderr(), "");
  },
);

e2e(
  "serve signals: TERM closes the listening sockets at once",
  {},
  async () => {
    const second = freePort();
    writeFile("served-whitelist", "");
    const options = [`[::1]:${second}`];
    await using server = await serving(CONFIG, { options });
    using client = await Client.connectFrom(server.port, { from: "127.0.1.1" });
    assertMatch((await client.reply())!, /^220 /);
    Deno.kill(server.pid, "SIGTERM");
    // The client has its reply and has not hung up, so the server still runs.
    assertMatch((await client.reply())!, /^421 4\.3\.2 /);
    assert(!isListening(server.port));
    assert(!isListening(second));
    // The server does not wait for a client that does not hang up.
    assertEquals(await server.code, 0);
  },
);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  e2e(`serve signals: ${signal} with nobody connected`, {}, async () => {
    await using server = await begin();
    Deno.kill(server.pid, signal);
    assertEquals(await server.code, 0);
    assert(!isListening(server.port));
    assertEquals(lines(), []);
  });
}

e2e(
  "serve signals: TERM as soon as serve listens",
  { programs: ["strace"] },
  async () => {
    const before = lingering("listen", 1);
    await using server = await serving(CONFIG, { before });
    Deno.kill(server.pid, "SIGTERM");
    assertEquals(await server.code, 0);
    assertEquals(lines(), []);
  },
);

/** Whether a client of 127.0.1.0/24 is let in now. */
async function isExempt(port: number): Promise<boolean> {
  using client = await Client.connectFrom(port, { from: "127.0.1.1" });
  const banner = await client.reply();
  return banner === NEXT;
}

e2e("serve signals: HUP reads whitelist files again", {}, async () => {
  await using server = await begin();
  const { port, pid } = server;
  assertEquals(await isExempt(port), false);
  writeFile("served-whitelist", "127.0.1.1\n");
  // Without the signal nothing changes.
  assertEquals(await isExempt(port), false);
  Deno.kill(pid, "SIGHUP");
  await waitFor("the new file to count", () => isExempt(port));

  // One that cannot be read leaves what was read before.
  Deno.removeSync(FILE);
  Deno.mkdirSync(FILE);
  Deno.kill(pid, "SIGHUP");
  const warning = await logged(/ warn /);
  assert(warning.includes(`whitelist file ${FILE}: `), warning);
  assertEquals(await isExempt(port), true);
  Deno.removeSync(FILE);
  const warnings = logLines().filter((line) => / (warn|error) /.test(line));
  assertEquals(warnings, [warning]);

  writeFile("served-whitelist", "");
  Deno.kill(pid, "SIGHUP");
  await waitFor("the empty file to count", async () => !await isExempt(port));
});

e2e("serve signals: files on a disk that hangs are not waited for", {
  programs: ["strace"],
}, async () => {
  writeFile("served-whitelist", "127.0.1.1\n");
  const waits = { ...CONFIG, storeTimeout: "1s" } as const;
  const before = slowingAt([FILE], "openat", 20);
  await using server = await serving(waits, { before });
  const warnings = () => logLines().filter((line) => / warn /.test(line));
  const first = await logged(/ warn /);
  const what =
    "waiting for lists, control files or the log: no answer within 1 s";
  assert(first.endsWith(` warn serve what="${what}"`), first);
  await waitFor("the file to count", () => isExempt(server.port));
  const [pid] = processesOf(server.binary);
  Deno.kill(pid, "SIGHUP");
  await waitFor("another warning", () => warnings().length === 2);
  assert(warnings()[1].endsWith(what + '"'), warnings()[1]);
});

e2e("serve signals: HUP reads the name in the banner again", {}, async () => {
  await using server = await begin();
  const { port, pid } = server;
  const name = async () => {
    using client = await Client.connectFrom(port, { from: "127.0.1.1" });
    const banner = await client.reply();
    await client.send("QUIT\r\n");
    await client.rest();
    return banner?.split(" ")[1];
  };
  assertEquals(await name(), "mx.example");
  writeFile("control/me", "new.example\n");
  Deno.kill(pid, "SIGHUP");
  await waitFor("the new name", async () => await name() === "new.example");

  // A file that cannot be read leaves the name; one that is missing does not.
  Deno.removeSync(`${CONTROL}/me`);
  Deno.mkdirSync(`${CONTROL}/me`);
  Deno.kill(pid, "SIGHUP");
  const warning = await logged(/ warn /);
  const what =
    `${CONTROL}/me: expected a regular file: the name in the banner ` +
    "stays";
  assert(warning.endsWith(` warn serve what="${what}"`), warning);
  assertEquals(await name(), "new.example");
  Deno.removeSync(`${CONTROL}/me`);
  Deno.kill(pid, "SIGHUP");
  await waitFor("no name", async () => await name() === "localhost");
});

e2e(
  "serve signals: HUP begins a new log file, and no old one stays open",
  {},
  async () => {
    await using server = await begin();
    const { port, pid } = server;
    assertEquals(await isExempt(port), false);
    using accepted = await Client.connect(port);
    assertEquals(await accepted.reply(), NEXT);
    using deferred = await Client.connectFrom(port, { from: "127.0.1.1" });
    assertMatch((await deferred.reply())!, /^220 /);
    await logged(/ pass /);
    let before: string[] | undefined;
    for (let i = 0; i < 50; i++) {
      Deno.renameSync(LOG, `${LOG}.old`);
      Deno.kill(pid, "SIGHUP");
      await waitFor("a new log file", hasLog);
      // The first may open what is opened once.
      before ??= await settled(pid);
    }
    await waitFor(
      "the descriptors that there were",
      async () => (await settled(pid)).join() === before!.join(),
      HELPER_LIFE,
    ).catch(async () => assertEquals(await settled(pid), before));
    const old = Deno.readTextFileSync(`${LOG}.old`);

    // Later lines go to the new file, and no connection was disturbed.
    assertEquals(await isExempt(port), false);
    await logged(/ defer /);
    assertEquals(Deno.readTextFileSync(`${LOG}.old`), old);
    await accepted.send("one\r\n");
    assertEquals(await accepted.reply(), "250 one");
    await deferred.send("NOOP\r\n");
    assertMatch((await deferred.reply())!, /^250 /);
  },
);

/** Whether there is a log file. */
function hasLog(): boolean {
  try {
    return Deno.statSync(LOG).isFile;
  } catch {
    return false;
  }
}

e2e(
  "serve signals: HUP while the log file is being opened at the start",
  { programs: ["strace"] },
  async () => {
    const before = lingering("openat", 1, LOG);
    await using server = await serving(CONFIG, { before });
    await waitFor("the log file", hasLog);
    // Deno 2.9.6 opens files in another thread, and so is told of this at once. Deno
    // 2.4.2 is told when the file is open.
    Deno.renameSync(LOG, `${LOG}.old`);
    Deno.kill(server.pid, "SIGHUP");
    await waitFor("a new log file", hasLog);
  },
);

/**
 * The descriptors of a server whose log is the new one. Files that it may be reading
 * just then are left out.
 */
function settled(pid: number): Promise<string[]> {
  const isRead = (link: string) =>
    link === "closed" || link === FILE || link.startsWith(CONTROL);
  return waitFor("the old log file to be closed", () => {
    const all = descriptorsOf(pid).filter((link) => !isRead(link)).sort();
    return !all.some((link) => link.includes(".old")) && all;
  });
}

e2e(
  "serve signals: the end of each program is logged, and no zombie is left",
  {},
  async () => {
    const next = writeFile(
      "ender",
      `#!/bin/sh
read -r how
case $how in
(KILL*) kill -KILL $$;;
(*) exit "\${how%?}";;
esac
`,
      0o755,
    );
    await using server = await begin([next]);
    const { port, pid } = server;
    for (
      const [how, field] of [
        ["0", "code=0"],
        ["7", "code=7"],
        ["111", "code=111"],
        ["KILL", "signal=9"],
      ]
    ) {
      using client = await Client.connect(port);
      await client.send(`${how}\r\n`);
      assertEquals(await client.rest(), "");
      await logged(
        new RegExp(` end ip=127.0.0.1 net=127.0.0.0/24 pid=\\d+ ${field}$`),
      );
      assertEquals(childrenOf(pid), []);
    }
    await hungUp(port);
    // The kernel may deliver several pending signals as one.
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => Client.connect(port)),
    );
    for (const client of clients) await client.send("3\r\n");
    for (const client of clients) assertEquals(await client.rest(), "");
    for (const client of clients) client[Symbol.dispose]();
    await waitFor(
      "all ends to be logged",
      () =>
        lines().filter((line) => / code=3$/.test(line)).length ===
          clients.length,
    );
    assertEquals(childrenOf(pid), []);
  },
);

e2e("serve signals: HUP, and the log cannot be opened: syslog is told", {
  programs: ["unshare"],
  mounts: true,
}, async () => {
  await using syslog = openSyslog();
  await using server = await begin(undefined, syslog.before);
  const away = `${ROOT}/log-away`;
  Deno.renameSync(`${ROOT}/log`, away);
  Deno.kill(server.pid, "SIGHUP");
  await waitFor("a message", () => syslog.messages.length > 0);
  assert(
    syslog.messages[0].endsWith(
      `: error what="log file ${LOG}: No such file or directory"`,
    ),
    syslog.messages[0],
  );
  // What happens from now on is there as well, until the log can be opened.
  assertEquals(await isExempt(server.port), false);
  await waitFor(
    "the deferral",
    () => syslog.messages.some((line) => / defer ip=/.test(line)),
  );
  Deno.renameSync(away, `${ROOT}/log`);
  Deno.kill(server.pid, "SIGHUP");
  await waitFor("the old log file", async () => {
    await isExempt(server.port);
    return logLines().some((line) => / defer ip=/.test(line));
  });
});
