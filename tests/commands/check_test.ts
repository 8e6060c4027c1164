import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../../lib/config.ts";
import { clean, compile } from "../harness/binary.ts";
import { makeEntry, namesIn, snapshot } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { type Outcome, run, waitFor } from "../harness/process.ts";
import {
  BASE,
  CONTROL,
  emptyDir,
  LOG,
  ROOT,
  writeFile,
} from "../harness/root.ts";
import { openSyslog, withoutSyslog } from "../harness/syslog.ts";

const FILE = `${ROOT}/check-whitelist` as Path;
const NOBODY = "65534";
const AS_NOBODY = [
  "setpriv",
  `--reuid=${NOBODY}`,
  `--regid=${NOBODY}`,
  "--clear-groups",
];

const binary = () =>
  compile({ whitelist: { files: [FILE] }, serve: undefined });

/** Everything as it should be. */
function setUp(): void {
  clean();
  removeIfThere(FILE);
  makeEntry("192.0.2.0_24", 0, 0);
  writeFile("check-whitelist", "192.0.2.0/24\n");
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function check(...args: string[]): Promise<Outcome> {
  return await run([await binary(), "check", ...args]);
}

/** Sees that exactly the lines that match need to be mended, in that order. */
function assertFindings(outcome: Outcome, ...fixes: RegExp[]): void {
  const { code, stdout, stderr } = outcome;
  assertEquals(stderr, "");
  const lines = stdout.split("\n");
  assertEquals(lines.pop(), "");
  for (const line of lines) {
    assertMatch(line, /^(ok {3}|note |warn |FIX {2})[ -~]+$/);
  }
  const found = lines.filter((line) => line.startsWith("FIX"));
  assertEquals(found.length, fixes.length, stdout);
  found.forEach((line, i) => assertMatch(line, fixes[i]));
  assertEquals(code, fixes.length === 0 ? 0 : 100);
}

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

e2e("check: PROGRAM", {}, async (t) => {
  setUp();
  const dir = emptyDir("check/bin");
  writeFile("check/bin/good", "#!/bin/sh\n", 0o755);
  writeFile("check/bin/plain", "#!/bin/sh\n", 0o644);
  Deno.mkdirSync(`${dir}/directory`);
  const path = await binary();
  const cases: [string, string | undefined][] = [
    [`${dir}/good`, `${dir}/good`],
    ["good", `${dir}/good`],
    [`${dir}/plain`, undefined],
    ["plain", undefined],
    [`${dir}/directory`, undefined],
    ["directory", undefined],
    [`${dir}/missing`, undefined],
    ["missing", undefined],
  ];
  for (const [name, found] of cases) {
    await t.step(name.replace(dir, "DIR"), async () => {
      const outcome = await run([
        "env",
        `PATH=/nowhere:${dir}`,
        path,
        "check",
        name,
      ]);
      if (found === undefined) {
        assertFindings(
          outcome,
          new RegExp(`^FIX  ${name}: no program that uid \\d+ can execute$`),
        );
      } else {
        assertFindings(outcome);
        assert(outcome.stdout.endsWith(`\nok   PROGRAM is ${found}\n`));
      }
    });
  }
});

e2e("check: options behind -- are PROGRAM's", {}, async () => {
  setUp();
  assertFindings(await check("--", "sh", "--login", "-x"));
});

e2e("check: rblsmtpd, only where it is needed", {}, async () => {
  clean();
  emptyDir("check/bin");
  const config: Partial<Config> = { deferral: { at: "rblsmtpd" } };
  const there = await compile(config);
  const look = () => run(["env", `PATH=${ROOT}/check/bin`, there, "check"]);
  assertFindings(await look(), /^FIX {2}rblsmtpd: not found on PATH: install /);
  const rblsmtpd = writeFile("check/bin/rblsmtpd", "#!/bin/sh\n", 0o755);
  const outcome = await look();
  assertFindings(outcome);
  assert(outcome.stdout.includes(`\nok   rblsmtpd is ${rblsmtpd}\n`));
});

e2e("check: with another user's rights", {
  programs: ["setpriv"],
  root: true,
}, async (t) => {
  setUp();
  const path = await binary();
  const ways: [string, string[], string[]][] = [
    ["--user=nobody by root", [], ["--user=nobody"]],
    ["run by nobody", AS_NOBODY, []],
    ["--user=nobody by nobody", AS_NOBODY, ["--user=nobody"]],
  ];
  for (const [name, before, args] of ways) {
    const look = (...operands: string[]) =>
      run([...before, path, "check", ...args, ...operands]);
    await t.step(`${name}: nothing is nobody's`, async () => {
      setUp();
      Deno.chmodSync(FILE, 0o600);
      assertFindings(
        await look(),
        new RegExp(
          `baseDir ${BASE}: .*: not writable for uid ${NOBODY}: chown`,
        ),
        new RegExp(`whitelist file ${FILE}: .*Permission denied`),
        new RegExp(`log file ${LOG}: not writable for uid ${NOBODY}$`),
      );
    });
    await t.step(`${name}: all is nobody's`, async () => {
      setUp();
      for (const mine of [BASE, FILE, `${ROOT}/log`]) {
        Deno.chownSync(mine, Number(NOBODY), Number(NOBODY));
      }
      const outcome = await look("sh");
      Deno.chownSync(BASE, 0, 0);
      Deno.chownSync(`${ROOT}/log`, 0, 0);
      assertFindings(outcome);
      assert(outcome.stdout.includes(`mode 0700, owned by uid ${NOBODY}\n`));
    });
  }
  await t.step("--user=root by nobody", async () => {
    assertEquals(await run([...AS_NOBODY, path, "check", "--user=root"]), {
      code: 100,
      stdout: "",
      stderr: "greylist check: --user=root: expected to be run by root\n",
    });
  });
  await t.step("PROGRAM that only root can execute", async () => {
    const own = writeFile("check/bin/own", "#!/bin/sh\n", 0o700);
    const { stdout } = await run([...AS_NOBODY, path, "check", own]);
    assertMatch(
      stdout,
      new RegExp(`\nFIX  ${own}: no program that uid ${NOBODY} can execute\n`),
    );
  });
});

e2e("check: what serve needs", { programs: ["prlimit"] }, async (t) => {
  clean();
  const look = async (serve: Config["serve"], ...before: string[]) =>
    await run([...before, await compile({ serve }), "check"]);
  const user = "nobody";
  const everywhere = ["0.0.0.0/0"];
  const modest: Config["serve"] = {
    user,
    limit: 10,
    deferredLimit: 100,
    rules: [
      { networks: everywhere, env: { RELAYCLIENT: "" } },
      { networks: everywhere },
    ],
    proxy: everywhere,
  };
  await t.step("nothing, where nobody is to use it", async () => {
    const outcome = await look({ limit: 10 });
    assertFindings(outcome);
    assert(!outcome.stdout.includes("serve"));
  });
  await t.step("a user", async () => {
    const outcome = await look({ user });
    assertFindings(outcome);
    assert(outcome.stdout.includes("\nok   serve becomes nobody\n"));
    assertFindings(
      await look({ user: "no-such-user" }),
      /^FIX {2}serve\.user no-such-user: expected the name of a user$/,
    );
  });
  await t.step("a group", async () => {
    assertFindings(
      await look({ user, group: "no-such-group" }),
      /^FIX {2}serve\.group no-such-group: expected the name of a group$/,
    );
  });
  await t.step("rules and proxies that are too wide", async () => {
    const outcome = await look(modest);
    assertFindings(outcome);
    for (const field of ["rules[1]", "rules[0].networks[0]", "proxy[0]"]) {
      assert(
        outcome.stdout.includes(`\nwarn serve.${field}: `),
        outcome.stdout,
      );
    }
  });
  await t.step("descriptors", async () => {
    const few = ["prlimit", "--nofile=300:300"];
    assertFindings(
      await look({ user }, ...few),
      /^FIX {2}serve\.limit and serve\.deferredLimit need 1208 descriptors, and there may be 300: raise /,
    );
    assertFindings(await look(modest, ...few));
  });
  await t.step("memory for V8's compilers", async () => {
    const little = ["prlimit", "--data=599999999"];
    assertFindings(
      await look({ user }, ...little),
      /^FIX {2}data is limited to 599999999 bytes: softlimit -d 600000000 or /,
    );
    assertFindings(await look({ user }, "prlimit", "--data=600000000"));
  });
  await t.step("memory for serve", async () => {
    const binary = await compile({ serve: { user } });
    const serving = [binary, "serve", "25", "--", "/bin/true"];
    const look = async (limit: number) =>
      (await run(["prlimit", `--data=${limit}`, binary, "check", ...serving]))
        .stdout;
    assertMatch(
      await look(1799999999),
      /^FIX {2}data is limited to 1799999999 bytes: softlimit -d 1800000000 or /m,
    );
    assertMatch(await look(1800000000), /^ok {3}memory limits$/m);
  });
});

e2e("check: the command line of a run script", {}, async (t) => {
  setUp();
  writeFile("check-whitelist", "192.0.2.0/24\n.example.org\n");
  const path = await binary();
  const dir = emptyDir("check/bin");
  for (const name of ["tcpserver", "softlimit", "qmail-smtpd"]) {
    writeFile(`check/bin/${name}`, "#!/bin/sh\n", 0o755);
  }
  const rules = writeFile("check/rules.cdb", "");
  const look = (line: string) =>
    run(["env", `PATH=${dir}:/bin`, path, "check", ...line.split(" ")]);
  const smtpd = `${dir}/qmail-smtpd`;
  const server = `tcpserver -v -R -p -x ${rules} 0 25`;
  await t.step("as it should be", async () => {
    const line = `${server} ${path} softlimit -m 30000000 ${smtpd}`;
    const outcome = await look(line);
    assertFindings(outcome);
    for (
      const text of [
        "ok   names of clients: tcpserver -p\n",
        `ok   PROGRAM is ${dir}/softlimit\n`,
        `ok   files in the command line: ${rules}, ${smtpd}\n`,
      ]
    ) assert(outcome.stdout.includes(text), outcome.stdout);
  });
  await t.step("a typing error behind softlimit", async () => {
    assertFindings(
      await look(`softlimit -m 30000000 ${smtpd}d`),
      new RegExp(`^FIX  ${smtpd}d: no such file that uid \\d+ can see$`),
    );
  });
  await t.step("softlimit in front, no names, no rules", async () => {
    assertFindings(
      await look(
        `softlimit -m 30000000 tcpserver -RHx /no/rules 0 25 ${path} ${smtpd}`,
      ),
      /^FIX {2}no client has a name, so no list with host names works: tcpserver -H /,
      /^FIX {2}softlimit -m in front of greylist: no Deno program starts /,
      /^FIX {2}\/no\/rules: no such file/,
    );
  });
  await t.step(
    "without the super-server, whether clients have names is not known",
    async () => {
      const outcome = await look(smtpd);
      assertFindings(outcome);
      assertMatch(
        outcome.stdout,
        /\nnote host names in lists count only if /,
      );
    },
  );
});

e2e(
  "check: whitelist lines that exempt too many are warned of",
  {},
  async () => {
    setUp();
    writeFile("check-whitelist", "10.0.0.0/8\n.com\n0.0.0.0/0\nlocalhost\n");
    const outcome = await check();
    assertFindings(outcome);
    assert(
      outcome.stdout.includes(
        `\nwarn ${FILE}:2: ".com": exempts every name that ends in .com: is ` +
          "that meant? (2 lines like that in all)\n",
      ),
      outcome.stdout,
    );
  },
);

e2e(
  "check: values that are probably a mistake, and mode observe",
  {},
  async () => {
    clean();
    const there = await compile({
      match: { ipv4: 8 },
      timeouts: { delay: 60, retryWindow: 1440, expireAfter: 36 },
      storeTimeout: 2000,
      mode: "observe",
      whitelist: { env: ["TCPREMOTEIP"], localPorts: [25] },
      serve: undefined,
    });
    const outcome = await run([there, "check"]);
    assertFindings(outcome);
    const lines = [
      'note mode "observe": every client is let in\n',
      "warn timeouts.retryWindow 24 min: ",
      "warn timeouts.expireAfter 36 s: ",
      "warn storeTimeout 33 min: ",
      "warn match.ipv4 8: ",
      'warn whitelist.env[0]: "TCPREMOTEIP": ',
      "warn whitelist.localPorts[0]: 25: ",
    ];
    for (const text of lines) {
      assert(outcome.stdout.includes(`\n${text}`), outcome.stdout);
    }
  },
);

e2e("check: a clock that is ahead, and one that is behind", {
  programs: ["faketime"],
}, async () => {
  setUp();
  const path = await binary();
  const look = (shift: string) => run(["faketime", "-f", shift, path, "check"]);
  // The fake clock is this host's, the real one the file system's.
  assertFindings(
    await look("-600"),
    /^FIX {2}clock of baseDir: (?:600|59\d)\.\d s ahead of this host's, more than a quarter of timeouts\.delay \(15 s\): keep both by NTP$/,
  );
  assertFindings(await look("+600"), /^FIX {2}clock of baseDir: .* s behind /);
  const outcome = await look("+14");
  assertFindings(outcome);
  const [, apart] = /\nok {3}clocks of baseDir and .*: (\d+\.\d) s /
    .exec(outcome.stdout)!;
  // A machine that stalls between the two clocks brings them nearer.
  assert(Number(apart) > 4 && Number(apart) <= 14.1, apart);
});

e2e("check: file systems that lose entries, and one that takes none", {
  programs: ["unshare", "mount"],
  mounts: true,
}, async () => {
  setUp();
  const path = await binary();
  const look = (options: string) =>
    run([
      ...["unshare", "--mount", "sh", "-c"],
      `mount -t tmpfs -o mode=0700,${options} x ${BASE}; exec ${path} check`,
    ]);
  const outcome = await look("nr_inodes=1000");
  assertFindings(outcome);
  assertMatch(outcome.stdout, /\nwarn baseDir is on tmpfs: it is empty after /);
  assertMatch(outcome.stdout, /\nwarn inodes: 999 of 1,000 left; /);
  assertFindings(
    await look("ro"),
    /^FIX {2}baseDir is on tmpfs, mounted read-only$/,
  );
});

e2e(
  "check: the files of only and of pools, and names for them",
  {},
  async () => {
    setUp();
    const missing = `${ROOT}/check/no-such-file` as Path;
    const bad = writeFile("check/bad-pool", "com\nno rule!\n") as Path;
    const there = await compile({
      only: { files: [missing] },
      pools: [{ name: "a", files: [bad], networks: ["0.0.0.0/0"] }],
      serve: undefined,
    });
    const outcome = await run([there, "check", "greylist-is-not-here"]);
    assertFindings(
      outcome,
      new RegExp(
        `^FIX  only file ${missing}: .*, or take it out of only\\.files$`,
      ),
      new RegExp(
        `^FIX  ${bad}:2: "no rule!": expected .* \\(1 bad line in all`,
      ),
      /^FIX {2}greylist-is-not-here: no program/,
    );
    for (
      const line of ['pools[0].networks[0]: "0.0.0.0/0"', `${bad}:1: "com"`]
    ) {
      assert(
        outcome.stdout.includes(`\nwarn ${line}: one retry lets in `),
        outcome.stdout,
      );
    }
    assertMatch(outcome.stdout, /\nnote host names in lists count only if /);
  },
);
