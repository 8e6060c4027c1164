import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { compile } from "../harness/binary.ts";
import { fuseObstacle, stoppedFuse } from "../harness/fuse.ts";
import { probe, report } from "../harness/handover_probe.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import {
  childrenOf,
  descriptorsOf,
  hungUp,
  isListening,
  processesOf,
  waitFor,
} from "../harness/process.ts";
import { BASE, CONTROL, writeFile } from "../harness/root.ts";
import {
  HELPER_LIFE,
  lines,
  logged,
  untilAccepted,
} from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";
import { slowingAt } from "../harness/strace.ts";
import {
  notUpgradable,
  upgradable,
  upgrade,
  upgraded,
  upgrades,
} from "../harness/upgrading.ts";

/** Two clients of 127.0.0.0/24 are let in, one at a time. */
const CONFIG: Partial<Config> = {
  whitelist: { networks: ["127.0.0.1", "127.0.0.2"] },
  serve: { limit: 1, limitPerNetwork: 1 },
};

/** The same with the default of storeTimeout. */
const DEFAULT_LIMIT: Partial<Config> = { ...CONFIG, storeTimeout: undefined };

const STOPPING = "421 4.3.2 Shutting down, please try again later";

const kernel = notUpgradable;

function sleep(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}

/** A client that has its banner. */
async function greeted(port: number, from: string, banner: RegExp) {
  const client = await Client.connectFrom(port, { from });
  assertMatch(await client.reply() ?? "hung up", banner);
  return client;
}

const DEFERRED = /^220 mx\.example ESMTP$/;
const ACCEPTED = new RegExp(`^${NEXT}$`);

/** A client that `serve` has accepted, and that waits. */
function waits(pid: number, from: string, port: number) {
  return untilAccepted(pid, () => Client.connectFrom(port, { from }));
}

e2e(
  "serve upgrade: programs go on and count, all others are told 421",
  { kernel },
  async () => {
    await using server = await upgradable(CONFIG);
    const { port, pid } = server;
    using accepted = await greeted(port, "127.0.0.1", ACCEPTED);
    using silent = await greeted(port, "127.0.1.1", DEFERRED);
    using talking = await greeted(port, "127.0.2.1", DEFERRED);
    await talking.send("EHLO client.example\r\n");
    assertMatch(await talking.reply() ?? "", /^250-/);
    using waiting = await waits(pid, "127.0.0.2", port);
    await accepted.send("one\r\n");
    assertEquals(await accepted.reply(), "250 one");
    const [program] = childrenOf(pid);

    Deno.kill(pid, "SIGUSR2");
    assertMatch(await silent.reply() ?? "", /^421 4\.3\.2 /);
    assertMatch(await talking.reply() ?? "", /^421 4\.3\.2 /);
    assertEquals(await waiting.reply(), STOPPING);
    for (const client of [silent, talking, waiting]) {
      assertEquals(await client.rest(), "");
      assertEquals(client.wasReset, false);
    }
    await logged(/ busy ip=127\.0\.0\.2 .* reason=stopping$/);
    // Whoever comes now waits in the kernel.
    using next = await greeted(port, "127.0.3.1", DEFERRED);
    await upgraded(1);
    assertEquals(server.pid, pid);
    assertEquals(upgrades(), [
      `serve upgrade=begins pid=${pid}`,
      `serve on=127.0.0.1:${port} pid=${pid} upgrade=done programs=1`,
    ]);

    // The program still has the only place, and counts for its network.
    await accepted.send("two\r\n");
    assertEquals(await accepted.reply(), "250 two");
    using second = await waits(pid, "127.0.0.2", port);
    using third = await Client.connectFrom(port, { from: "127.0.0.3" });
    assertMatch(await third.reply() ?? "", /^421 4\.3\.2 Too many connections/);
    await logged(/ busy ip=127\.0\.0\.3 .* reason=limitPerNetwork$/);
    await accepted.send("QUIT\r\n");
    assertEquals(await accepted.rest(), "250 QUIT\r\n");
    await logged(
      new RegExp(
        ` end ip=127\\.0\\.0\\.1 net=127\\.0\\.0\\.0/24 pid=${program} code=0$`,
      ),
    );
    assertEquals(await second.reply(), NEXT);
    await second.send("QUIT\r\n");
    assertEquals(await second.rest(), "250 QUIT\r\n");
    await next.send("QUIT\r\n");
    await next.rest();
    await hungUp(port);
    await waitFor("no child", () => childrenOf(pid).length === 0);
    // The end of the others frees the network as well.
    using again = await greeted(port, "127.0.0.3", DEFERRED);
    assertEquals(lines().filter((line) => /^(warn|error) /.test(line)), []);
    assertEquals(server.stderr(), "");
    Deno.kill(pid, "SIGTERM");
    assertMatch(await again.reply() ?? "", /^421 /);
    assertEquals(await server.code, 0);
  },
);

