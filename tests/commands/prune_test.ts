import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { clean, compile, logLines } from "../harness/binary.ts";
import { makeEntry, namesIn, snapshot } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { greeter } from "../harness/next_program.ts";
import { gone, run, startServer, waitFor } from "../harness/process.ts";
import { BASE, emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { ATTEMPT, burst } from "../harness/smtp.ts";
import { denying } from "../harness/strace.ts";
import { tcpserver } from "../harness/way_in.ts";

const HOUR = 3600;
const DAY = 86400;
/** What a test may take between making an entry and looking at it. */
const SLACK = 60;

/** Name, accepted count, age, and whether it is forgotten. */
const ENTRIES: [string, number, number, boolean][] = [
  ["192.0.2.0_24", 0, 10, false],
  ["192.0.2.1", 0, DAY - SLACK, false],
  ["192.0.2.2", 0, DAY + 1, true],
  ["192.0.2.3", 0, 400 * DAY, true],
  ["192.0.2.4", 0, -DAY, false],
  ["2001:db8::_64", 1, DAY + 1, false],
  ["2001:db8::1", 1, 36 * DAY - SLACK, false],
  ["2001:db8::2", 1, 36 * DAY + 1, true],
  ["2001:db8:0:2::_64", 99, 400 * DAY, true],
];

/** Old files whose names are no entries. */
const FOREIGN = ["192.0.2.1_24", "README", "a b", "192.0.2.5"];

function fill(): void {
  clean();
  for (const [name, accepted, age] of ENTRIES) makeEntry(name, accepted, age);
  for (const name of FOREIGN.slice(0, 3)) makeEntry(name, 0, 400 * DAY);
  // The name would be ours, but it is no regular file.
  Deno.symlinkSync("/nonexistent", `${BASE}/192.0.2.5`);
}

const FORGOTTEN = ENTRIES.filter(([, , , gone]) => gone).map(([name]) => name);
const KEPT = [
  ...ENTRIES.filter(([, , , gone]) => !gone).map(([name]) => name),
  ...FOREIGN,
].sort();

e2e("prune: removes what is forgotten and nothing else", {}, async () => {
  const binary = await compile();
  fill();
  assertEquals(await run([binary, "prune"]), {
    code: 0,
    stdout: "removed 4 of 9 entries\n",
    stderr: "",
  });
  assertEquals(namesIn(), KEPT);
  const before = snapshot();
  assertEquals(
    (await run([binary, "prune"])).stdout,
    "removed 0 of 5 entries\n",
  );
  assertEquals(snapshot(), before);
});

e2e("prune: --dry-run only says how many", {}, async () => {
  const binary = await compile();
  fill();
  const before = snapshot();
  assertEquals(await run([binary, "prune", "--dry-run"]), {
    code: 0,
    stdout: "would remove 4 of 9 entries\n",
    stderr: "",
  });
  assertEquals(snapshot(), before);
});

e2e("prune: timeouts are those of the configuration", {}, async () => {
  fill();
  const binary = await compile({
    timeouts: { delay: "1s", retryWindow: "5s", expireAfter: "7d" },
  });
  const { stdout } = await run([binary, "prune"]);
  assertEquals(stdout, "removed 7 of 9 entries\n");
  assertEquals(
    namesIn(),
    [...FOREIGN, "192.0.2.4", "2001:db8::_64"].sort(),
  );
});

e2e("prune: two at once remove each entry once", {}, async () => {
  clean();
  const total = 5000;
  for (let i = 0; i < total; i++) {
    makeEntry(`10.${i >> 8}.${i & 255}.0_24`, 0, 2 * DAY);
  }
  makeEntry("192.0.2.0_24", 0, 0);
  const binary = await compile();
  const outcomes = await Promise.all(
    [0, 1, 2].map(() => run([binary, "prune"])),
  );
  let removed = 0;
  for (const { code, stdout, stderr } of outcomes) {
    assertEquals([code, stderr], [0, ""]);
    const [, number] = /^removed ([\d,]+) of [\d,]+ entr(?:y|ies)\n$/
      .exec(stdout)!;
    removed += Number(number.replaceAll(",", ""));
  }
  assertEquals(removed, total);
  assertEquals(namesIn(), ["192.0.2.0_24"]);
});

e2e("prune: a base directory that is not there", {}, async () => {
  const binary = await compile({ baseDir: `${ROOT}/elsewhere` as "/" });
  Deno.removeSync(emptyDir("elsewhere"));
  for (const args of [[], ["--dry-run"]]) {
    const { code, stdout, stderr } = await run([binary, "prune", ...args]);
    assertEquals([code, stdout], [100, ""]);
    assertMatch(
      stderr,
      new RegExp(`^greylist prune: ${ROOT}/elsewhere: [^\n]+\n$`),
    );
  }
});

e2e("prune: an entry that cannot be removed does not stop the next ones", {
  programs: ["mount", "unshare"],
  mounts: true,
}, async () => {
  fill();
  // As many as it takes for some to be behind it, whatever the order is.
  for (let i = 0; i < 50; i++) {
    const path = `${BASE}/198.51.100.${i}`;
    Deno.writeTextFileSync(path, "");
    Deno.utimeSync(path, 1000, 1000);
  }
  const stuck = `${BASE}/198.51.100.25`;
  // What something is mounted on cannot be removed, not even by root.
  const { code, stdout, stderr } = await run([
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mount --bind "$0" "$0" && "$@"; code=$?; ls "${0%/*}"; exit $code',
    stuck,
    await compile(),
    "prune",
  ]);
  assertEquals(code, 100);
  assertMatch(stderr, /^greylist prune: some stay: \S+25: unlink: [^\n]+\n$/);
  const left = stdout.split("\n");
  assertEquals(left.filter((name) => name.startsWith("198.51.100.")), [
    "198.51.100.25",
  ]);
});

e2e("prune: without the right to remove", {
  programs: ["setpriv"],
  root: true,
}, async () => {
  fill();
  Deno.chmodSync(BASE, 0o755);
  const before = snapshot();
  const { code, stdout, stderr } = await run([
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    await compile(),
    "prune",
  ]);
  assertEquals(code, 100);
  assertMatch(stdout, /^removed 0 of \d+ entries\n$/);
  assertMatch(
    stderr,
    /^greylist prune: some stay: \/[^\n]*\/base\/\S+: unlink: Permission denied\n$/,
  );
  assertEquals(snapshot(), before);
});

e2e("prune: a disk that fails is temporary trouble", {
  programs: ["strace"],
}, async () => {
  fill();
  const before = snapshot();
  const command = [...denying("unlinkat", "EIO"), await compile(), "prune"];
  const { code, stdout, stderr } = await run(command);
  assertEquals([code, stdout], [111, "removed 0 of 9 entries\n"]);
  assertMatch(stderr, /^greylist prune: some stay: \S+: unlink: [^\n]+\n$/);
  assertEquals(snapshot(), before);
});

const needs = { programs: ["tcpserver"] };

/** One connection under tcpserver, to its end. */
async function connect(config: Partial<Config> = {}): Promise<string> {
  const binary = await compile(config);
  await using server = await tcpserver.start({ binary, next: greeter() });
  const reply = await burst(server.port, ATTEMPT.join("\r\n") + "\r\n");
  await gone(binary);
  return reply;
}

/** Names besides the client's own entry. */
const others = () => namesIn().filter((name) => name !== "127.0.0.0_24");

e2e("by itself: prunes after a deferral, once an hour", needs, async (t) => {
  await t.step("the first time", async () => {
    fill();
    assertMatch(await connect(), /\r\n451 4\.7\.1 /);
    assertEquals(others(), [".prune", ...KEPT]);
    assertEquals(Deno.statSync(`${BASE}/.prune`).size, 0);
    assertEquals(Deno.statSync(`${BASE}/.prune`).mode! & 0o777, 0o600);
    assertEquals(logLines().length, 1, logLines().join("\n"));
  });
  await t.step("not again within the hour", async () => {
    fill();
    makeEntry(".prune", 0, HOUR - SLACK);
    assertMatch(await connect(), /\r\n451 4\.7\.1 /);
    assertEquals(others(), [".prune", ...KEPT, ...FORGOTTEN].sort());
  });
  for (
    const [name, age] of [["after it", HOUR], [
      "clock went back",
      -HOUR,
    ]] as const
  ) {
    await t.step(name, async () => {
      fill();
      makeEntry(".prune", 0, age);
      assertMatch(await connect(), /\r\n451 4\.7\.1 /);
      assertEquals(others(), [".prune", ...KEPT]);
      const age2 = Date.now() -
        Deno.statSync(`${BASE}/.prune`).mtime!.getTime();
      assert(Math.abs(age2) < SLACK * 1000);
    });
  }
  await t.step("after a deferral in the banner", async () => {
    const config: Partial<Config> = { deferral: { at: "banner" } };
    await compile(config);
    fill();
    assertMatch(await connect(config), /^421 4\.7\.1 /);
    assertEquals(others(), [".prune", ...KEPT]);
  });
});

e2e("by itself: never with prune.every 0", needs, async () => {
  const config: Partial<Config> = { prune: { every: 0 } };
  await compile(config);
  fill();
  assertMatch(await connect(config), /\r\n451 4\.7\.1 /);
  assertEquals(others(), [...KEPT, ...FORGOTTEN].sort());
});

e2e("by itself: never for a client that passes", needs, async () => {
  for (const accepted of [0, 5]) {
    fill();
    makeEntry("127.0.0.0_24", accepted, 600);
    assertMatch(await connect(), /^220 next program/);
    assertEquals(others(), [...KEPT, ...FORGOTTEN].sort());
    assertEquals(Deno.statSync(`${BASE}/127.0.0.0_24`).size, accepted + 1);
  }
});

e2e("by itself: goes on where the last run stopped", needs, async () => {
  fill();
  // A place that is there in no directory: it starts over.
  for (const place of ["9999999999999999999", "9223372036854775806", "x"]) {
    writeFile("base/.prune", place);
    assertMatch(await connect(), /\r\n451 4\.7\.1 /);
    if (place === "9223372036854775806" && others().length > 1 + KEPT.length) {
      // Some file systems take it for their end: then the next run begins anew.
      assertEquals(Deno.statSync(`${BASE}/.prune`).size, 0);
      continue;
    }
    assertEquals(others(), [".prune", ...KEPT], place);
    assertEquals(Deno.statSync(`${BASE}/.prune`).size, 0);
    fill();
  }
});

e2e("by itself: one process at a time", {
  programs: ["tcpserver", "flock"],
}, async () => {
  fill();
  makeEntry(".prune", 0, 2 * HOUR);
  const lock = `${ROOT}/locked`;
  await run(["rm", "-f", lock]);
  const holder = startServer(
    // Without a fork the lock ends with the process that is waited for.
    [
      "flock",
      "--no-fork",
      `${BASE}/.prune`,
      "sh",
      "-c",
      `echo >${lock}; exec sleep 60`,
    ],
    "/dev/null",
  );
  try {
    await waitFor("the lock", () => {
      try {
        return Deno.statSync(lock).size > 0;
      } catch {
        return false;
      }
    });
    assertMatch(await connect(), /\r\n451 4\.7\.1 /);
    assertEquals(others(), [".prune", ...KEPT, ...FORGOTTEN].sort());
    assertEquals(logLines().length, 1);
  } finally {
    await holder[Symbol.asyncDispose]();
  }
  assertMatch(await connect(), /\r\n451 4\.7\.1 /);
  assertEquals(others(), [".prune", ...KEPT]);
});

e2e("by itself: something else in the place of .prune", needs, async (t) => {
  const victim = `${ROOT}/victim`;
  const cases: [string, () => Promise<unknown> | void][] = [
    ["a symbolic link", () => Deno.symlinkSync(victim, `${BASE}/.prune`)],
    ["a link to nothing", () => Deno.symlinkSync("/nil", `${BASE}/.prune`)],
    ["a directory", () => Deno.mkdirSync(`${BASE}/.prune`)],
    ["a FIFO", async () => {
      await run(["mkfifo", `${BASE}/.prune`]);
      await run(["touch", "-d", "2 hours ago", `${BASE}/.prune`]);
    }],
  ];
  for (const [name, make] of cases) {
    await t.step(name, async () => {
      fill();
      writeFile("victim", "untouched");
      await make();
      const before = namesIn();
      const reply = await connect();
      assertMatch(reply, /\r\n451 4\.7\.1 /);
      assertEquals(others(), before);
      assertEquals(Deno.readTextFileSync(victim), "untouched");
      const [, ...warnings] = logLines();
      assertEquals(warnings.length, 1);
      assertMatch(
        warnings[0],
        / warn prune reason=error what="[^" ]*\/\.prune: /,
      );
    });
  }
});
