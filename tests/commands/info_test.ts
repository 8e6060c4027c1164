import { assert, assertEquals, assertMatch } from "@std/assert";
import { E } from "../../lib/system/constants.ts";
import { clean, compile } from "../harness/binary.ts";
import { makeEntry, snapshot } from "../harness/entry.ts";
import { brokenFuse, deadFuse, fuseObstacle } from "../harness/fuse.ts";
import { e2e } from "../harness/need.ts";
import { run, waitFor } from "../harness/process.ts";
import { BASE, emptyDir, ROOT } from "../harness/root.ts";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

/** Network, accepted count, age and state of what the tests list. */
const ENTRIES: [string, number, number, string][] = [
  ["192.0.2.0_24", 0, 20, "grey"],
  ["198.51.100.0_24", 17, 3 * DAY, "known"],
  ["203.0.113.0_24", 3, 40 * DAY, "expired"],
  ["203.0.113.77", 0, 2 * DAY, "expired"],
  ["2001:db8:7:1::_64", 0, 5 * HOUR, "grey"],
  ["2001:db8::17", 1, 10 * MINUTE, "known"],
];

const NETWORKS = [
  "192.0.2.0/24",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "203.0.113.77/32",
  "2001:db8::17/128",
  "2001:db8:7:1::/64",
];

/** Makes files whose names are no entries, or that are no regular files. */
function makeForeign(): void {
  for (const name of ["README", "192.0.2.0", "192.0.2.1_24", "010.0.0.1"]) {
    if (name === "192.0.2.0") Deno.mkdirSync(`${BASE}/${name}`);
    else makeEntry(name, 0, 0);
  }
  Deno.symlinkSync("/etc/passwd", `${BASE}/192.0.2.9`);
  makeEntry(".prune", 0, 0);
}

function fill(): void {
  clean();
  for (const [name, accepted, age] of ENTRIES) makeEntry(name, accepted, age);
}

const SUMMARY = "6 entries: 2 grey, 2 known, 2 expired; 0 not ours\n";

interface Row {
  network: string;
  state: string;
  accepted: number;
  first: number | null;
  last: number;
  letInFrom: number | null;
  letInUntil: number | null;
  forgottenAt: number;
}

