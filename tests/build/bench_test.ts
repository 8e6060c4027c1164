/**
 * `deno task bench`: what is made of the measurements, and that a short run has
 * all of its rows. How fast anything is, is for the bench itself to show.
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { bench, HELP } from "../../lib/build/bench.ts";
import { Connection } from "../../lib/build/bench/connection.ts";
import { Dialer, resentOn } from "../../lib/build/bench/dial.ts";
import { makeEntries, whitelistText } from "../../lib/build/bench/entries.ts";
import { FULL, type Plan } from "../../lib/build/bench/plan.ts";
import { Process } from "../../lib/build/bench/process.ts";
import {
  compare,
  howMany,
  median,
  smallest,
} from "../../lib/build/bench/statistics.ts";
import {
  type Section,
  tableLines,
  tableObject,
  withTable,
} from "../../lib/build/bench/table.ts";
import { parseEntryName } from "../../lib/store/entry_name.ts";
import { close } from "../../lib/system/descriptor.ts";
import { exempts, parseRule } from "../../lib/whitelist/file.ts";
import "../harness/libc.ts";
import { e2e } from "../harness/need.ts";
import { freePort, processesBelow, run, waitFor } from "../harness/process.ts";
import { PROJECT } from "../harness/project.ts";
import { emptyDir } from "../harness/root.ts";

// Opened before any test; see harness/libc.ts.
new Connection()[Symbol.dispose]();
const dialed = new Dialer(freePort()).dial();
resentOn(dialed);
close(dialed);
await new Process({ argv: ["true"], errors: "/dev/null" }).ended(10);

Deno.test("a table takes the place of the one in the manual", () => {
  const page =
    "# cost\n\n```bench\nold\n\nold\n```\n\nText.\n\n```sh\ntrue\n```\n";
  assertEquals(
    withTable(page, "bench", "new $& row\n\nend"),
    page.replace("old\n\nold", () => "new $& row\n\nend"),
  );
  assertThrows(() => withTable("# cost\n", "bench", "new"), Error, "no block");
  const cost = Deno.readTextFileSync(`${PROJECT}lib/manual/cost.md`);
  assertStringIncludes(
    withTable(cost, "bench", "new"),
    "```bench\nnew\n```\n\n## How",
  );
});

Deno.test("the median is the middle, or the mean of the two there", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([10, 1, 2, 3]), 2.5);
  assertEquals(median([7]), 7);
  assertEquals(median([]), NaN);
});

Deno.test("the median leaves what it is given as it was", () => {
  const values = [3, 1, 2];
  median(values);
  assertEquals(values, [3, 1, 2]);
});

Deno.test("programs are compared round by round", () => {
  // A machine that is ten times as slow in the second round, and a third round
  // that went wrong: the ratio of the medians would be 6.
  const floor = [10, 100, 20].map((cpu) => ({ cpu, wall: 2 * cpu }));
  const own = [12, 120, 200].map((cpu) => ({ cpu, wall: 3 * cpu }));
  assertEquals(compare(own, floor), {
    cpu: 120,
    cpuRatio: 1.2,
    wall: 360,
    wallRatio: 1.8,
    more: 20,
  });
  assertEquals(compare(floor, floor), {
    cpu: 20,
    cpuRatio: 1,
    wall: 40,
    wallRatio: 1,
    more: 0,
  });
});

Deno.test("how many processes fit into memory, part of which they share", () => {
  assertEquals(howMany(100, 10, 0), 10);
  assertEquals(howMany(100, 10, 1), 9);
  assertEquals(howMany(100, 10, 10), 9);
  assertEquals(howMany(100, 10, 101), 0);
});

Deno.test("the smallest number that is enough, to the step", async () => {
  for (const least of [1, 5, 6, 499, 995]) {
    const tried: number[] = [];
    const found = await smallest(0, 1000, 5, (value) => {
      tried.push(value);
      return Promise.resolve(value >= least);
    });
    assertEquals(found, Math.ceil(least / 5) * 5);
    assert(tried.every((value) => value > 0 && value < 1000), `${tried}`);
    assert(tried.length <= 8, `${tried}`);
  }
});

const SECTION: Section = {
  key: "start",
  title: "START",
  columns: [
    { key: "cpu", heading: "CPU ms", digits: 2 },
    { key: "fit", heading: "fit", digits: 0 },
  ],
  rows: [
    { key: "a", text: "one", values: { cpu: 1234.5678, fit: 65.4, other: 1 } },
    { key: "b", text: "two", values: { cpu: 2 } },
    { key: "c", text: "three", absent: "x is not installed" },
    { key: "d", text: "four" },
  ],
};

Deno.test("the table has its numbers below their headings", () => {
  const lines = tableLines(SECTION);
  assertEquals(lines.map((line) => line.replace(/ {3,}/g, " | ")), [
    "START | CPU ms | fit",
    "  one | 1,234.57 | 65",
    "  two | 2.00",
    "  three | x is not installed",
    "  four | not measured",
  ]);
  assertEquals(lines[0].length, 100);
  assertEquals(lines[1].length, 100);
  assertEquals(lines[0].indexOf("CPU ms") + 6, lines[2].length);
});

Deno.test("the JSON names the rows, and why one has no numbers", () => {
  assertEquals(tableObject([SECTION]), {
    "start.a": { cpu: 1234.57, fit: 65.4 },
    "start.b": { cpu: 2 },
    "start.c": { absent: "x is not installed" },
    "start.d": { absent: "not measured" },
  });
});

Deno.test("a whitelist to measure with is right in every line", () => {
  const lines = whitelistText(1000).split("\n").slice(0, -1);
  assertEquals(lines.length, 1000);
  assertEquals(new Set(lines).size, 1000);
  for (const line of lines) {
    const rule = parseRule(line.replace(/#.*/, "").trim());
    assert(!("fault" in rule), line);
    const address = { family: 4, value: 0xc0000201n } as const;
    assert(!exempts(rule, { address, host: "client.example.net" }), line);
  }
});