e2e("serve upgrade: to a file that is no good it does not come", {
  kernel,
}, async () => {
  await using server = await upgradable(CONFIG);
  const { port, pid, binary } = server;
  using accepted = await greeted(port, "127.0.0.1", ACCEPTED);
  using deferred = await greeted(port, "127.0.1.1", DEFERRED);
  using waiting = await waits(pid, "127.0.0.2", port);
  const kept = `${binary}.kept`;
  Deno.renameSync(binary, kept);
  const place = (text: string, mode: number) => {
    Deno.renameSync(writeFile("installed/new", text, mode), binary);
  };
  const bad: [what: string, make: () => void, expected: string][] = [
    ["missing", () => {}, "start: No such file or directory"],
    ["not executable", () => place("x", 0o644), "start: Permission denied"],
    ["no program", () => place("x", 0o755), "start: Exec format error"],
    [
      "fails",
      () => place("#!/bin/sh\necho why >&2\nexit 100\n", 0o755),
      "exit 100: why",
    ],
    [
      "is killed",
      () => place("#!/bin/sh\nkill -9 $$\n", 0o755),
      "signal 9: no output",
    ],
    [
      "finds a mistake",
      () =>
        place(
          "#!/bin/sh\necho ok\necho 'FIX  baseDir: missing'\nexit 100\n",
          0o755,
        ),
      "FIX  baseDir: missing",
    ],
    [
      "another program",
      () => place("#!/bin/sh\nexit 0\n", 0o755),
      "expected a greylist that takes over from a serve that runs (SIGUSR2)",
    ],
    [
      "prints without end",
      () => place("#!/bin/sh\nexec yes\n", 0o755),
      "exit 1: y",
    ],
  ];
  for (const [what, make, expected] of bad) {
    make();
    const before = upgrades().length;
    Deno.kill(pid, "SIGUSR2");
    await waitFor(what, () => upgrades().length === before + 2);
    const line = upgrades().at(-1)!;
    assert(line.startsWith("error serve upgrade=refused what="), line);
    assert(line.includes(expected), `${what}: ${line}`);
    assert(line.includes(binary), line);
    await deferred.send("NOOP\r\n");
    assertMatch(await deferred.reply() ?? "", /^250 /);
  }
  await accepted.send("QUIT\r\n");
  assertEquals(await accepted.rest(), "250 QUIT\r\n");
  // Nobody has told the client that waits anything.
  assertEquals(await waiting.reply(), NEXT);
  assertEquals(childrenOf(pid).length, 1);
  Deno.renameSync(kept, binary);
  Deno.kill(pid, "SIGUSR2");
  await upgraded(1);
  assertEquals(server.stderr(), "");
});

