import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../lib/config.ts";
import { type Entry, isForgotten, judge } from "../lib/policy.ts";
import {
  age,
  BASE,
  clean,
  compile,
  entries,
  logLines,
} from "./harness/binary.ts";
import { makeEntry } from "./harness/entry.ts";
import { brokenFuse, deadFuse, fuseObstacle } from "./harness/fuse.ts";
import { memoryGroup, memoryObstacle } from "./harness/memory.ts";
import { e2e, findProgram, type Needs } from "./harness/need.ts";
import { greeter, NEXT } from "./harness/next_program.ts";
import { gone, run, waitFor } from "./harness/process.ts";
import { emptyDir, ROOT, writeFile } from "./harness/root.ts";
import { assertOnlySmtp, ATTEMPT, burst, Client } from "./harness/smtp.ts";
import { failing, killedAt } from "./harness/strace.ts";
import {
  openStalledSyslog,
  openSyslog,
  withoutSyslog,
} from "./harness/syslog.ts";
import { inetd, type Listener, tcpserver } from "./harness/way_in.ts";

// What breaks in the machine must not break mail. Bad addresses, entries that
// are no files and more of the base directory: e2e_faults_test.ts.

const NAME = "127.0.0.0_24";
const ENTRY = `${BASE}/${NAME}`;
const SESSION = ATTEMPT.join("\r\n") + "\r\n";
const NOBODY = [
  "setpriv",
  "--reuid=65534",
  "--regid=65534",
  "--clear-groups",
];
const HOUR = 3600;
const YEAR = 365 * 24 * HOUR;
const TIMEOUTS = { delay: 60, retryWindow: 24 * HOUR, expireAfter: 36 * 86400 };

/** What an entry can be before a connection. */
const STATES = {
  none: () => {},
  early: (name = NAME) => makeEntry(name, 0, 10),
  grey: (name = NAME) => makeEntry(name, 0, 100),
  stale: (name = NAME) => makeEntry(name, 0, 40 * HOUR),
  known: (name = NAME) => makeEntry(name, 3, 100),
  expired: (name = NAME) => makeEntry(name, 3, 1000 * HOUR),
};
type StateName = keyof typeof STATES;

function empty(): void {
  clean();
  Deno.chmodSync(`${ROOT}/log`, 0o777);
}

/** What one client got, who says everything at once. */
async function connect(
  binary: string,
  before: readonly string[],
): Promise<string> {
  const next = greeter();
  await using server = await tcpserver.start({ binary, before, next });
  const text = await burst(server.port, SESSION);
  await gone(binary);
  assertEquals(server.stderr(), "");
  return text;
}

function assertNext(text: string): void {
  assertEquals(text.split("\r\n")[0], NEXT);
  assertOnlySmtp(text);
}

function assertDeferred(text: string, status: "4.3.0" | "4.7.1"): void {
  assertOnlySmtp(text);
  assertMatch(text, /^220 mx\.example/);
  assert(text.includes(`\r\n451 ${status} `), text);
  assertMatch(text, /\r\n221 [^\r]*\r\n$/);
}

/** The check has failed, and was got over as the configuration says. */
function assertSurvived(
  onError: Config["onError"],
  text: string,
  says: RegExp,
): void {
  if (onError === "accept") assertNext(text);
  else assertDeferred(text, "4.3.0");
  const verb = onError === "accept" ? "pass" : "defer";
  const [line = "", ...more] = logLines();
  assertMatch(line, new RegExp(`^\\S+Z error ${verb} ip=[ -~]*reason=error`));
  assertMatch(line, says);
  assertEquals(more, []);
}

/** Something that is wrong with the base directory. */
interface Fault {
  readonly name: string;
  readonly needs: Needs;
  readonly prepare?: () => Promise<unknown> | void;
  readonly before: () => readonly string[];
  readonly says: RegExp;
  readonly after?: () => void;
}