/** A test in which the C library is opened; it stays so. */
function testWithLibc(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeResources: false });
}

testWithLibc("entries to measure with are entries, and forgotten", async () => {
  const dir = emptyDir("bench-entries");
  const told: number[] = [];
  assert(await makeEntries(dir, 10_000, 60, (made) => told.push(made)));
  const names = [...Deno.readDirSync(dir)].map(({ name }) => name);
  assertEquals(names.length, 10_000);
  assertEquals(told, [5000, 10_000]);
  for (const name of names) assert(parseEntryName(name) !== undefined, name);
  const { size, mtime, blocks } = Deno.statSync(`${dir}/${names[0]}`);
  assert(size > 0 && size < 10);
  assertEquals(blocks, 0);
  assertEquals(mtime!.getUTCFullYear(), 2001);
});

testWithLibc("entries that take too long to make are given up", async () => {
  const dir = emptyDir("bench-entries");
  assertEquals(await makeEntries(dir, 1_000_000, 0, () => {}), false);
});

/** As little as there can be of everything. */
const SHORT: Plan = {
  rounds: 2,
  seconds: 30,
  copies: 2,
  waiting: 2,
  clients: [1, 3],
  loadSeconds: 0.1,
  duels: 2,
  duelSeconds: 0.1,
  message: 100_000,
  crowd: 30,
  entries: [0, 100],
  lines: [0, 50],
  listings: 1,
};

/** The rows of each section that does not grow with the plan. */
const ROWS = {
  start: [
    "floor",
    "pass",
    "banner",
    "rcpt",
    "rblsmtpd",
    "perl",
    "rblsmtpdAlone",
    "true",
  ],
  memory: ["rcpt", "rblsmtpd"],
  sessions: ["rcpt", "rblsmtpd", "rblsmtpdAlone", "true"],
  serve: ["at20", "at100", "strangers", "accepted", "dialogue", "upload"],
  session: ["epoll", "postscreen"],
  crowd: ["serve"],
  hang: ["serve"],
  listing: ["findPrintf", "info", "findDelete", "prune"],
};

function expectedRows({ entries, lines }: Plan): string[] {
  const all = { ...ROWS, entries, lines };
  return Object.entries(all).flatMap(([section, rows]) =>
    rows.map((row) => `${section}.${row}`)
  ).sort();
}

