import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  age,
  clientLines,
  compile,
  entries,
  logLines,
} from "../harness/binary.ts";
import { bothWays } from "../harness/both_ways.ts";
import { makeEntry } from "../harness/entry.ts";
import {
  assertNext,
  connect as attempt,
  empty,
  ENTRY,
  NAME,
  SESSION,
} from "../harness/fault.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { run, waitFor } from "../harness/process.ts";
import {
  BASE,
  CONTROL,
  emptyDir,
  LOG,
  ROOT,
  writeFile,
} from "../harness/root.ts";
import { assertOnlySmtp, burst } from "../harness/smtp.ts";
import { type Call, delaying, release, traceFiles } from "../harness/strace.ts";
import { tcpserver } from "../harness/way_in.ts";

// What another user of the machine can do. Entries and .prune that are symbolic
// links from the beginning: ../e2e/faults_test.ts, ../commands/prune_test.ts.

/** The user of the service, and another user. */
const SERVICE = 65534;
const OTHER = 65533;

function as(uid: number): string[] {
  return [
    "setpriv",
    `--reuid=${uid}`,
    `--regid=${uid}`,
    "--clear-groups",
  ];
}

/** The replies to one client that sends all commands at once. */
async function connect(...what: Parameters<typeof attempt>): Promise<string> {
  const text = await attempt(...what);
  assertOnlySmtp(text);
  return text;
}

// The files that the program touches.

const STATS = ["statx", "newfstatat", "stat", "lstat", "access", "faccessat2"];
const LOOKS = [...STATS, "readlink", "readlinkat", "getcwd", "statfs"];

/** Files that the C library and the runtime read by themselves. */
const SYSTEM = [
  ...["/proc/", "/sys/", "/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/"],
  ...["/etc/ld.so.cache", "/etc/ld.so.preload", "/dev/urandom", "/dev/null"],
  ...["/etc/localtime", "/usr/share/zoneinfo/"],
];

function inBase(path: string): boolean {
  return path === BASE || path.startsWith(`${BASE}/`);
}