e2e("serve upgrade: a file that comes after the check is checked too", {
  kernel,
}, async () => {
  await using server = await upgradable(CONFIG);
  const { port, pid, binary } = server;
  using deferred = await greeted(port, "127.0.1.1", DEFERRED);
  const kept = `${binary}.kept`;
  Deno.renameSync(binary, kept);
  writeFile("installed/bad", "#!/bin/sh\necho why >&2\nexit 100\n", 0o755);
  const script = `#!/bin/sh
case $1 in (check) mv -f ${binary}.bad ${binary};; esac
exec ${kept} "$@"
`;
  Deno.renameSync(`${binary.replace(/[^/]*$/, "")}bad`, `${binary}.bad`);
  writeFile("installed/greylist", script, 0o755);
  Deno.kill(pid, "SIGUSR2");
  assertMatch(await deferred.reply() ?? "", /^421 /);
  await waitFor("both", () => upgrades().length === 4);
  assertEquals(upgrades(), [
    `serve upgrade=begins pid=${pid}`,
    `error serve upgrade=refused what="${binary}: has changed since its check"`,
    `serve upgrade=begins pid=${pid}`,
    `error serve upgrade=refused what="${binary} check: exit 100: why"`,
  ]);
  using _other = await greeted(port, "127.0.2.1", DEFERRED);
});