function script(name: string, text: string): string[] {
  return ["/bin/sh", writeFile(name, text)];
}

/** A tmpfs with an entry in it that cannot be written to any more. */
function remounted(accepted: number): string[] {
  return [
    "unshare",
    "--mount",
    ...script(
      `remounted_${accepted}.sh`,
      `mount -t tmpfs -o mode=700 tmpfs ${BASE}
truncate -s ${accepted} ${ENTRY}
touch -d '100 seconds ago' ${ENTRY}
mount -o remount,ro ${BASE}
exec "$@"
`,
    ),
  ];
}

/** Why no file can be mounted here, undefined where it can. */
function loopObstacle(): string | undefined {
  if (Deno.uid() !== 0 || findProgram("losetup") === undefined) {
    return undefined;
  }
  const args = ["--find"];
  const { success } = new Deno.Command("losetup", { args }).outputSync();
  return success ? undefined : "no loop device";
}

/** An ext2 without a free block, and a directory that needs one more. */
async function fullDisk(): Promise<void> {
  const image = writeFile("full.img", "");
  const disk = emptyDir("full");
  const { code, stderr } = await run([
    "unshare",
    "--mount",
    ...script(
      "full.sh",
      `set -e
truncate -s 512k ${image}
PATH=$PATH:/sbin:/usr/sbin mkfs.ext2 -q -F -b 1024 -m 0 -N 512 ${image}
mount -o loop ${image} ${disk}
rmdir ${disk}/lost+found
dd if=/dev/zero of=${disk}/.filler bs=1k 2>/dev/null || :
n=100
while touch ${disk}/.aaaaaaaa$n 2>/dev/null; do n=$((n + 1)); done
# It is not the inodes that are used up.
[ $(stat -f -c %d ${disk}) -gt 0 ]
`,
    ),
  ]);
  assertEquals([code, stderr], [0, ""]);
}

const FAULTS: Fault[] = [
  {
    name: "a base directory of mode 0000",
    needs: { root: true, programs: ["setpriv"] },
    prepare: () => {
      Deno.chownSync(BASE, 65534, 65534);
      Deno.chmodSync(BASE, 0);
    },
    before: () => NOBODY,
    says: /base.*Permission denied/,
    after: () => assertEquals(entries(), {}),
  },
  {
    name: "a file system that went read-only, a client that has waited",
    needs: { root: true, programs: ["unshare"] },
    before: () => remounted(0),
    says: /base.*open: Read-only file system/,
  },
  {
    name: "a file system that went read-only, a known client",
    needs: { root: true, programs: ["unshare"] },
    before: () => remounted(7),
    says: /base.*open: Read-only file system/,
  },
  {
    name: "no block left for the directory (ext2)",
    needs: {
      root: true,
      programs: ["unshare", "mkfs.ext2", "losetup"],
      kernel: loopObstacle,
    },
    prepare: fullDisk,
    before: () => [
      "unshare",
      "--mount",
      ...script(
        "on_full.sh",
        `mount -o loop ${ROOT}/full.img ${BASE}\nexec "$@"\n`,
      ),
    ],
    says: /base.*open: No space left on device/,
  },
  {
    name: "a disk that answers EIO (FUSE)",
    needs: {
      root: true,
      programs: ["perl", "unshare"],
      kernel: fuseObstacle,
    },
    before: brokenFuse,
    says: /base.*Input\/output error/,
  },
  {
    name: "a FUSE file system whose daemon died",
    needs: { root: true, programs: ["unshare"], kernel: fuseObstacle },
    before: deadFuse,
    says: /base.*not connected/,
  },
];

for (const onError of ["accept", "defer"] as const) {
  for (const fault of FAULTS) {
    const needs = {
      ...fault.needs,
      programs: ["tcpserver", ...fault.needs.programs ?? []],
    };
    e2e(`onError ${onError}: ${fault.name}`, needs, async () => {
      empty();
      const binary = await compile({ onError });
      await fault.prepare?.();
      try {
        const text = await connect(binary, fault.before());
        assertSurvived(onError, text, fault.says);
        fault.after?.();
      } finally {
        Deno.chmodSync(BASE, 0o700);
      }
    });
  }
}

