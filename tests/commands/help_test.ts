import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { clean, compile, entries } from "../harness/binary.ts";
import { makeEntry, snapshot } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { type Outcome, run } from "../harness/process.ts";
import { BASE, emptyDir } from "../harness/root.ts";

const COMMANDS = [
  "info",
  "explain",
  "check",
  "prune",
  "import",
  "learn",
  "report",
  "serve",
];
const MANUAL = new URL("../../lib/manual/", import.meta.url);
const TOPICS = Array.from(Deno.readDirSync(MANUAL), ({ name }) => name)
  .filter((name) => name.endsWith(".md"))
  .map((name) => name.replace(".md", "")).sort();

const pages = new Map<string, Promise<Outcome>>();

/** The usage of a command, or of the program if the name is empty. */
function page(name: string): Promise<Outcome> {
  let outcome = pages.get(name);
  if (outcome === undefined) {
    const args = name === "" ? ["help"] : [name, "--help"];
    outcome = compile().then((binary) => run([binary, ...args]));
    pages.set(name, outcome);
  }
  return outcome;
}

e2e("help: usage of the program and of each command", {}, async () => {
  for (const command of ["", ...COMMANDS]) {
    const { code, stdout, stderr } = await page(command);
    assertEquals([code, stderr], [0, ""]);
    const name = `greylist ${command}`.trim();
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
  for (const name of COMMANDS) {
    const { stdout } = await page(name);
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
  const { stdout } = await page("");
  for (const name of [...COMMANDS, "help", "version"]) {
    assertMatch(stdout, new RegExp(`^  ${name} +\\S`, "m"));
  }
  for (
    const args of [
      ["--help"],
      ["help", "--help"],
      ["help", "version"],
      ["version", "--help"],
      ["version", "help"],
    ]
  ) {
    const { code, stdout: same } = await run([binary, ...args]);
    assertEquals([code, same], [0, stdout]);
  }
});

e2e("help TOPIC: the page, wherever the program is", {}, async () => {
  const binary = await compile();
  assert(TOPICS.includes("serve") && !TOPICS.includes("info"), `${TOPICS}`);
  for (const topic of TOPICS) {
    // Permissions are those of the binary: it cannot read the source tree.
    const { code, stdout, stderr } = await run([binary, "help", topic], {
      cwd: "/",
      env: {},
    });
    assertEquals([code, stderr], [0, ""]);
    assertEquals(stdout, Deno.readTextFileSync(new URL(`${topic}.md`, MANUAL)));
  }
});

e2e("help TOPIC: no file is opened on the disk", {
  programs: ["strace"],
}, async () => {
  const binary = await compile();
  const trace = `${emptyDir("trace")}/trace`;
  const { code } = await run([
    ...["strace", "-f", "-e", "trace=%file", "-o", trace],
    ...[binary, "help", "serve"],
  ]);
  assertEquals(code, 0);
  const text = Deno.readTextFileSync(trace);
  assertStringIncludes(text, "execve(");
  assert(!text.includes("serve.md"), text);
});

e2e("help NAME: the usage of a command without a page", {}, async () => {
  const binary = await compile();
  for (const name of COMMANDS.filter((name) => !TOPICS.includes(name))) {
    const { stdout } = await run([binary, "help", name]);
    assertEquals(stdout, (await page(name)).stdout);
  }
});

e2e(
  "help: an unknown topic is one line that names the topics",
  {},
  async () => {
    const binary = await compile();
    const names = [...new Set([...TOPICS, ...COMMANDS])].sort().join(", ");
    for (const name of ["nonsense", "../manual/serve", "serve.md", "README"]) {
      assertEquals(await run([binary, "help", name]), {
        code: 100,
        stdout: "",
        stderr: `greylist help: ${name}: expected one of ${names}\n`,
      });
    }
  },
);

e2e(
  "help: the topics, each with the first sentence of its page",
  {},
  async () => {
    const { stdout } = await page("");
    const [, list] = /\nTOPICS\n([^]*?)\n\n/.exec(stdout)!;
    const listed = list.split("\n").map((line) => {
      const [, topic, sentence] = /^ {2}(\S+) +(\S.*)$/.exec(line)!;
      return `# ${topic}\n\n${sentence}.`;
    });
    const begins = TOPICS.map((topic) => {
      const text = Deno.readTextFileSync(new URL(`${topic}.md`, MANUAL));
      return `# ${topic}\n\n${text.split("\n\n")[1]}`;
    });
    assertEquals(listed, begins);
  },
);

e2e(
  "help: every command has its usage behind --help and help",
  {},
  async () => {
    const binary = await compile();
    for (const name of COMMANDS) {
      const { stdout: usage } = await page(name);
      assert(usage.startsWith(`NAME\n  greylist ${name} - `), usage);
      for (const args of [["help"], ["--help", "operand"]]) {
        assertEquals(
          await run([binary, name, ...args]),
          { code: 0, stdout: usage, stderr: "" },
          `${name} ${args.join(" ")}`,
        );
      }
    }
    const { stdout } = await run([binary, "info", "--sort", "last", "--help"]);
    assert(stdout.startsWith("NAME\n  greylist info - "), stdout);
    // What stands behind PROGRAM is PROGRAM's.
    for (const args of [["sh", "--help"], ["--", "--help"]]) {
      const { stdout } = await run([binary, "check", ...args]);
      assertMatch(stdout, /^(ok {3}|FIX {2})/);
    }
  },
);

e2e("a word that is no command, typed on a terminal", {
  programs: ["script"],
}, async () => {
  clean();
  const binary = await compile();
  /** What a terminal shows, without the carriage returns of its line ends. */
  const type = async (command: string) => {
    const { code, stdout } = await run(
      ["script", "-qec", `exec ${binary} ${command}`, "/dev/null"],
    );
    return { code, shown: stdout.replaceAll("\r", "") };
  };
  for (const word of ["chek", "-h", "--user=qmaild", "/no/such/program"]) {
    assertEquals(await type(word), {
      code: 100,
      shown: `greylist ${word}: no such command: see "greylist help"\n`,
    });
  }
  assertEquals(entries(), {});
  // A program is one: this is how the wrapper is tried by hand.
  assertEquals(await type("echo it ran"), { code: 0, shown: "it ran\n" });
});

e2e("version", {}, async () => {
  const binary = await compile();
  const { version } = JSON.parse(
    Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)),
  );
  for (const arg of ["version", "--version"]) {
    const { code, stdout, stderr } = await run([binary, arg]);
    assertEquals([code, stderr], [0, ""]);
    const lines = stdout.split("\n");
    const { deno, v8 } = Deno.version;
    assertEquals(lines[0], `greylist ${version}`);
    assertEquals(lines[1], `deno ${deno}, v8 ${v8}`);
    assertMatch(lines[2], /^@std from (npm|JSR)$/);
    assertMatch(
      lines[3],
      /^runtime from (npm:\S+@\S+, sha256 [0-9a-f]{64}|Deno's download host|\/\S+)$/,
    );
    assertEquals(lines.slice(4), [""]);
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
    ["info --limit -5", "--limit: expected --limit=VALUE"],
    ["info --limit --json", "--limit: expected --limit=VALUE"],
    ["info --limit 0", "--limit=0: "],
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