e2e("a short run has every row", {
  programs: ["tcpserver", "rblsmtpd", "perl", "gcc", "strace", "postfix"],
  root: true,
}, async () => {
  const said: string[] = [];
  const { signal } = new AbortController();
  const sections = await bench(SHORT, (what) => said.push(what), signal);
  const rows = tableObject(sections);
  assertEquals(Object.keys(rows).sort(), expectedRows(SHORT));
  for (const [name, row] of Object.entries(rows)) {
    assertEquals("absent" in row, false, `${name}: ${row.absent}`);
    for (const [key, value] of Object.entries(row)) {
      assert(Number.isFinite(value), `${name} ${key}: ${value}`);
    }
  }
  const crowd = rows["crowd.serve"] as Record<string, number>;
  assertEquals([crowd.answered, crowd.ended], [SHORT.crowd, SHORT.crowd]);
  const lines = sections.flatMap(tableLines);
  assertEquals(lines.filter((line) => line.length > 100), []);
  assert(said.length > 20, said.join("\n"));
}, { sanitizeResources: false });

e2e("a start on another Deno is compared with one on this Deno", {
  programs: ["perl", "gcc"],
}, async () => {
  const { signal } = new AbortController();
  const deno = Deno.execPath();
  const [section] = await bench(SHORT, () => {}, signal, { deno });
  const rows = Object.entries(tableObject([section]));
  assertEquals(rows.map(([name]) => name), [
    "runtime.own",
    "runtime.other",
    "runtime.perl",
  ]);
  for (const [name, row] of rows) {
    assert("cpuRatio" in row && row.cpuRatio > 0, name);
  }
}, { sanitizeResources: false });

Deno.test("the help has every row and every number of the JSON", () => {
  const names = Object.entries({
    start: ROWS.start,
    memory: ROWS.memory,
    sessions: ROWS.sessions,
    serve: ROWS.serve,
    session: ROWS.session,
    runtime: ["own", "other", "perl"],
    crowd: ROWS.crowd,
    hang: ROWS.hang,
    entries: FULL.entries,
    lines: FULL.lines,
    listing: ROWS.listing,
  }).map(([section, rows]) => `${section}.{${rows.join(",")}}`);
  for (const name of names) assertStringIncludes(HELP, name);
  for (const count of FULL.clients) assertStringIncludes(HELP, `at${count}`);
  const wide = HELP.split("\n").filter((line) => line.length > 80);
  assertEquals(wide, []);
});

/** The command with a temporary directory of its own. */
function command(...args: string[]) {
  const scratch = emptyDir("bench-tmp");
  const env = { ...Deno.env.toObject(), TMPDIR: scratch };
  return { argv: [Deno.execPath(), "task", "bench", ...args], scratch, env };
}

e2e("a wrong command line is one line, and exit 100", {}, async () => {
  for (const arg of ["--jsn", "fast", "--json=x", "--shared=x", "--deno=no"]) {
    const { argv, env } = command(arg);
    const { code, stdout, stderr } = await run(argv, { cwd: PROJECT, env });
    assertEquals(code, 100, stderr);
    assertEquals(stdout, "");
    const lines = stderr.split("\n").filter((line) => line.includes("bench:"));
    assertEquals(lines.length, 1, stderr);
    assertStringIncludes(lines[0], arg.replace(/=.*/, ""));
  }
});

e2e("--shared says what it takes that is not here", {}, async () => {
  const { argv, env } = command("--shared");
  const { code, stdout, stderr } = await run(argv, {
    cwd: PROJECT,
    env: { ...env, PATH: "/nowhere" },
  });
  assertEquals(code, 111, stderr);
  assertEquals(stdout, "");
  assertMatch(
    stderr,
    Deno.uid() === 0
      ? /^greylist bench: --shared: not installed: glusterd, .*gcc.*: apt-get install glusterfs-server .*\n$/m
      : /^greylist bench: --shared: several hosts on one machine need root\n$/m,
  );
});

e2e("SIGINT leaves nothing behind", {}, async () => {
  const { argv, scratch, env } = command();
  const child = new Deno.Command(argv[0], {
    args: argv.slice(1),
    cwd: PROJECT,
    env,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let seen = "";
  let sent = false;
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    seen += text;
    if (sent || !seen.includes("starts: round")) continue;
    sent = true;
    child.kill("SIGINT");
  }
  const { code } = await child.status;
  assertEquals(code, 130, seen);
  await waitFor(
    "an empty temporary directory",
    () => [...Deno.readDirSync(scratch)].length === 0,
  );
  await waitFor(
    "the end of all processes",
    () => processesBelow(scratch).length === 0,
  );
});