for (const onError of ["accept", "defer"] as const) {
  e2e(`onError ${onError}: EIO where stderr is the client's (inetd)`, {
    ...inetd,
    programs: [...inetd.programs, "perl", "unshare"],
    obstacle: inetd.obstacle,
    kernel: fuseObstacle,
  }, async () => {
    empty();
    await using syslog = openSyslog();
    const binary = await compile({ onError, log: {} });
    // The /dev of the syslog has no /dev/fuse.
    const before = [...brokenFuse(), ...syslog.before];
    await using server = await inetd.start({ binary, before, next: greeter() });
    const text = await burst(server.port, SESSION);
    if (onError === "accept") assertNext(text);
    else assertDeferred(text, "4.3.0");
    await gone(binary);
    await waitFor("a message", () => syslog.messages.length > 0);
    const [message, ...more] = syslog.messages;
    assertMatch(message, /^<19>.*: error [ -~]*base.*Input\/output error/);
    assertEquals(more, []);
  });
}

// Each call that a connection makes on its entry, failed by strace(1) in the
// real program.

const CALLS: readonly [StateName, string, readonly string[]][] = [
  ["none", "statx", ["EIO", "ENOMEM"]],
  ["none", "openat", ["EIO", "ENOSPC", "EDQUOT", "EMFILE", "ENFILE"]],
  ["none", "fchmod", ["EIO", "EPERM"]],
  ["grey", "openat", ["EIO", "ESTALE", "EPERM"]],
  ["grey", "ftruncate", ["EIO", "ENOSPC", "EDQUOT", "EFBIG"]],
  ["stale", "utimensat", ["EIO"]],
  ["known", "statx", ["ESTALE"]],
  ["known", "openat", ["EMFILE"]],
  ["known", "ftruncate", ["EIO", "EDQUOT"]],
  ["expired", "ftruncate", ["EIO"]],
];

for (const onError of ["accept", "defer"] as const) {
  e2e(`onError ${onError}: any call on the entry fails`, {
    programs: ["tcpserver", "strace"],
  }, async (t) => {
    const binary = await compile({ onError });
    for (const [state, call, errors] of CALLS) {
      for (const error of errors) {
        await t.step(`${state}: ${call} gives ${error}`, async () => {
          empty();
          STATES[state]();
          const before = entries();
          const text = await connect(binary, failing(ENTRY, call, error));
          assertSurvived(onError, text, /127\.0\.0\.0_24: /);
          const after = entries();
          // Made already when fchmod failed.
          if (call === "fchmod") assertEquals(after, { [NAME]: 0 });
          else assertEquals(after, before);
        });
      }
    }
  });
}

e2e("what fails behind the verdict does not change it", {
  programs: ["tcpserver", "strace"],
}, async (t) => {
  const binary = await compile();
  const behind: [string, string, RegExp | undefined][] = [
    [ENTRY, "close", undefined],
    // A second one of it is made for pruning.
    [BASE, "statx", /warn prune .*Input\/output error/],
    [`${BASE}/.prune`, "openat", /warn prune .*Input\/output error/],
    [`${BASE}/.prune`, "flock", /warn prune .*Input\/output error/],
    [`${BASE}/.prune`, "ftruncate", /warn prune .*Input\/output error/],
  ];
  for (const [path, call, says] of behind) {
    await t.step(`${path.slice(ROOT.length)}: ${call} gives EIO`, async () => {
      empty();
      const text = await connect(binary, failing(path, call, "EIO"));
      assertDeferred(text, "4.7.1");
      assertEquals(entries(), { [NAME]: 0 });
      const [line, ...more] = logLines();
      assertMatch(line, / defer ip=127\.0\.0\.1 .*reason=new wait=60 /);
      if (says === undefined) assertEquals(more, []);
      else assertMatch(more.join("\n"), says);
    });
  }
});

