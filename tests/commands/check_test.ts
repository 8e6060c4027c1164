import { assertEquals, assertMatch } from "@std/assert";
import type { Path } from "../../lib/config.ts";
import { clean, compile } from "../harness/binary.ts";
import {
  assertFindings,
  binary,
  check,
  FILE,
  removeIfThere,
  setUp,
} from "../harness/check_command.ts";
import { makeEntry, namesIn, snapshot } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { run, waitFor } from "../harness/process.ts";
import {
  BASE,
  CONTROL,
  emptyDir,
  LOG,
  ROOT,
  writeFile,
} from "../harness/root.ts";
import { openSyslog, withoutSyslog } from "../harness/syslog.ts";

e2e("check: everything right", {}, async () => {
  setUp();
  // The directory's own time changes: a file is made in it and removed.
  const before = snapshot().slice(1);
  const outcome = await check("sh", "-c", "exit 1");
  assertFindings(outcome);
  const lines = outcome.stdout.split("\n").slice(0, -1);
  const expected = [
    /^ok {3}greylist\.config\.ts is valid$/,
    /^ok {3}timeouts: a new client is let in from 60 s to 24 h after .* for 36 d$/,
    Deno.uid() === 0
      ? /^warn looking as root, which may do anything: give --user=NAME, the user /
      : /^ok {3}looking as uid \d+$/,
    new RegExp(`^ok   baseDir ${BASE}: mode 0700, owned by uid \\d+$`),
    /^ok {3}1 entry in it, nothing else$/,
    /^(ok {3}|warn )baseDir is on [a-z]/,
    /^ok {3}inodes: .*; an IPv6 \/32 has 4,294,967,296 networks of \/64, /,
    /^ok {3}clocks of baseDir and of this host: 0\.0 s apart$/,
    new RegExp(`^ok   whitelist file ${FILE}$`),
    /^ok {3}the banner says mx\.example$/,
    new RegExp(`^ok   log file ${LOG}$`),
    /^ok {3}memory limits$/,
    /^ok {3}PROGRAM is \/.*\/sh$/,
  ];
  assertEquals(lines.length, expected.length, outcome.stdout);
  lines.forEach((line, i) => assertMatch(line, expected[i]));
  assertEquals(snapshot().slice(1), before);
  assertEquals(namesIn(), ["192.0.2.0_24"]);
});

e2e(
  "check: a reader that goes away does not change the exit code",
  {},
  async () => {
    setUp();
    Deno.removeSync(FILE);
    const script = '{ "$0" check; echo "exit $?" >&2; } | head -n 1';
    const { stdout, stderr } = await run(["sh", "-c", script, await binary()]);
    assertEquals(stdout, "ok   greylist.config.ts is valid\n");
    assertEquals(stderr, "exit 100\n");
  },
);

e2e("check: the base directory", {}, async (t) => {
  const elsewhere = `${ROOT}/check/base`;
  const there = await compile({ baseDir: elsewhere as Path });
  const look = () => run([there, "check"]);
  const about = `^FIX  baseDir ${elsewhere}: `;
  await t.step("missing", async () => {
    clean();
    Deno.removeSync(emptyDir("check/base"));
    assertFindings(await look(), new RegExp(`${about}does not exist: make it`));
  });
  await t.step("a file in its place", async () => {
    writeFile("check/base", "");
    assertFindings(await look(), new RegExp(`${about}expected a directory`));
    Deno.removeSync(elsewhere);
  });
  await t.step("a symbolic link to a directory", async () => {
    Deno.symlinkSync(BASE, elsewhere);
    assertFindings(await look());
    Deno.removeSync(elsewhere);
  });
  await t.step("writable for anybody", async () => {
    for (const mode of [0o777, 0o1777, 0o702]) {
      Deno.removeSync(emptyDir("check/base"));
      Deno.mkdirSync(elsewhere);
      Deno.chmodSync(elsewhere, mode);
      const octal = mode.toString(8).padStart(4, "0");
      assertFindings(
        await look(),
        new RegExp(`${about}mode ${octal}, .*anybody can write .*chmod 0700$`),
      );
    }
  });
  await t.step("writable for its group", async () => {
    Deno.chmodSync(elsewhere, 0o770);
    const result = await look();
    assertFindings(result);
    assertMatch(
      result.stdout,
      /^warn baseDir .*mode 0770, .*its group, gid \d+, can write .*chmod 0700$/m,
    );
  });
});