async function rows(...args: string[]): Promise<Row[]> {
  const binary = await compile();
  const { code, stdout } = await run([binary, "info", "--json", ...args]);
  assertEquals(code, 0);
  return stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

async function networks(...args: string[]): Promise<string[]> {
  return (await rows(...args)).map(({ network }) => network);
}

e2e("info: the table has a line for each entry", {}, async () => {
  const binary = await compile();
  fill();
  const before = snapshot();
  const { code, stdout, stderr } = await run([binary, "info"]);
  assertEquals([code, stderr], [0, ""]);
  assert(stdout.endsWith("\n" + SUMMARY), stdout);
  const [heading, ...lines] = stdout.split("\n").slice(0, -2);
  assertMatch(
    heading,
    /^NETWORK +STATE +ACCEPTED +FIRST SEEN +LAST SEEN \(AGO\) +NEXT$/,
  );
  assertEquals(lines.length, ENTRIES.length);
  const at = (title: string) => heading.indexOf(title);
  const date = "\\d{4}-\\d\\d-\\d\\d";
  const expected: Record<string, RegExp> = {
    "192.0.2.0/24": / grey +0 .* \(\d\d s\) +let in after \d\d s$/,
    "198.51.100.0/24": / known +17 .* \(3 d\) +forgotten in 3[23] d$/,
    "203.0.113.0/24": / expired +3 .* \(40 d\) +expired 4 d ago$/,
    "203.0.113.77/32": / expired +0 .* \(2 d\) +expired 24 h ago$/,
    "2001:db8:7:1::/64": / grey +0 .* \(5 h\) +let in for 1[89] h$/,
    "2001:db8::17/128": / known +1 .* \(10 min\) +forgotten in 3[56] d$/,
  };
  for (const line of lines) {
    const [network] = line.split(" ");
    assertMatch(line, expected[network]);
    assert(line.length <= 100, line);
    // The columns stand below their headings.
    const cell = (title: string, pattern: string) =>
      assertMatch(line.slice(at(title)), new RegExp(`^${pattern}`), line);
    cell("STATE", "(grey|known|expired) ");
    cell("FIRST SEEN", `(${date}|-) `);
    cell("LAST SEEN", `${date} \\d\\d:\\d\\d \\(`);
    cell("NEXT", "(let in|forgotten|expired) ");
    assertMatch(line.slice(0, at("ACCEPTED") + 8), / \d+$/);
  }
  assertEquals(snapshot(), before);
});

e2e("info: --json has an object a line", {}, async () => {
  fill();
  const { code, stdout, stderr } = await run([
    await compile(),
    "info",
    "--json",
  ]);
  assertEquals([code, stderr], [0, SUMMARY]);
  const found: Row[] = stdout.split("\n").slice(0, -1).map((l) =>
    JSON.parse(l)
  );
  assertEquals(found.length, ENTRIES.length);
  for (const [name, accepted, , state] of ENTRIES) {
    const { mtime, birthtime } = Deno.statSync(`${BASE}/${name}`);
    const last = Math.floor(mtime!.getTime() / 1000);
    const [address, prefix = address.includes(":") ? "128" : "32"] = name
      .split("_");
    const grey = state === "grey";
    const network = `${address}/${prefix}`;
    assertEquals(found.find((row) => row.network === network), {
      network,
      state,
      accepted,
      first: birthtime && Math.floor(birthtime.getTime() / 1000),
      last,
      letInFrom: grey ? last + 60 : null,
      letInUntil: grey ? last + DAY : null,
      forgottenAt: last + (accepted > 0 ? 36 * DAY : DAY),
    });
  }
});

e2e("info: --csv has the same behind a heading", {}, async () => {
  fill();
  const { code, stdout, stderr } = await run([
    await compile(),
    "info",
    "--csv",
  ]);
  assertEquals([code, stderr], [0, SUMMARY]);
  const [heading, ...lines] = stdout.split("\n").slice(0, -1);
  const names = heading.split(",");
  const objects = lines.map((line) => {
    const cells = line.split(",");
    assertEquals(cells.length, names.length);
    return Object.fromEntries(names.map((name, i) => [name, cells[i]]));
  });
  const expected = (await rows()).map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, `${value ?? ""}`]),
    )
  );
  assertEquals(objects, expected);
});

e2e("info: --state, --network, --sort and --limit", {}, async () => {
  fill();
  const sorted = async (...args: string[]) => (await networks(...args)).sort();
  assertEquals(await sorted("--state=grey"), [
    "192.0.2.0/24",
    "2001:db8:7:1::/64",
  ]);
  assertEquals(await sorted("--state=known"), [
    "198.51.100.0/24",
    "2001:db8::17/128",
  ]);
  assertEquals(await sorted("--state=expired"), [
    "203.0.113.0/24",
    "203.0.113.77/32",
  ]);
  assertEquals(await sorted("--network=203.0.113.0/24"), [
    "203.0.113.0/24",
    "203.0.113.77/32",
  ]);
  assertEquals(await sorted("--network=203.0.113.64/26"), ["203.0.113.77/32"]);
  assertEquals(await sorted("--network=203.0.113.77"), ["203.0.113.77/32"]);
  assertEquals(await sorted("--network=0.0.0.0/0"), NETWORKS.slice(0, 4));
  assertEquals(await sorted("--network=::/0"), [
    "2001:db8:7:1::/64",
    "2001:db8::17/128",
  ]);
  assertEquals(await sorted("--network=::ffff:192.0.2.0/120"), [
    "192.0.2.0/24",
  ]);
  assertEquals(await sorted("--network=10.0.0.0/8"), []);
  assertEquals(await networks("--sort=address"), NETWORKS);
  assertEquals(await networks("--sort=address", "--limit=2"), [
    "192.0.2.0/24",
    "198.51.100.0/24",
  ]);
  assertEquals(await networks("--sort=last"), [
    "192.0.2.0/24",
    "2001:db8::17/128",
    "2001:db8:7:1::/64",
    "203.0.113.77/32",
    "198.51.100.0/24",
    "203.0.113.0/24",
  ]);
  assertEquals(await networks("--sort=accepted", "--limit=3"), [
    "198.51.100.0/24",
    "203.0.113.0/24",
    "2001:db8::17/128",
  ]);
  const first = (await rows("--sort=first")).map((row) => row.first ?? 0);
  assertEquals(first, first.toSorted((a, b) => b - a));
  assertEquals(
    (await networks("--limit=1")).length +
      (await networks("--limit=99")).length,
    1 + ENTRIES.length,
  );
  assertEquals(
    await networks("--state=expired", "--sort=address", "--limit=1"),
    ["203.0.113.0/24"],
  );
});