// The log.

/** A log file that cannot be written to, and who runs into that. */
const LOGS: [string, (path: string) => unknown, readonly string[]][] = [
  ["of somebody else", (path) => Deno.writeTextFileSync(path, ""), NOBODY],
  ["that is a FIFO without a reader", (path) => run(["mkfifo", path]), []],
];

for (const [what, make, before] of LOGS) {
  e2e(`a log file ${what}: syslog is told, mail goes on`, {
    programs: ["tcpserver", "setpriv"],
    root: true,
  }, async () => {
    empty();
    Deno.chmodSync(BASE, 0o777);
    makeEntry(NAME, 3, 100);
    Deno.chmodSync(ENTRY, 0o666);
    await make(`${emptyDir("closed")}/log`);
    await using syslog = openSyslog();
    const binary = await compile({
      log: { target: `${ROOT}/closed/log` as Path },
    });
    assertNext(await connect(binary, [...syslog.before, ...before]));
    const [trouble, passed, ...more] = syslog.messages;
    assertMatch(trouble, /^<19>.*: error what="log file .*closed\/log: /);
    assertMatch(passed, /^<22>.*: pass ip=127\.0\.0\.1 .* reason=known /);
    assertEquals(more, []);
  });
}

e2e("a log file on a full disk: the line is lost, mail goes on", {
  programs: ["tcpserver"],
}, async () => {
  empty();
  const binary = await compile({ log: { target: "/dev/full" as Path } });
  assertDeferred(await connect(binary, []), "4.7.1");
  age(NAME, 100);
  assertNext(await connect(binary, []));
  assertEquals(entries(), { [NAME]: 1 });
});

/** Ways in which syslog is not to be had. */
const SYSLOGS: Record<string, () => Promise<AsyncDisposable & Before>> = {
  "is not there": () =>
    Promise.resolve({
      before: withoutSyslog(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  "has no reader any more": async () => {
    const syslog = openSyslog();
    await syslog[Symbol.asyncDispose]();
    // The socket's name stays behind when a daemon dies.
    const path = `${ROOT}/dev-log`;
    Deno.listenDatagram({ transport: "unixpacket", path }).close();
    return {
      before: syslog.before,
      [Symbol.asyncDispose]: () => Deno.remove(path),
    };
  },
  "is not read": openStalledSyslog,
};

interface Before {
  readonly before: readonly string[];
}

for (const [what, open] of Object.entries(SYSLOGS)) {
  e2e(`/dev/log ${what}: mail goes on, with a fault besides too`, {
    programs: ["tcpserver"],
    root: true,
  }, async () => {
    empty();
    const log = { target: "syslog" } as const;
    await using syslog = await open();
    const binary = await compile({ log, onError: "defer" });
    assertDeferred(await connect(binary, syslog.before), "4.7.1");
    age(NAME, 100);
    assertNext(await connect(binary, syslog.before));
    Deno.removeSync(BASE, { recursive: true });
    assertDeferred(await connect(binary, syslog.before), "4.3.0");
    const accepting = await compile({ log, onError: "accept" });
    assertNext(await connect(accepting, syslog.before));
  });
}

// The clock.

/**
 * Under faketime only the program's clock is wrong, while the kernel dates files
 * by the right one, so a year ahead its own new entry looks old to it.
 */
const UNPRUNED: Partial<Config> = { prune: { every: 0 } };

const JUMPS = { "1 h": HOUR, "1 year": YEAR };

for (const [what, distance] of Object.entries(JUMPS)) {
  for (const [where, jump] of [["ahead", distance], ["back", -distance]]) {
    e2e(`the clock is ${what} ${where}: one wait more at most`, {
      programs: ["tcpserver"],
    }, async (t) => {
      const binary = await compile();
      for (const accepted of [0, 3]) {
        await t.step(`${accepted} times accepted before`, async () => {
          empty();
          makeEntry(NAME, accepted, 10 + Number(jump));
          const first = await connect(binary, []);
          const known = accepted > 0;
          const passes = what === "1 h"
            ? known || where === "ahead"
            : known && where === "back";
          if (passes) {
            assertNext(first);
          } else {
            assertDeferred(first, "4.7.1");
            age(NAME, 61);
            assertNext(await connect(binary, []));
          }
          const left = passes ? accepted + 1 : 1;
          assertEquals(entries(), { [NAME]: left });
          for (const line of logLines()) {
            assert(!line.includes(" error "), line);
          }
        });
      }
    });
  }
}

e2e("under a clock that is wrong all the time (faketime)", {
  programs: ["tcpserver", "faketime"],
}, async (t) => {
  const binary = await compile(UNPRUNED);
  for (const jump of [HOUR, -HOUR, YEAR, -YEAR]) {
    await t.step(`${jump} s`, async () => {
      const before = [
        "env",
        "NO_FAKE_STAT=1",
        "faketime",
        "-f",
        `${jump > 0 ? "+" : ""}${jump}`,
      ];
      empty();
      assertDeferred(await connect(binary, before), "4.7.1");
      assertEquals(entries(), { [NAME]: 0 });
      // An entry as it would be, had the kernel this clock too.
      STATES.grey();
      age(NAME, -jump);
      assertNext(await connect(binary, before));
      assertEquals(entries(), { [NAME]: 1 });
      const lines = logLines();
      assertEquals(lines.length, 2);
      for (const line of lines) {
        // Shows that the preload took hold.
        const off = (Date.parse(line.split(" ")[0]) - Date.now()) / 1000 - jump;
        assert(Math.abs(off) < 600, line);
        assert(!line.includes(" error "), line);
      }
    });
  }
});

e2e("the clock jumps while a client is being deferred (faketime)", {
  programs: ["tcpserver", "faketime"],
}, async (t) => {
  const binary = await compile(UNPRUNED);
  const clock = writeFile("clock", "+0");
  const before = [
    "env",
    "FAKETIME_NO_CACHE=1",
    `FAKETIME_TIMESTAMP_FILE=${clock}`,
    ...["faketime", "--exclude-monotonic", "-f", "+0"],
    ...["/bin/sh", "-c", 'unset FAKETIME; exec "$@"', "sh"],
  ];
  for (const jump of [HOUR, -HOUR, YEAR, -YEAR]) {
    await t.step(`${jump} s`, async () => {
      empty();
      writeFile("clock", "+0");
      const next = greeter();
      await using server = await tcpserver.start({ binary, before, next });
      using client = await Client.connect(server.port);
      assertMatch(await client.reply() ?? "", /^220 /);
      await client.send("HELO a\r\n");
      assertMatch(await client.reply() ?? "", /^250 /);
      writeFile("clock", `${jump > 0 ? "+" : ""}${jump}`);
      await client.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nQUIT\r\n");
      assertMatch(
        await client.rest(),
        /^250 [^\r]*\r\n451 4\.7\.1 [^\r]*\r\n221 [^\r]*\r\n$/,
      );
      await gone(binary);
      assertEquals(entries(), { [NAME]: 0 });
      const [line, ...more] = logLines();
      const off = (Date.parse(line.split(" ")[0]) - Date.now()) / 1000 - jump;
      assert(Math.abs(off) < 600, line);
      assertEquals(more, []);
    });
  }
});

// Limits.

/** Both verdicts under one limit, with the entry that each leaves. */
async function bothVerdicts(
  server: Listener,
): Promise<[deferred: string, passed: string]> {
  empty();
  const deferred = await burst(server.port, SESSION);
  STATES.known();
  return [deferred, await burst(server.port, SESSION)];
}

for (const limit of ["--nofile=16", "--data=40000000"]) {
  e2e(`under prlimit ${limit}`, {
    programs: ["tcpserver", "prlimit"],
  }, async () => {
    const binary = await compile();
    const before = ["prlimit", limit];
    const next = greeter();
    await using server = await tcpserver.start({ binary, before, next });
    const [deferred, passed] = await bothVerdicts(server);
    assertDeferred(deferred, "4.7.1");
    assertNext(passed);
    assertEquals(entries(), { [NAME]: 4 });
    await gone(binary);
    assertEquals(server.stderr(), "");
  });
}

/**
 * Either an answer, or nothing at all was said. Where the program could start but
 * the check could not be made, the next program answers, as for any fault.
 */
function assertWholeOrNothing(deferred: string, passed: string): void {
  if (deferred.startsWith(NEXT)) assertNext(deferred);
  else if (deferred !== "") assertDeferred(deferred, "4.7.1");
  if (passed !== "") assertNext(passed);
  const [[name, size], ...more] = Object.entries(entries());
  assertEquals([name, more], [NAME, []]);
  assert(size === 3 || size === 4, `${size}`);
}

e2e("below every limit: served, or hung up on without a word", {
  programs: ["tcpserver", "prlimit"],
}, async (t) => {
  const binary = await compile();
  const limits = [
    ...[4, 8, 10, 12, 13, 14, 15].map((n) => `--nofile=${n}`),
    ...[4, 8, 12, 14, 16, 18, 20, 24].map((n) => `--data=${n}000000`),
    ...[64, 128, 192].map((n) => `--stack=${n * 1024}`),
    ...[1, 30, 68, 70].map((n) => `--as=${n}000000000`),
  ];
  for (const limit of limits) {
    await t.step(limit, async () => {
      const before = script(
        "limited.sh",
        `ulimit -c 0; exec prlimit ${limit}: "$@"\n`,
      );
      const next = greeter();
      await using server = await tcpserver.start({ binary, before, next });
      assertWholeOrNothing(...await bothVerdicts(server));
      await gone(binary);
      assert(!server.stderr().includes("prlimit: "), server.stderr());
    });
  }
});

e2e("under memory pressure: served, or hung up on without a word", {
  programs: ["tcpserver"],
  root: true,
  kernel: memoryObstacle,
}, async (t) => {
  const binary = await compile();
  for (const megabytes of [64, 32, 16, 12, 8, 4]) {
    await t.step(`${megabytes} MB`, async () => {
      await using group = memoryGroup(megabytes * 1e6);
      const { before } = group;
      const next = greeter();
      await using server = await tcpserver.start({ binary, before, next });
      const [deferred, passed] = await bothVerdicts(server);
      assertWholeOrNothing(deferred, passed);
      if (megabytes === 64) assert(deferred !== "" && passed !== "");
      await gone(binary);
    });
  }
});

// SIGKILL.

e2e("killed at any call on the entry, the next connection goes on", {
  programs: ["tcpserver", "strace", "setpriv"],
  root: true,
}, async (t) => {
  const binary = await compile();
  const deaths: [StateName, string, left: number | undefined][] = [
    ["none", "statx", undefined],
    ["none", "openat", undefined],
    ["none", "fchmod", 0],
    ["none", "close", 0],
    ["grey", "openat", 0],
    ["grey", "ftruncate", 0],
    ["grey", "close", 1],
    ["stale", "utimensat", 0],
    ["known", "openat", 3],
    ["known", "ftruncate", 3],
    ["known", "close", 4],
    ["expired", "ftruncate", 3],
    ["expired", "close", 0],
  ];
  for (const [state, call, left] of deaths) {
    await t.step(`${state}: at ${call}`, async () => {
      empty();
      STATES[state]();
      Deno.chownSync(BASE, 65534, 65534);
      for (const name of Object.keys(entries())) {
        Deno.chownSync(`${BASE}/${name}`, 65534, 65534);
      }
      // Between open and fchmod an entry then has no permissions at all.
      const usual = [
        ...NOBODY,
        ...script("umask.sh", 'umask 777; exec "$@"\n'),
      ];
      assertEquals(
        await connect(binary, [...usual, ...killedAt(ENTRY, call)]),
        "",
      );
      assertEquals(logLines(), []);
      assertEquals(entries()[NAME], left);
      const second = await connect(binary, usual);
      if (second.startsWith(NEXT)) {
        assertNext(second);
      } else {
        assertDeferred(second, "4.7.1");
        age(NAME, 100);
        assertNext(await connect(binary, usual));
      }
      for (const line of logLines()) assert(!line.includes(" error "), line);
    });
  }
});

e2e("killed while it prunes, a later connection goes on with it", {
  programs: ["tcpserver", "strace"],
}, async (t) => {
  const binary = await compile();
  const bookmark = `${BASE}/.prune`;
  const forgotten = "192.0.2.0_24";
  const deaths: [path: string, call: string][] = [
    ...["openat", "flock", "pread64", "ftruncate", "utimensat"]
      .map((call): [string, string] => [bookmark, call]),
    // strace goes by the directory here.
    [BASE, "unlinkat"],
  ];
  for (const [path, call] of deaths) {
    await t.step(call, async () => {
      empty();
      makeEntry(forgotten, 0, 50 * HOUR);
      const killed = killedAt(path, call);
      assertDeferred(await connect(binary, killed), "4.7.1");
      assertEquals(NAME in entries(), true);
      // Done already when the bookmark is left.
      const done = call === "ftruncate" || call === "utimensat";
      assertEquals(forgotten in entries(), !done);
      if (call !== "openat") {
        assertEquals(Deno.readTextFileSync(bookmark), "");
        makeEntry(".prune", 0, 2 * HOUR);
      }
      assertDeferred(await connect(binary, []), "4.7.1");
      assertEquals(entries(), { [NAME]: 0 });
      for (const line of logLines()) assertMatch(line, /^\S+Z defer /);
    });
  }
});

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An entry as the store reads it. */
function readEntry(name: string): Entry | undefined {
  try {
    const { size, mtime, isFile, mode } = Deno.lstatSync(`${BASE}/${name}`);
    assert(isFile && (mode! & 0o7777) === 0o600, `${name}: ${mode}`);
    return { accepted: size, mtime: mtime!.getTime() / 1000 };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** What a connection that began then may have made of an entry. */
function mayBe(
  before: Entry | undefined,
  after: Entry | undefined,
  began: number,
): boolean {
  const same = before?.accepted === after?.accepted &&
    before?.mtime === after?.mtime;
  if (same) return true;
  // The kernel's time stamps lag behind the clock by some milliseconds.
  const fresh = after !== undefined && after.mtime > began - 1;
  return [began, Date.now() / 1000].some((now) => {
    const verdict = judge(before, now, TIMEOUTS);
    if (verdict.write === "none") return false;
    if (verdict.write === "accept") {
      return fresh && after.accepted === verdict.accepted;
    }
    // What is forgotten may have been removed by anybody's pruning.
    if (after === undefined) return isForgotten(before!, now, TIMEOUTS);
    return fresh && after.accepted === 0;
  });
}

/** How often a connection is killed. */
const KILLS = 500;
/** How many are at it at once. */
const LANES = 2;

e2e(`kill -9 at random points of ${KILLS} connections`, {
  programs: ["tcpserver", "timeout"],
}, async () => {
  empty();
  const seed = Date.now() % 2 ** 31;
  const states = Object.keys(STATES) as StateName[];
  const binary = await compile({ prune: { every: 1 } });
  const forgotten = Array.from({ length: 50 }, (_, i) => `203.0.${i}.0_24`);
  for (const name of forgotten) makeEntry(name, 0, 50 * HOUR);

  /** One connection; a script reads whose it is and how long it may last. */
  async function session(
    server: Listener,
    lane: number,
    ip: string,
    ms?: number,
  ) {
    writeFile(
      `lane${lane}`,
      `TCPREMOTEIP=${ip}; limit=${((ms ?? 60_000) / 1000).toFixed(4)}\n`,
    );
    try {
      return await burst(server.port, SESSION);
    } catch {
      return ""; // Reset while it was being written to.
    }
  }

  let killed = 0;
  /** So many connections, one after the other. */
  async function turn(
    id: number,
    runs: number,
    number: () => number,
  ): Promise<void> {
    const before = script(
      `lane${id}.sh`,
      `. ${ROOT}/lane${id}; export TCPREMOTEIP
exec timeout --foreground -s KILL $limit "$@"\n`,
    );
    const next = greeter();
    await using server = await tcpserver.start({ binary, before, next });
    const begin = performance.now();
    for (let i = 0; i < 3; i++) await session(server, id, `198.18.${id}.1`);
    const usual = (performance.now() - begin) / 3;
    for (let i = 0; i < runs; i++) {
      const host = Math.floor(number() * 8);
      const name = `10.${id}.${host}.0_24`;
      // One time in three with what the last one left.
      const state = states[Math.floor(number() * states.length * 1.5)];
      if (state !== undefined) {
        await run(["rm", "-f", `${BASE}/${name}`]);
        STATES[state](name);
        if (state !== "none") Deno.chmodSync(`${BASE}/${name}`, 0o600);
      }
      const found = readEntry(name);
      const began = Date.now() / 1000;
      const ms = 1 + number() * usual * 1.2;
      const text = await session(server, id, `10.${id}.${host}.9`, ms);
      // Nobody is told half of a reply, and SMTP only.
      if (text !== "") assertOnlySmtp(text);
      if (!/\r\n(221|250 QUIT)[^\r]*\r\n$/.test(text)) killed++;
      const left = readEntry(name);
      assert(
        mayBe(found, left, began),
        `${state}: ${JSON.stringify(found)} became ${JSON.stringify(left)}`,
      );
    }
    // And they go on as if nothing had been.
    for (let host = 0; host < 8; host++) {
      const name = `10.${id}.${host}.0_24`;
      const verdict = judge(readEntry(name), Date.now() / 1000, TIMEOUTS);
      const text = await session(server, id, `10.${id}.${host}.9`);
      if (verdict.action === "pass") assertNext(text);
      else assertDeferred(text, "4.7.1");
    }
    assertEquals(server.stderr().replaceAll(/^.*Killed.*\n/gm, ""), "");
  }
  const lanes = await Promise.allSettled(
    Array.from({ length: LANES }, async (_, id) => {
      const number = random(seed + id);
      // No server of a test lives long enough for all of them.
      const turns = 5;
      for (let i = 0; i < turns; i++) {
        await turn(id, KILLS / LANES / turns, number);
      }
    }),
  );
  await gone(binary);
  console.log(`${killed} of ${KILLS} did not come to their end (seed ${seed})`);
  for (const lane of lanes) if (lane.status === "rejected") throw lane.reason;
  assert(killed >= KILLS / 5, `${killed}`);

  const known = /^(10\.[01]\.[0-7]|198\.18\.[01]|203\.0\.\d+)\.0_24$/;
  for (const name of Object.keys(entries())) {
    assertMatch(name, known);
    const entry = readEntry(name)!;
    if (forgotten.includes(name)) assertEquals(entry.accepted, 0);
  }
  assertMatch(Deno.readTextFileSync(`${BASE}/.prune`), /^\d*$/);
  const odd = /^\S+Z (pass|defer) ip=[\d.]+ net=[\d.]+\/24 reason=[a-z]+( |$)/;
  for (const line of logLines()) assertMatch(line, odd, `seed ${seed}`);
});
