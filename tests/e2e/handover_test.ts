import { assert, assertEquals, assertMatch } from "@std/assert";
import { existsSync } from "@std/fs/exists";
import { age, clean, clientLines, compile } from "../harness/binary.ts";
import { bothWays } from "../harness/both_ways.ts";
import { probe, report } from "../harness/handover_probe.ts";
import { e2e, programPath } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { gone, run, waitFor } from "../harness/process.ts";
import { emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { assertOnlySmtp, burst, Client, talk } from "../harness/smtp.ts";
import { usesStandIns } from "../../lib/build/stand_in.ts";
import { raisesLimit } from "../harness/stand_in.ts";
import { inetd, serve, tcpserver, type WayIn } from "../harness/way_in.ts";

const PASSES = { whitelist: { networks: ["127.0.0.0/8", "::1"] } };

// `serve` has to give PROGRAM what tcpserver gives it.
const needs = { programs: ["tcpserver"] };

/** Whether the runtime leaves signals alone that this program does not ask for. */
const isEarly = Number(Deno.version.deno.split(".")[1]) < 9;

/**
 * Signals that stay ignored for PROGRAM. From Deno 2.9.2 on the runtime handles HUP,
 * INT, TERM and USR1 half a second after its start, which may take longer here.
 */
const KEPT = isEarly ? "QUIT USR1" : "QUIT";

/**
 * What the probe gets from a super-server alone, and behind greylist. `serve`
 * has to give it what tcpserver gives.
 */
async function both(way: WayIn, before: string[], args: string[] = []) {
  clean();
  const binary = await compile(PASSES);
  const next = probe(...args);
  const [program, ...rest] = [...before, ...next];
  const superServer = way === serve ? tcpserver : way;
  const options = superServer === tcpserver ? ["-v", "-l", "mx.example"] : [];
  const started = [
    () => superServer.start({ binary: program, next: rest, options }),
    () =>
      way.start({
        binary,
        before,
        next,
        options: way === serve ? [] : options,
      }),
  ];
  const reports = [];
  for (const start of started) {
    await using server = await start();
    assertEquals(await burst(server.port, ""), "220 probe\r\n");
    reports.push({ ...await report(), stderr: server.stderr() });
  }
  return { alone: reports[0], behind: reports[1] };
}

/** Environment entries, each as a string of bytes. */
function variables(environ: Uint8Array): string[] {
  const text = Array.from(environ, (byte) => String.fromCharCode(byte)).join(
    "",
  );
  const entries = text.split("\0").filter((entry) =>
    !usesStandIns() || entry !== "DENO_DISABLE_NODE_SHIM=1"
  );
  return entries.map((entry) =>
    entry.replace(/^(TCP6?(?:LOCAL|REMOTE)PORT)=\d+$/, "$1=")
  );
}

/** The environment without the variable that tells what was decided. */
function withoutDecision(entries: string[]): string[] {
  const rest = entries.filter((entry) => !/^GREYLIST=[a-z]/.test(entry));
  assertEquals(rest.length, entries.length - 1);
  return rest;
}

/**
 * serve sets its own in another order, and those of tcpserver's IPv6 build for
 * clients over IPv6 only.
 */
function assertSameVariables(
  way: WayIn,
  behind: Uint8Array,
  alone: Uint8Array,
) {
  const [given, expected] = [
    withoutDecision(variables(behind)),
    variables(alone),
  ].map((all) =>
    way === serve ? all.filter((one) => !/^TCP6/.test(one)).sort() : all
  );
  assertEquals(given, expected);
}

/** serve takes on all groups of the user that it becomes. */
function assertSameStatus(way: WayIn, behind: string, alone: string) {
  const [given, expected] = [behind, alone].map((status) =>
    way === serve ? status.replace(/^Groups:.*\n/m, "") : status
  );
  assertEquals(given, expected);
}

bothWays(
  "the next program gets what tcpserver alone gives it",
  needs,
  async (way) => {
    const { alone, behind } = await both(way, []);
    assertSameVariables(way, behind.environ, alone.environ);
    assertEquals(behind.cmdline, alone.cmdline);
    assertEquals(behind.descriptors, alone.descriptors);
    assertEquals(behind.flags, alone.flags);
    assertSameStatus(way, behind.status, alone.status);
    assertEquals(behind.limits, alone.limits);
    assertEquals(behind.cwd, alone.cwd);
    assertEquals(behind.scheduling, alone.scheduling);
  },
);

// serve starts a new process.
e2e(
  "the next program is the process that tcpserver started",
  needs,
  async () => {
    const { behind } = await both(tcpserver, []);
    const [, pid] = /tcpserver: pid (\d+) from/.exec(behind.stderr)!;
    assertEquals(behind.pid, Number(pid));
  },
);

bothWays(
  "unusual signals, limits, umask and directory are kept",
  { ...needs, kernel: raisesLimit },
  async (way) => {
    // serve needs descriptors of its own.
    const more = isEarly ? "HUP CHLD" : "CHLD";
    const ignored = way === serve ? KEPT : `${KEPT} ${more}`;
    const setup = writeFile(
      "setup.sh",
      `trap '' ${ignored}; umask 027; cd ${emptyDir("elsewhere")}
ulimit -S -n 64; ulimit -S -c 0; ulimit -S -f 100000; ulimit -S -s 4096
exec "$@"\n`,
    );
    const { alone, behind } = await both(way, ["/bin/sh", setup]);
    assertMatch(alone.status, /^Umask:\t0027$/m);
    assertMatch(alone.limits, /^Max open files +64 /m);
    assertEquals(alone.cwd, `${ROOT}/elsewhere\n`);
    assertSameStatus(way, behind.status, alone.status);
    assertEquals(behind.limits, alone.limits);
    assertEquals(behind.cwd, alone.cwd);
  },
);

bothWays(
  "signals that the super-server leaves ignored",
  needs,
  async (way) => {
    // qmail-smtpd expects the default, and so does every program. Other signals
    // stay ignored, also SIGXFSZ, which greylist ignores itself.
    const setup = writeFile(
      "setup.sh",
      `trap '' PIPE ${KEPT} XFSZ\nexec "$@"\n`,
    );
    const { alone, behind } = await both(way, ["/bin/sh", setup]);
    const ignored = (status: string) =>
      BigInt("0x" + /^SigIgn:\t(\w+)$/m.exec(status)![1]);
    const SIGPIPE = 1n << 12n;
    assertEquals(ignored(alone.status) & SIGPIPE, SIGPIPE);
    assertEquals(ignored(behind.status), ignored(alone.status) & ~SIGPIPE);
  },
);

bothWays("arguments and variables arrive byte by byte", needs, async (way) => {
  // sh, so that bytes which are no UTF-8 can be made.
  const odd = writeFile(
    "odd.sh",
    `ODD=$(printf 'a\\377\\200=b\\nc d'); EMPTY=; export ODD EMPTY
exec "$@"\n`,
  );
  const args = ["", " ", "-v", "--", "a b", "ü€", "*", "x".repeat(5000)];
  const { alone, behind } = await both(way, ["/bin/sh", odd], args);
  assert(variables(alone.environ).includes("ODD=a\xff\x80=b\nc d"));
  assertSameVariables(way, behind.environ, alone.environ);
  assertEquals(behind.cmdline, alone.cmdline);
});

e2e("arguments that are no UTF-8 are never altered", needs, async () => {
  clean();
  const binary = await compile(PASSES);
  const args = writeFile("args.sh", `exec "$@" "$(printf 'a\\377b')"\n`);
  const before = ["/bin/sh", args];
  for (const way of [tcpserver, serve]) {
    // Before 2.9 the runtime ends before the program begins: tcpserver hangs up,
    // and senders retry; serve would not start.
    const refused = isEarly;
    if (refused && way === serve) continue;
    await using server = await way.start({ binary, before, next: probe() });
    assertEquals(await burst(server.port, ""), refused ? "" : "220 probe\r\n");
    if (refused) {
      await gone(binary);
      assertMatch(server.stderr(), /panicked at .*\n.* value: "a\\xFFb"\n/);
      assert(!existsSync(`${ROOT}/report`));
      continue;
    }
    const { cmdline } = await report();
    assertEquals([...cmdline.slice(-4)], [0x61, 0xff, 0x62, 0]);
  }
});

e2e("TCPREMOTEIP is set for the next program under inetd", {
  ...inetd,
  programs: ["inetd"],
}, async () => {
  const { alone, behind } = await both(inetd, []);
  const added = withoutDecision(variables(behind.environ)).filter((entry) =>
    !variables(alone.environ).includes(entry)
  );
  assertEquals(added, ["TCPREMOTEIP=127.0.0.1"]);
  assertEquals(behind.descriptors, alone.descriptors);
  assertEquals(behind.flags, alone.flags);
  assertEquals(behind.status, alone.status);
  assertEquals(behind.limits, alone.limits);
});

bothWays(
  "data that a client sends early reaches the next program",
  {},
  async (way) => {
    clean();
    const binary = await compile(PASSES);
    const next = ["/bin/cat"];
    await using server = await way.start({ binary, next });
    const bytes = new Uint8Array(300_000).map((_, i) => (i * 7) % 251);
    using client = await Client.connect(server.port);
    const sent = client.send(bytes).then(() => client.half());
    const received = await client.rest();
    await sent;
    assertEquals(received.length, bytes.length);
    assert(bytes.every((byte, i) => received.charCodeAt(i) === byte));
  },
);

bothWays("a client that waited is handed over as well", needs, async (way) => {
  const { alone } = await both(way, []);
  clean();
  const binary = await compile();
  await using server = await way.start({ binary, next: probe() });
  await talk(server.port);
  age("127.0.0.0_24", 100);
  assertEquals(await burst(server.port, ""), "220 probe\r\n");
  const behind = await report();
  // The entry was written to: nothing of that may be left open.
  assertEquals(behind.descriptors, alone.descriptors);
  assertEquals(behind.flags, alone.flags);
  assertSameStatus(way, behind.status, alone.status);
});

bothWays(
  "the program is looked for on PATH as execvp does",
  {},
  async (way, t) => {
    clean();
    const binary = await compile(PASSES);
    const [script] = greeter();
    const dir = emptyDir("path");
    const first = emptyDir("path/first");
    const second = emptyDir("path/second");
    Deno.copyFileSync(script, `${second}/next`);
    // The first of that name cannot be executed, so the search goes on.
    writeFile("path/first/next", "no program\n", 0o644);
    Deno.copyFileSync(script, `${dir}/relative`);
    // A script without #! is run by sh, as execvp does, but not posix_spawnp.
    writeFile("path/second/bare", `printf '${NEXT}\\r\\n'\n`, 0o755);
    const PATH = `${first}:${second}:/usr/bin:/bin`;
    const before = ["/usr/bin/env", "-C", dir, `PATH=${PATH}`];

    const cases: [string, RegExp][] = [
      ["next", /^220 next program/],
      ["./relative", /^220 next program/],
      ["second/next", /^220 next program/],
      ["bare", way === serve ? /^421 4\.3\.0 / : /^220 next program/],
      ["relative", /^421 4\.3\.0 /],
      ["missing", /^421 4\.3\.0 /],
      ["./missing", /^421 4\.3\.0 /],
      ["first/next", /^421 4\.3\.0 /],
      [dir, /^421 4\.3\.0 /],
    ];
    for (const [program, expected] of cases) {
      await t.step(program, async () => {
        clean();
        const next = [program];
        await using server = await way.start({ binary, before, next });
        const text = await burst(server.port, "");
        assertMatch(text, expected);
        assertOnlySmtp(text);
        const errors = clientLines().filter((line) => / error /.test(line));
        if (text.startsWith("421")) {
          assertEquals(errors.length, 1);
          assert(errors[0].includes(program), errors[0]);
        } else {
          assertEquals(errors, []);
        }
      });
    }
  },
);

// serve never becomes a program.
e2e("exit codes", needs, async (t) => {
  clean();
  const binary = await compile(PASSES);
  const env = { TCPREMOTEIP: "127.0.0.1" };
  await t.step("a program that cannot be started: 111", async () => {
    const { code, stdout, stderr } = await run([binary, "./missing"], { env });
    assertEquals(code, 111);
    assertMatch(stdout, /^421 4\.3\.0 [ -~]*\r\n$/);
    assertEquals(stderr, "");
  });
  await t.step("the next program's own otherwise", async () => {
    const { code } = await run([binary, "sh", "-c", "exit 77"], { env });
    assertEquals(code, 77);
  });
  await t.step("a deferred client: 0", async () => {
    const deferring = await compile();
    const { code } = await run([deferring, "true"], { env });
    assertEquals(code, 0);
  });
  await t.step("no program: 100", async () => {
    const { code, stdout, stderr } = await run([binary], { env });
    assertEquals([code, stdout], [100, ""]);
    assertMatch(stderr, /^[^\n]*PROGRAM[^\n]*\n/);
  });
});

e2e("-- makes a subcommand's name a program", needs, async () => {
  clean();
  const binary = await compile(PASSES);
  const dir = emptyDir("path");
  Deno.copyFileSync(greeter()[0], `${dir}/info`);
  const before = ["/usr/bin/env", `PATH=${dir}:/usr/bin:/bin`];
  const next = ["--", "info"];
  await using server = await tcpserver.start({ binary, before, next });
  assertEquals(await burst(server.port, "QUIT\r\n"), `${NEXT}\r\n250 QUIT\r\n`);
});

bothWays("under softlimit behind greylist, the limit is the program's", {
  programs: ["softlimit"],
}, async (way) => {
  clean();
  const binary = await compile(PASSES);
  const next = [programPath("softlimit"), "-d", "30000000", ...probe()];
  await using server = await way.start({ binary, next });
  assertEquals(await burst(server.port, ""), "220 probe\r\n");
  assertMatch((await report()).limits, /^Max data size +30000000 /m);
});

bothWays("a killed client leaves no process behind", {}, async (way) => {
  clean();
  const binary = await compile();
  await using server = await way.start({ binary, next: greeter() });
  using client = await Client.connect(server.port);
  await client.reply();
  client[Symbol.dispose]();
  await server.idle();
  await waitFor("the log line", () => clientLines().length === 1);
});