e2e("serve upgrade: a check whose start hangs holds up no client", {
  programs: ["strace"],
  kernel,
}, async () => {
  await using server = await upgradable(CONFIG);
  const { port, pid, binary } = server;
  using deferred = await greeted(port, "127.0.1.1", DEFERRED);
  const [program, ...options] = slowingAt([binary], "execve", 20);
  const tracer = new Deno.Command(program, {
    args: [...options, "-p", String(pid)],
    stdin: "null",
  }).spawn();
  await waitFor("strace", () => /^TracerPid:\s+[1-9]/m.test(statusOf(pid)));
  Deno.kill(pid, "SIGUSR2");
  await waitFor("the start", () => upgrades().length === 1);
  await deferred.send("NOOP\r\n");
  assertMatch(await deferred.reply() ?? "", /^250 /);
  using accepted = await greeted(port, "127.0.0.1", ACCEPTED);
  await accepted.send("QUIT\r\n");
  assertEquals(await accepted.rest(), "250 QUIT\r\n");
  await logged(/ error serve upgrade=refused .* check: no end within 10 s"$/);
  // No more threads wait for that disk.
  Deno.kill(pid, "SIGUSR2");
  await logged(/ upgrade=refused .*: an earlier look at it does not end"$/);
  await deferred.send("NOOP\r\n");
  assertMatch(await deferred.reply() ?? "", /^250 /);
  await waitFor("the end of the check", () => childrenOf(pid).length === 0);
  tracer.kill("SIGKILL");
  await tracer.status;
  await upgrade(
    () => Deno.kill(pid, "SIGUSR2"),
    () => upgrades().slice(4).join("\n"),
  );
});

function statusOf(pid: number): string {
  return Deno.readTextFileSync(`/proc/${pid}/status`);
}

e2e("serve upgrade: the name in the banner may be that of TCPLOCALHOST", {
  kernel,
}, async () => {
  const me = `${CONTROL}/me`;
  const name = Deno.readTextFileSync(me);
  await using server = await upgradable(CONFIG, {
    env: { TCPLOCALHOST: "other.example" },
  });
  Deno.removeSync(me);
  try {
    Deno.kill(server.pid, "SIGUSR2");
    await upgraded(1);
    using _client = await greeted(
      server.port,
      "127.0.1.1",
      /^220 other\.example ESMTP$/,
    );
  } finally {
    Deno.writeTextFileSync(me, name);
  }
});

e2e("serve upgrade: names that are no entries do not matter", {
  kernel,
}, async () => {
  await using server = await upgradable(CONFIG);
  Deno.writeTextFileSync(`${BASE}/192.0.2.`, "");
  Deno.kill(server.pid, "SIGUSR2");
  await upgraded(1);
});

e2e("serve upgrade: root does not become another user", {
  root: true,
  kernel,
}, async () => {
  const as = (user: string) => ({ ...CONFIG, serve: { limit: 1, user } });
  await using server = await upgradable(as("root"));
  const { pid, binary } = server;
  const nobody = await compile(as("nobody"));
  Deno.removeSync(binary);
  Deno.linkSync(nobody, binary);
  Deno.kill(pid, "SIGUSR2");
  await logged(
    / upgrade=refused what=".* check: FIX +serve\.user: nobody: this takes a restart"$/,
  );
});

e2e("serve upgrade: a check that does not end", { kernel }, async () => {
  await using server = await upgradable(CONFIG);
  const { port, pid, binary } = server;
  using deferred = await greeted(port, "127.0.1.1", DEFERRED);
  Deno.renameSync(binary, `${binary}.kept`);
  writeFile("installed/greylist", "#!/bin/sh\nexec sleep 60\n", 0o755);
  Deno.kill(pid, "SIGUSR2");
  await logged(/ error serve upgrade=refused .* check: no end within 10 s"$/);
  await waitFor("no child", () => childrenOf(pid).length === 0);
  await deferred.send("NOOP\r\n");
  assertMatch(await deferred.reply() ?? "", /^250 /);
  // TERM does not wait for the next one.
  Deno.kill(pid, "SIGUSR2");
  await waitFor("the check", () => childrenOf(pid).length === 1);
  const [check] = childrenOf(pid);
  Deno.kill(pid, "SIGTERM");
  assertEquals(await server.code, 0);
  await waitFor("the end of the check", () => !isAlive(check));
  // The log blames no binary for a check that TERM has ended.
  assertEquals(
    upgrades().map((line) => line.split(" ").slice(0, 3).join(" ")),
    [
      `serve upgrade=begins pid=${pid}`,
      "error serve upgrade=refused",
      `serve upgrade=begins pid=${pid}`,
    ],
  );
});

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

e2e("serve upgrade: not while a call of the store hangs", {
  programs: ["strace"],
  kernel,
}, async () => {
  await using server = await upgradable(DEFAULT_LIMIT, {
    before: slowingAt([`${BASE}/127.9.1.0_24`], "statx,mknodat", 20),
  });
  const { port, binary } = server;
  const [pid] = processesOf(binary);
  using deferred = await greeted(port, "127.0.1.1", DEFERRED);
  using asked = await Client.connectFrom(port, { from: "127.9.1.1" });
  // onError decides about it when storeTimeout is over.
  assertEquals(await asked.reply(), NEXT);
  Deno.kill(pid, "SIGUSR2");
  const line = await logged(/ upgrade=refused /);
  assert(line.endsWith('what="the base directory does not answer"'), line);
  await deferred.send("NOOP\r\n");
  assertMatch(await deferred.reply() ?? "", /^250 /);
});

e2e("serve upgrade: not while a start of PROGRAM hangs", {
  programs: ["strace"],
  kernel,
}, async () => {
  const next = greeter();
  await using server = await upgradable(CONFIG, {
    next,
    before: slowingAt(next, "execve", 40),
  });
  const { port, binary } = server;
  const [pid] = processesOf(binary);
  using deferred = await greeted(port, "127.0.1.1", DEFERRED);
  using accepted = await Client.connectFrom(port, { from: "127.0.0.1" });
  await logged(/ pass ip=127\.0\.0\.1 /);
  Deno.kill(pid, "SIGUSR2");
  const line = await logged(/ upgrade=refused /);
  assert(line.endsWith(`what="the start of ${next[0]} does not end"`), line);
  // Nobody was told anything, and new clients are served.
  await deferred.send("NOOP\r\n");
  assertMatch(await deferred.reply() ?? "", /^250 /);
  using _other = await greeted(port, "127.0.2.1", DEFERRED);
  assertEquals(await accepted.reply(), NEXT);
});

e2e("serve upgrade: not while the base directory's daemon has stopped", {
  programs: ["perl", "unshare", "mount"],
  mounts: true,
  kernel: () => notUpgradable() ?? fuseObstacle(),
}, async () => {
  await using server = await upgradable(DEFAULT_LIMIT, {
    before: stoppedFuse(BASE),
  });
  const { port, binary } = server;
  const [pid] = processesOf(binary);
  Deno.kill(pid, "SIGUSR2");
  // What hangs is the check, and a look of serve itself.
  await logged(/ error serve upgrade=refused /);
  using accepted = await greeted(port, "127.0.0.1", ACCEPTED);
  await accepted.send("QUIT\r\n");
  assertEquals(await accepted.rest(), "250 QUIT\r\n");
});

e2e("serve upgrade: PROGRAM finds all as before", { kernel }, async () => {
  // Pruning has a thread of its own, with descriptors of its own.
  const config = { ...CONFIG, prune: { every: 0 } };
  await using server = await upgradable(config, {
    next: probe("a", "b c"),
    before: ["sh", "-c", 'ulimit -Sn 300; exec "$@"', "sh"],
    env: { GREYLIST_TEST: "x" },
  });
  const { port, pid } = server;
  const session = async () => {
    using client = await Client.connectFrom(port, { from: "127.0.0.1" });
    await client.rest();
    const { pid: _, environ, cmdline, ...rest } = await report();
    const text = new TextDecoder().decode(environ)
      .replace(/TCPREMOTEPORT=\d+/, "");
    return { ...rest, environ: text.split("\0").sort(), cmdline: [...cmdline] };
  };
  const before = await session();
  await logged(/ end ip=/);
  const descriptors = () => descriptorsOf(pid).map(kind).sort();
  const kind = (name: string) => name.replace(/\[\d+\]/, "");
  const opened = descriptors();
  for (let i = 1; i <= 3; i++) {
    Deno.kill(pid, "SIGUSR2");
    await upgraded(i);
    assertEquals(await session(), before);
  }
  await waitFor(
    "all ends",
    () => lines().filter((l) => /^end /.test(l)).length === 4,
  );
  // Nothing that an image had open stays behind.
  await waitFor(
    `${opened}`,
    () => descriptors().join() === opened.join(),
    HELPER_LIFE,
  ).catch(() => assertEquals(descriptors(), opened));
  assert(before.environ.includes("GREYLIST_TEST=x"));
});

e2e("serve upgrade: one more follows if it was asked for meanwhile", {
  kernel,
}, async () => {
  await using server = await upgradable(CONFIG);
  const { pid, binary } = server;
  const kept = `${binary}.kept`;
  Deno.renameSync(binary, kept);
  const script = `#!/bin/sh
case $1 in (check) while [ ! -e ${binary}.go ]; do sleep 0.1; done;; esac
exec ${kept} "$@"
`;
  writeFile("installed/greylist", script, 0o755);
  Deno.kill(pid, "SIGUSR2");
  await waitFor("the check", () => childrenOf(pid).length === 1);
  for (let i = 0; i < 3; i++) {
    Deno.kill(pid, "SIGUSR2");
    await sleep(20);
  }
  // Nothing tells when the last one has been noticed.
  await sleep(500);
  writeFile("installed/greylist.go", "");
  await upgraded(2);
  await sleep(1000);
  assertEquals(upgrades().length, 4);
});

e2e("serve upgrade: TERM in the middle of one is not lost", {
  kernel,
}, async () => {
  for (let delay = 0; delay <= 500; delay += 50) {
    await using server = await upgradable(CONFIG);
    const { port, pid } = server;
    using deferred = await greeted(port, "127.0.1.1", DEFERRED);
    Deno.kill(pid, "SIGUSR2");
    await sleep(delay);
    Deno.kill(pid, "SIGTERM");
    await server.code;
    assert(!isListening(port));
    assertMatch(await deferred.reply() ?? "", /^421 /, `after ${delay} ms`);
  }
});