/** Throws if a call is about a file that does not belong to the program. */
function assertOwn({ name, args, paths, result }: Call, binary: string): void {
  if (name === "execve") return;
  // A stat of a descriptor: the program was started with it, or has opened it by a
  // call that is looked at here as well.
  const own = /^statx\(\d+<.*>, "", /;
  if (own.test(`${name}(${args}`)) return;
  const shown = `${name}(${args}) = ${result}`;
  const opens = name === "openat" || name === "open";
  const writes = opens
    ? /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC/.test(args)
    : !LOOKS.includes(name);
  const opened = opens ? /^\d+<(.*)>$/.exec(result)?.[1] : undefined;
  // The file that the kernel has opened has to belong to the program as well.
  for (const path of opened === undefined ? paths : [...paths, opened]) {
    if (writes) {
      assert(inBase(path) || path === LOG || path === "/dev/null", shown);
    } else if (name.startsWith("readlink") || name === "getcwd") {
      continue; // The way to a file, a directory at a time.
    } else {
      const isOwn = inBase(path) || path === binary || path === LOG ||
        path === `${CONTROL}/me` || path === `${CONTROL}/smtpgreeting`;
      assert(isOwn || SYSTEM.some((start) => path.startsWith(start)), shown);
    }
    if (!inBase(path) || path === BASE) continue;
    if (opens) assert(args.includes("O_NOFOLLOW"), shown);
    else if (STATS.includes(name)) {
      assert(args.includes("AT_SYMLINK_NOFOLLOW"), shown);
    }
  }
}

/** A directory with files that a careless program would open. */
function trap(): string {
  const dir = emptyDir("trap", 0o777);
  for (
    const name of [
      "deno-compile-greylist.cache",
      "deno.json",
      "greylist.config.ts",
      "lib/commands/mod.ts",
      "resolve.js",
      "store/prune.js",
      "prune.ts",
      ".env",
      ".npmrc",
    ]
  ) writeFile(`trap/${name}`, "no { such [ thing\n");
  return dir;
}

/** A command, and the names in the base directory that it has to reach. */
const RUNS: Record<string, { state?: number; command?: string[] }> = {
  "a new client": {},
  "a client that has waited": { state: 0 },
  "a known client": { state: 5 },
  "prune": { command: ["prune"] },
  "info": { command: ["info"] },
  "explain": { command: ["explain", "127.0.0.1"] },
};

for (const at of ["rcpt", "banner"] as const) {
  e2e(`no file is touched but the program's own (${at})`, {
    programs: ["tcpserver", "strace"],
  }, async (t) => {
    const binary = await compile({ deferral: { at } });
    for (const [what, { state, command }] of Object.entries(RUNS)) {
      if (command !== undefined && at !== "rcpt") continue;
      await t.step(what, async () => {
        empty();
        const dir = trap();
        if (state !== undefined) makeEntry(NAME, state, 100);
        makeEntry("192.0.2.0_24", 0, 1e7);
        for (const name of ["192.0.2.1", "192.0.3.0_24", ".own", "other"]) {
          Deno.symlinkSync(`${dir}/.env`, `${BASE}/${name}`);
        }
        const trace = traceFiles("calls");
        const before = [
          "env",
          ...["TMPDIR", "TMP", "HOME", "XDG_CACHE_HOME", "DENO_DIR"].map((
            name,
          ) => `${name}=${dir}`),
          "/bin/sh",
          writeFile("trap.sh", `cd ${dir} && exec "$@"\n`),
          ...trace.before,
        ];
        if (command === undefined) {
          const text = await connect(binary, before);
          if (state !== undefined) assertEquals(text.split("\r\n")[0], NEXT);
          else assertMatch(text, at === "rcpt" ? /\r\n451 4\.7/ : /^421 4\.7/);
        } else {
          const { code } = await run([...before, binary, ...command]);
          assertEquals(code, 0);
        }
        const calls = trace.calls();
        // The trace has to have every file that is touched for certain.
        const own = calls.filter(({ paths }) => paths.some(inBase));
        assert(own.length > 0, `${calls.length} calls`);
        assert(calls.some(({ paths }) => paths.includes(binary)));
        for (const call of calls) assertOwn(call, binary);
        // All links stay, and what is forgotten goes when that is due.
        const pruned = state === undefined && command?.[0] !== "info" &&
          command?.[0] !== "explain";
        assertEquals("192.0.2.0_24" in entries(), !pruned);
        assert(Deno.lstatSync(`${BASE}/192.0.2.1`).isSymlink);
      });
    }
  });
}

// Entries that are changed between two calls.

e2e("an entry that is exchanged between look and write", {
  programs: ["tcpserver", "strace"],
  root: true,
}, async (t) => {
  empty();
  const binary = await compile();
  const victim = writeFile("victim", "precious");
  Deno.utimeSync(victim, 1000, 1000);
  const exchanges: [string, (path: string) => unknown][] = [
    ["a symbolic link", (path) => Deno.symlinkSync(victim, path)],
    ["a directory", (path) => Deno.mkdirSync(path)],
    ["a FIFO", (path) => run(["mkfifo", path])],
    ["a device", (path) => run(["mknod", path, "c", "1", "3"])],
  ];
  const ends = await Promise.allSettled(exchanges.map(async ([, make], i) => {
    const path = `${BASE}/192.0.${i}.0_24`;
    makeEntry(`192.0.${i}.0_24`, 3, 100);
    const late = delaying(path, "openat");
    const before = [...late.before, "env", `TCPREMOTEIP=192.0.${i}.1`];
    const next = greeter();
    await using server = await tcpserver.start({ binary, before, next });
    const answer = burst(server.port, SESSION);
    await late.reached();
    Deno.removeSync(path);
    await make(path);
    release(server);
    assertEquals((await answer).split("\r\n")[0], NEXT);
  }));
  // Only now: a failure must not leave the others to the next test.
  for (const end of ends) if (end.status === "rejected") throw end.reason;
  for (const [i, [what]] of exchanges.entries()) {
    await t.step(what, () => {
      const lines = logLines().filter((line) =>
        line.includes(`ip=192.0.${i}.`)
      );
      assertEquals(lines.length, 1);
      assertMatch(lines[0], new RegExp(` error pass .*/192.0.${i}.0_24: `));
    });
  }
  const { size, mtime } = Deno.statSync(victim);
  assertEquals([size, mtime?.getTime()], [8, 1_000_000]);
});

// What another user may do.

e2e("another user can do nothing in the base directory", {
  programs: ["tcpserver", "setpriv"],
  root: true,
}, async () => {
  empty();
  const binary = await compile();
  Deno.chownSync(BASE, SERVICE, SERVICE);
  assertMatch(await connect(binary, as(SERVICE)), /\r\n451 4\.7\.1 /);
  const before = Deno.lstatSync(ENTRY);
  const mine = writeFile("mine", "");
  Deno.chownSync(mine, OTHER, OTHER);
  const attempts = [
    `ls ${BASE}`,
    `cat ${ENTRY}`,
    `stat ${ENTRY}`,
    `touch ${ENTRY}`,
    `truncate -s 9 ${ENTRY}`,
    `chmod 666 ${ENTRY}`,
    `chmod 777 ${BASE}`,
    `rm -f ${ENTRY}`,
    `rm -f ${BASE}/.prune`,
    `mv ${ENTRY} ${BASE}/x`,
    `touch ${BASE}/192.0.2.0_24`,
    `mkdir ${BASE}/192.0.2.0_24`,
    `mkfifo ${BASE}/192.0.2.0_24`,
    `ln -s /etc/passwd ${BASE}/192.0.2.0_24`,
    `ln ${mine} ${BASE}/192.0.2.0_24`,
    `ln ${ENTRY} ${ROOT}/log/entry`,
    `mv ${BASE} ${ROOT}/elsewhere`,
  ];
  for (const attempt of attempts) {
    const command = [...as(OTHER), ...attempt.split(" ")];
    const { code, stderr } = await run(command);
    assert(code !== 0, attempt);
    assertMatch(stderr, /[Pp]ermission denied|not permitted/, attempt);
  }
  assertEquals(entries(), { [NAME]: 0 });
  const { ino, size, mode, mtime } = Deno.lstatSync(ENTRY);
  assertEquals(
    [ino, size, mode, mtime],
    [before.ino, before.size, before.mode, before.mtime],
  );
});

e2e("whatever the umask, no other user may read a file that is made", {
  programs: ["tcpserver", "setpriv"],
  root: true,
}, async (t) => {
  const binary = await compile();
  for (const umask of ["000", "022", "077", "777"]) {
    await t.step(umask, async () => {
      empty();
      Deno.chownSync(BASE, SERVICE, SERVICE);
      const script = writeFile("umask.sh", `umask ${umask}; exec "$@"\n`);
      const before = [...as(SERVICE), "/bin/sh", script];
      assertMatch(await connect(binary, before), /\r\n451 4\.7\.1 /);
      // An entry that is created again has the same mode.
      makeEntry(NAME, 0, 100);
      Deno.chownSync(ENTRY, 0, 0);
      assertEquals((await connect(binary, before)).split("\r\n")[0], NEXT);
      for (const name of [NAME, ".prune"]) {
        const { mode, uid } = Deno.lstatSync(`${BASE}/${name}`);
        assertEquals([mode! & 0o7777, uid], [0o600, SERVICE], name);
      }
      assertEquals(Deno.lstatSync(BASE).mode! & 0o7777, 0o700);
    });
  }
});

bothWays(
  "a base directory that any user may write to is an ERROR in the log",
  {},
  async (way, t) => {
    const binary = await compile();
    const observing = await compile({ mode: "observe" });
    for (const mode of [0o777, 0o1777, 0o702, "observe"] as const) {
      await t.step(String(mode), async () => {
        empty();
        Deno.chmodSync(BASE, mode === "observe" ? 0o777 : mode);
        if (mode === "observe") assertNext(await connect(observing, [], way));
        else assertMatch(await connect(binary, [], way), /\r\n451 4\.7\.1 /);
        // serve looks at its start, the wrapper at each new client; in serve either
        // line may come first.
        const lines = await waitFor("both lines", () => {
          const lines = clientLines();
          return lines.length >= 2 && lines;
        });
        const about = (line: string) => / error baseDir /.test(line) ? 0 : 1;
        const [warning, line, ...more] = lines.toSorted((a, b) =>
          about(a) - about(b)
        );
        assertMatch(warning, / error baseDir .*anybody can write there/);
        assertMatch(line, / (would-)?defer ip=127\.0\.0\.1 .*reason=new /);
        assertEquals(more, []);
        const { code, stdout } = await run([binary, "check"]);
        assertEquals(code, 100);
        assertMatch(stdout, /^FIX {2}baseDir .*anybody can write there/m);
      });
    }
  },
);

e2e("an entry that belongs to another user", {
  programs: ["tcpserver", "setpriv"],
  root: true,
}, async (t) => {
  const binary = await compile();
  for (const accepted of [0, 5]) {
    await t.step(`made by root, ${accepted} times accepted`, async () => {
      empty();
      Deno.chownSync(BASE, SERVICE, SERVICE);
      makeEntry(NAME, accepted, 100);
      Deno.chmodSync(ENTRY, 0o600);
      const text = await connect(binary, as(SERVICE));
      assertEquals(text.split("\r\n")[0], NEXT);
      assertEquals(entries(), { [NAME]: accepted + 1 });
      assertEquals(Deno.lstatSync(ENTRY).uid, SERVICE);
      assertMatch(logLines()[0], / pass .* reason=(retried|known) /);
      assertEquals(logLines().length, 1);
    });
  }
  await t.step("where it cannot be removed", async () => {
    empty();
    Deno.chmodSync(BASE, 0o1777);
    makeEntry(NAME, 0, 100);
    Deno.chmodSync(ENTRY, 0o600);
    Deno.chownSync(ENTRY, OTHER, OTHER);
    const text = await connect(binary, as(SERVICE));
    assertEquals(text.split("\r\n")[0], NEXT);
    assertMatch(
      logLines()[0],
      / error pass .*127\.0\.0\.0_24: .*not permitted/,
    );
    assertEquals(logLines().length, 1);
    assertEquals(entries(), { [NAME]: 0 });
  });
});

e2e("a hard link to another user's own file does that file nothing", {
  programs: ["tcpserver", "setpriv"],
  root: true,
}, async () => {
  empty();
  const binary = await compile();
  // The worst case: the other user may write in the base directory.
  Deno.chmodSync(BASE, 0o777);
  const mine = writeFile("links/mine", "mine\n");
  Deno.chmodSync(mine, 0o600);
  Deno.chownSync(mine, OTHER, OTHER);
  const { code } = await run([...as(OTHER), "ln", mine, ENTRY]);
  assertEquals(code, 0);
  age(NAME, 100);
  const text = await connect(binary, as(SERVICE));
  assertEquals(text.split("\r\n")[0], NEXT);
  assertEquals(Deno.readTextFileSync(mine), "mine\n");
  assertEquals(entries(), { [NAME]: 6 });
  assertEquals(Deno.lstatSync(ENTRY).nlink, 1);
});

e2e("another user cannot link a file of the service's to an entry", {
  programs: ["setpriv"],
  root: true,
  kernel: () =>
    Deno.readTextFileSync("/proc/sys/fs/protected_hardlinks").trim() === "1"
      ? undefined
      : "fs.protected_hardlinks is off",
}, async () => {
  empty();
  Deno.chmodSync(BASE, 0o777);
  const theirs = writeFile("links/theirs", "theirs\n");
  Deno.chmodSync(theirs, 0o600);
  Deno.chownSync(theirs, SERVICE, SERVICE);
  const { code, stderr } = await run([...as(OTHER), "ln", theirs, ENTRY]);
  assert(code !== 0);
  assertMatch(stderr, /not permitted/);
  assertEquals(entries(), {});
});