e2e("info: the summary is that of all, not of what is shown", {}, async () => {
  fill();
  const binary = await compile();
  for (const args of [["--state=grey"], ["--limit=1"], ["--sort=last"]]) {
    const { stdout } = await run([binary, "info", ...args]);
    assert(stdout.endsWith("\n" + SUMMARY), stdout);
  }
});

e2e("info: what is not ours is counted and not listed", {}, async () => {
  fill();
  makeForeign();
  const { code, stdout } = await run([await compile(), "info"]);
  assertEquals(code, 0);
  assertMatch(
    stdout,
    /\n6 entries: 2 grey, 2 known, 2 expired; 5 not ours \(such as ".*"\)\n$/,
  );
  assertEquals(stdout.split("\n").length, 1 + ENTRIES.length + 1 + 1);
  assertEquals((await networks()).sort(), NETWORKS.toSorted());
});

e2e("info: a foreign name cannot talk to the terminal", {}, async () => {
  clean();
  makeEntry("\x1b[2J\x9b31m\n\u202e", 0, 0);
  const { stdout } = await run([await compile(), "info"]);
  assertMatch(stdout.replaceAll("\n", ""), /^[ -~]*$/);
  assertMatch(stdout, /; 1 not ours \(such as "\\x1b\[2J/);
});

e2e("info: an empty database", {}, async () => {
  clean();
  const binary = await compile();
  const none = "0 entries: 0 grey, 0 known, 0 expired; 0 not ours\n";
  const { code, stdout } = await run([binary, "info"]);
  assertEquals([code, stdout.split("\n").slice(1).join("\n")], [0, none]);
  assertEquals(await run([binary, "info", "--json"]), {
    code: 0,
    stdout: "",
    stderr: none,
  });
});

e2e("info: an entry that lies ahead of the clock", {}, async () => {
  clean();
  makeEntry("192.0.2.0_24", 0, -HOUR);
  const { stdout } = await run([await compile(), "info"]);
  assertMatch(stdout, /\n192.0.2.0\/24 +grey .*\(-\d+ min\) +let in after /);
});

e2e("info: state changes exactly at the limits", {}, async () => {
  const cases: [number, number, string][] = [
    [0, DAY, "grey"],
    [1, 36 * DAY, "known"],
  ];
  for (const [accepted, limit, before] of cases) {
    const stateAt = async (age: number) => {
      clean();
      makeEntry("192.0.2.0_24", accepted, age);
      return (await rows())[0].state;
    };
    assertEquals(await stateAt(limit + 1), "expired", `${accepted}`);
    // A busy machine may look when the limit has passed.
    const state = await waitFor("a look within 5 s", async () => {
      const began = Date.now();
      const found = await stateAt(limit - 5);
      return Date.now() < began + 5000 && found;
    });
    assertEquals(state, before, `${accepted}`);
  }
});

e2e("info: colour on a terminal only, and not under NO_COLOR", {
  programs: ["script"],
}, async () => {
  fill();
  const binary = await compile();
  const onTerminal = async (env: Record<string, string>) => {
    const command = ["script", "-qec", `${binary} info`, "/dev/null"];
    const { code, stdout } = await run(command, { env });
    assertEquals(code, 0);
    return stdout;
  };
  const none: Record<string, string> = {};
  for (const env of [none, { NO_COLOR: "" }]) {
    const coloured = await onTerminal(env);
    assert(coloured.includes(" \x1b[33mgrey   \x1b[0m "), coloured);
    assert(coloured.includes(" \x1b[32mknown  \x1b[0m "), coloured);
  }
  const plain = await onTerminal({ NO_COLOR: "1" });
  assert(!plain.includes("\x1b"), plain);
  const { stdout } = await run([binary, "info"]);
  assert(!stdout.includes("\x1b"), stdout);
  // Apart from colour it is the same, so the columns stand as well.
  const width = (text: string) =>
    text.replaceAll("\x1b", "").replaceAll(/\[\d+m/g, "").split("\r\n").map((
      line,
    ) => line.search(/ [^ ]+ [^ ]+$/));
  assertEquals(width(await onTerminal({})), width(plain));
});

e2e("info: a reader that goes away ends it quietly", {}, async () => {
  clean();
  for (let i = 0; i < 3000; i++) {
    makeEntry(`10.${i >> 8}.${i & 255}.0_24`, 0, 0);
  }
  const binary = await compile();
  for (const form of ["", "--json", "--csv", "--json --sort=last"]) {
    const { code, stdout, stderr } = await run([
      "sh",
      "-c",
      `exec 3>&1; { ${binary} info ${form}; echo "exit $?" >&3; } | head -n 1`,
    ]);
    const lines = stdout.split("\n").slice(0, -1);
    assertEquals(code, 0);
    assertEquals(stderr, "");
    assert(lines.includes("exit 0"), stdout);
    assertEquals(lines.length, 2);
  }
});

e2e("info: a full disk is one line and exit 111", {}, async () => {
  fill();
  const { code, stderr } = await run([
    "sh",
    "-c",
    `${await compile()} info >/dev/full`,
  ]);
  assertEquals(code, 111);
  assertMatch(stderr, /^greylist info: standard output: [^\n]*\n$/);
});

e2e(
  "info: a standard error that is full changes no exit code",
  {},
  async () => {
    fill();
    const binary = await compile();
    for (const [args, expected] of [["--json", 0], ["--wrong", 100]] as const) {
      const { code } = await run([
        "sh",
        "-c",
        `${binary} info ${args} 2>/dev/full`,
      ]);
      assertEquals(code, expected, args);
    }
  },
);

e2e("info: a base directory that cannot be read", {
  programs: ["setpriv"],
  root: true,
}, async () => {
  clean();
  const binary = await compile({ baseDir: `${ROOT}/elsewhere` as "/" });
  const info = (...before: string[]) => run([...before, binary, "info"]);
  const wrong = (outcome: { code: number; stdout: string; stderr: string }) => {
    assertEquals([outcome.code, outcome.stdout], [100, ""]);
    assertMatch(
      outcome.stderr,
      new RegExp(`^greylist info: ${ROOT}/elsewhere: [^\n]*\n$`),
    );
  };
  const dir = emptyDir("elsewhere", 0o700);
  assertEquals((await info()).code, 0);
  wrong(
    await info("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
  );
  Deno.removeSync(dir);
  wrong(await info());
  Deno.writeTextFileSync(dir, "");
  wrong(await info());
  Deno.removeSync(dir);
});

e2e("Commands: a base directory that fails for now", {
  mounts: true,
  programs: ["perl", "unshare"],
  kernel: fuseObstacle,
}, async () => {
  clean();
  const binary = await compile();
  const cases: [() => string[], string][] = [
    [brokenFuse, "Input/output error"],
    [() => brokenFuse(E.ESTALE), "Stale file handle"],
    [deadFuse, "Transport endpoint is not connected"],
  ];
  for (const [mount, reason] of cases) {
    for (
      const args of [
        ["info"],
        ["explain", "10.0.0.1"],
        ["prune"],
        ["learn"],
        ["import", "/dev/null"],
      ]
    ) {
      const outcome = await run([...mount(), binary, ...args]);
      const { code, stdout, stderr } = outcome;
      assertEquals([code, stdout], [111, ""], `${args} ${reason}`);
      assertMatch(
        stderr,
        new RegExp(
          `^greylist ${args[0]}: (baseDir )?${BASE}[^\n]*: ${reason}\n$`,
        ),
      );
    }
  }
});