e2e("check: names that are no entries", {}, async () => {
  setUp();
  writeFile("base/README", "");
  assertFindings(
    await check(),
    new RegExp(`^FIX  1 name in ${BASE} .*such as "README": move them away$`),
  );
  Deno.mkdirSync(`${BASE}/192.0.2.17`);
  makeEntry("192.0.2.1_24", 0, 0);
  assertFindings(await check(), /^FIX {2}3 names in .* such as "/);
});

e2e("check: the bookkeeping is no foreign name", {}, async () => {
  setUp();
  writeFile("base/.prune", "");
  assertFindings(await check());
});

e2e("check: whitelist files", {}, async (t) => {
  const about = `^FIX  (whitelist file )?${FILE}`;
  const cases: [string, () => void, string][] = [
    [
      "bad lines",
      () =>
        writeFile("check-whitelist", "# c\n192.0.2.1/24\nmx\n\x1b[2J /(/\n"),
      ':2: "192\\.0\\.2\\.1/24": expected .*\\(2 bad lines in all\\)$',
    ],
    [
      "a control character",
      () => writeFile("check-whitelist", "\x1b[2J\n"),
      ':1: "\\\\x1b\\[2J": expected .*\\(1 bad line in all\\)$',
    ],
    [
      "an expression that is refused",
      () => writeFile("check-whitelist", "mx.example\n/(a)\\1/\n"),
      ':2: "/\\(a\\)\\\\x5c1/": .*: a back-reference cannot be matched in linear ' +
      "time \\(1 bad line in all\\)$",
    ],
    ["missing", () => Deno.removeSync(FILE), ": .*No such file"],
    ["a directory", () => {
      removeIfThere(FILE);
      Deno.mkdirSync(FILE);
    }, ": expected a regular file"],
  ];
  for (const [name, prepare, problem] of cases) {
    await t.step(name, async () => {
      setUp();
      prepare();
      assertFindings(await check(), new RegExp(about + problem));
    });
  }
  Deno.removeSync(FILE);
});

e2e("check: the name in the banner", {}, async () => {
  setUp();
  writeFile("control/smtpgreeting", "mail.example.org says hello\n");
  assertMatch(
    (await check()).stdout,
    /\nok {3}the banner says mail\.example\.org\n/,
  );
  Deno.removeSync(`${CONTROL}/smtpgreeting`);
  assertFindings(await check());
  Deno.removeSync(`${CONTROL}/me`);
  assertFindings(
    await check(),
    new RegExp(`^FIX  ${CONTROL}: no smtpgreeting and no me `),
  );
});

e2e("check: a log file", {}, async (t) => {
  const target = `${ROOT}/check/log/file` as Path;
  const there = await compile({ log: { target } });
  const look = () => run([there, "check"]);
  const about = `^FIX  log file ${target}: `;
  await t.step("not there yet", async () => {
    clean();
    emptyDir("check/log");
    assertFindings(await look());
  });
  await t.step("there", async () => {
    writeFile("check/log/file", "");
    assertFindings(await look());
    assertEquals(Deno.readTextFileSync(target), "");
  });
  await t.step("a directory in its place", async () => {
    emptyDir("check/log");
    Deno.mkdirSync(target);
    assertFindings(
      await look(),
      new RegExp(`${about}expected a regular file$`),
    );
  });
  await t.step("a FIFO in its place", async () => {
    emptyDir("check/log");
    await run(["mkfifo", target]);
    assertFindings(
      await look(),
      new RegExp(`${about}expected a regular file$`),
    );
  });
  await t.step("no directory", async () => {
    Deno.removeSync(emptyDir("check/log"));
    assertFindings(await look(), new RegExp(`${about}not writable for uid `));
  });
});

e2e(
  "check: log to stderr, also where it is a pipe with stdout",
  {},
  async () => {
    clean();
    for (const target of ["auto", "stderr"] as const) {
      const there = await compile({ log: { target } });
      assertMatch(
        (await run([there, "check"])).stdout,
        /\nok {3}log to stderr\n/,
      );
      const { stdout } = await run([
        "sh",
        "-c",
        '"$0" check 2>&1 | cat',
        there,
      ]);
      assertMatch(stdout, /\nok {3}log to stderr\n/);
    }
  },
);

e2e("check: log to syslog", {
  programs: ["unshare", "mount"],
  mounts: true,
}, async () => {
  clean();
  const there = await compile({
    log: { target: "syslog", facility: "local3" },
  });
  {
    await using syslog = openSyslog();
    const outcome = await run([...syslog.before, there, "check"]);
    assertFindings(outcome);
    assertMatch(outcome.stdout, /\nok {3}log to syslog: /);
    await waitFor("a message", () => syslog.messages.length > 0);
    // Facility 19, severity 7.
    assertMatch(syslog.messages[0], /^<159>.*: check$/);
  }
  assertFindings(
    await run([...withoutSyslog(), there, "check"]),
    /^FIX {2}log to syslog: .*: is a syslog daemon running\?$/,
  );
});

e2e("check: memory limits", { programs: ["prlimit"] }, async () => {
  setUp();
  const path = await binary();
  const limited = (...limits: string[]) =>
    run(["prlimit", ...limits, path, "check"]);
  assertFindings(await limited("--data=40000000"));
  assertFindings(await limited("--as=80000000000", "--data=600000000"));
  assertFindings(
    await limited("--data=39000000"),
    /^FIX {2}data is limited to 39000000 bytes: softlimit -d 40000000 or more/,
  );
  // Under a limit that is really too low nothing starts, this neither.
  assertFindings(
    await limited("--as=74000000000"),
    /^FIX {2}address space is limited to 74000000000 bytes: put softlimit -m/,
  );
});
