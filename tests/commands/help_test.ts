import { assert, assertEquals, assertMatch } from "@std/assert";
import { BASE, clean, compile } from "../harness/binary.ts";
import { makeEntry, snapshot } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";

const COMMANDS = ["info", "explain", "check", "prune", "report"];

e2e("help: a page for the program and one for each command", {}, async () => {
  const binary = await compile();
  const pages = [[], ...COMMANDS.map((name) => [name])];
  for (const args of pages) {
    const { code, stdout, stderr } = await run([binary, "help", ...args]);
    assertEquals([code, stderr], [0, ""]);
    const name = ["greylist", ...args].join(" ");
    assert(stdout.startsWith(`NAME\n  ${name} - `), stdout);
    const sections = stdout.match(/^[A-Z ]+$/gm)!;
    assertEquals(sections.slice(0, 3), ["NAME", "SYNOPSIS", "DESCRIPTION"]);
    assertMatch(stdout, new RegExp(`\nSYNOPSIS\n  ${name} `));
    for (const line of stdout.split("\n")) {
      assertMatch(line, /^([A-Z][A-Z ]*| {2}.*[^ ]|)$/);
      assert(line.length <= 80, line);
    }
    assert(stdout.endsWith("\n") && !stdout.endsWith("\n\n"));
  }
});

e2e("help: every option of the synopsis is described", {}, async () => {
  const binary = await compile();
  for (const name of COMMANDS) {
    const { stdout } = await run([binary, "help", name]);
    const [synopsis, rest] = stdout.split("\nDESCRIPTION\n");
    const options = rest.split("\nOPTIONS\n")[1] ?? "";
    const named = (text: string) =>
      [...new Set(text.match(/--[a-z-]+/g) ?? [])].sort();
    const described = options.match(/^ {2}--[a-z-]+/gm) ?? [];
    assertEquals(described.map((o) => o.trim()).sort(), named(synopsis), name);
  }
});

e2e("help: the page of the program names each command", {}, async () => {
  const binary = await compile();
  const { stdout } = await run([binary, "help"]);
  for (const name of [...COMMANDS, "help", "version"]) {
    assertMatch(stdout, new RegExp(`^  ${name} +\\S`, "m"));
  }
  const { stdout: same } = await run([binary, "--help"]);
  assertEquals(same, stdout);
});

e2e("version", {}, async () => {
  const binary = await compile();
  const { version } = JSON.parse(
    Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)),
  );
  for (const arg of ["version", "--version"]) {
    assertEquals(await run([binary, arg]), {
      code: 0,
      stdout: `greylist ${version}\n`,
      stderr: "",
    });
  }
});

e2e("bad input is one line, exit 100, and changes nothing", {}, async (t) => {
  clean();
  makeEntry("192.0.2.0_24", 0, 2 * 86400);
  const before = snapshot();
  const binary = await compile();
  const cases: [string, string][] = [
    ["info --bad", "--bad: "],
    ["info -j", "-j: "],
    ["info --json=yes", "--json: "],
    ["info --json --json", "--json: given twice"],
    ["info --json --csv", "--csv: "],
    ["info --limit=1 --limit=1", "--limit: given twice"],
    ["info --limit", "--limit: expected --limit=VALUE"],
    ["info --limit 5", "--limit: expected --limit=VALUE"],
    ["info --limit=", "--limit: expected --limit=VALUE"],
    ["info --limit=0", "--limit=0: "],
    ["info --limit=-1", "--limit=-1: "],
    ["info --limit=1e3", "--limit=1e3: "],
    ["info --limit=many", "--limit=many: "],
    ["info --state=gray", "--state=gray: "],
    ["info --state=Grey", "--state=Grey: "],
    ["info --sort=size", "--sort=size: "],
    ["info --sort", "--sort: "],
    ["info --network=192.0.2.1/24", "--network=192.0.2.1/24: "],
    ["info --network=192.0.2.0/33", "--network=192.0.2.0/33: "],
    ["info --network=192.0.2", "--network=192.0.2: "],
    ["info --network=example.org", "--network=example.org: "],
    ["info --network=2001:db8::/129", "--network=2001:db8::/129: "],
    [`info ${BASE}`, `${BASE}: `],
    ["info -- --json", "--json: "],
    ["explain", "expected one ADDRESS"],
    ["explain 192.0.2.1 192.0.2.2", "expected one ADDRESS"],
    ["explain 192.0.2.0/24", "192.0.2.0/24: "],
    ["explain 192.0.2.256", "192.0.2.256: "],
    ["explain 192.0.2.01", "192.0.2.01: "],
    ["explain fe80::1%eth0", "fe80::1%eth0: "],
    ["explain example.org", "example.org: "],
    ["explain 192.0.2.1 --port=0", "--port=0: "],
    ["explain 192.0.2.1 --port=65536", "--port=65536: "],
    ["explain 192.0.2.1 --port=0x19", "--port=0x19: "],
    ["explain 192.0.2.1 --port=2e1", "--port=2e1: "],
    ["explain 192.0.2.1 --port=smtp", "--port=smtp: "],
    ["explain 192.0.2.1 --port", "--port: "],
    ["explain 192.0.2.1 --host=.example.org", "--host=.example.org: "],
    ["explain 192.0.2.1 --host=a..b", "--host=a..b: "],
    ["explain 192.0.2.1 --host=a --host=a", "--host: given twice"],
    ["explain 192.0.2.1 --json", "--json: "],
    ["check --user", "--user: "],
    ["check --user=", "--user: "],
    ["check --user=no-such-user", "--user=no-such-user: "],
    ["check --user=root --user=root", "--user: given twice"],
    ["check --fix", "--fix: "],
    ["prune --dry-run=yes", "--dry-run: "],
    ["prune --dry-run --dry-run", "--dry-run: given twice"],
    ["prune --dry", "--dry: "],
    ["prune 192.0.2.0/24", "192.0.2.0/24: "],
    ["help nonsense", "nonsense: "],
    ["help info check", "info check: "],
    ["help --json", "--json: "],
    ["help constructor", "constructor: "],
    ["version now", "now: "],
  ];
  for (const [line, complaint] of cases) {
    await t.step(line, async () => {
      const [name, ...args] = line.split(" ");
      const { code, stdout, stderr } = await run([binary, name, ...args]);
      assertEquals([code, stdout], [100, ""]);
      assert(stderr.startsWith(`greylist ${name}: ${complaint}`), stderr);
      assertMatch(stderr, /^[ -~]+\n$/);
    });
  }
  assertEquals(snapshot(), before);
});

e2e("what is odd in an argument is no odder on the terminal", {}, async () => {
  clean();
  const binary = await compile();
  for (const odd of ["a\nb", "\x1b[2J", "a\rb", "\u009b31m"]) {
    for (
      const args of [
        ["info", odd],
        ["info", `--sort=${odd}`],
        ["info", `--${odd}`],
        ["explain", odd],
        ["prune", odd],
        ["help", odd],
        ["check", `--user=${odd}`],
      ]
    ) {
      const { code, stdout, stderr } = await run([binary, ...args]);
      assertEquals([code, stdout], [100, ""]);
      assertMatch(stderr, /^greylist [ -~]+\n$/);
    }
  }
});
