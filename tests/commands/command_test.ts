import { assertEquals, assertThrows } from "@std/assert";
import {
  EXIT,
  Output,
  parseOptions,
  TemporaryError,
  UsageError,
} from "../../lib/commands/command.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";

const KNOWN = { string: ["limit", "sort"], boolean: ["json", "dry-run"] };

Deno.test("command: options and operands", () => {
  const cases: [string[], Record<string, unknown>, string[]][] = [
    [[], {}, []],
    [["--json"], { json: true }, []],
    [["--dry-run", "a"], { "dry-run": true }, ["a"]],
    [["a", "--json", "b"], { json: true }, ["a", "b"]],
    [["--limit=5"], { limit: "5" }, []],
    [["--limit", "5"], { limit: "5" }, []],
    [["--limit", "5", "a", "--sort", "007"], { limit: "5", sort: "007" }, [
      "a",
    ]],
    [["--limit", "a=b", "--json", "c"], { limit: "a=b", json: true }, ["c"]],
    [["--json", "5"], { json: true }, ["5"]],
    [["--json", "true"], { json: true }, ["true"]],
    [["--dry-run", "false", "a"], { "dry-run": true }, ["false", "a"]],
    [["--limit=5", "--sort=last"], { limit: "5", sort: "last" }, []],
    // A value stays the text that it is.
    [["--limit=007"], { limit: "007" }, []],
    [["--limit=1e3"], { limit: "1e3" }, []],
    [["--limit=a=b"], { limit: "a=b" }, []],
    [["--limit=--json"], { limit: "--json" }, []],
    [["--limit=-1"], { limit: "-1" }, []],
    [["--limit=a b\nc"], { limit: "a b\nc" }, []],
    [["--limit=true"], { limit: "true" }, []],
    // So does an operand.
    [["007", "1e3", "0x10", "1.0"], {}, ["007", "1e3", "0x10", "1.0"]],
    [["192.0.2.1", "2001:db8::1", ""], {}, ["192.0.2.1", "2001:db8::1", ""]],
    [["-"], {}, ["-"]],
    [["-", "--json", "-"], { json: true }, ["-", "-"]],
    [["a=b", "__proto__"], {}, ["a=b", "__proto__"]],
    // Behind "--" everything is an operand.
    [["--"], {}, []],
    [["--", "--json", "-x"], {}, ["--json", "-x"]],
    [["--json", "--", "--json"], { json: true }, ["--json"]],
    [["a", "--", "b", "--", "--bad"], {}, ["a", "b", "--", "--bad"]],
    [["--", "--limit=1", "--limit=2"], {}, ["--limit=1", "--limit=2"]],
    [["--limit=1", "--", "007"], { limit: "1" }, ["007"]],
  ];
  for (const [args, options, operands] of cases) {
    const name = JSON.stringify(args);
    assertEquals(parseOptions(args, KNOWN), { options, operands }, name);
  }
});

Deno.test("command: the first operand can end the options", () => {
  const known = { ...KNOWN, stopEarly: true };
  const cases: [string[], Record<string, unknown>, string[]][] = [
    [["sh", "--bad", "-x"], {}, ["sh", "--bad", "-x"]],
    [["--limit", "5", "sh", "--limit=6"], { limit: "5" }, [
      "sh",
      "--limit=6",
    ]],
    [["--limit=5", "--", "--json"], { limit: "5" }, ["--json"]],
    [["--json", "sh", "--", "a"], { json: true }, ["sh", "--", "a"]],
    [["--json", "true", "--json"], { json: true }, ["true", "--json"]],
  ];
  for (const [args, options, operands] of cases) {
    const name = JSON.stringify(args);
    assertEquals(parseOptions(args, known), { options, operands }, name);
  }
  assertThrows(() => parseOptions(["--bad", "sh"], known), UsageError);
});

Deno.test("command: messages about a wrong command line", () => {
  const cases: [string[], string][] = [
    [["--bad"], "--bad: unknown option"],
    [["--bad=1"], "--bad: unknown option"],
    [["--JSON"], "--JSON: unknown option"],
    [["--js"], "--js: unknown option"],
    [["--no-json"], "--no-json: unknown option"],
    [["--no-limit"], "--no-limit: unknown option"],
    [["---json"], "---json: unknown option"],
    [["--=x"], "--: unknown option"],
    [["-j"], "-j: unknown option"],
    [["-json"], "-json: unknown option"],
    [["-xjson"], "-xjson: unknown option"],
    [["-5"], "-5: unknown option"],
    [["--__proto__=x"], "--__proto__: unknown option"],
    [["--toString"], "--toString: unknown option"],
    [["--_"], "--_: unknown option"],
    [["--_=x"], "--_: unknown option"],
    [["--limit.a=x"], "--limit.a: unknown option"],
    [["--limit"], "--limit: expected --limit=VALUE"],
    [["--limit", ""], "--limit: expected --limit=VALUE"],
    [["--limit", "-"], "--limit: expected --limit=VALUE"],
    [["--limit", "-5"], "--limit: expected --limit=VALUE"],
    [["--limit", "--"], "--limit: expected --limit=VALUE"],
    [["--limit", "--json"], "--limit: expected --limit=VALUE"],
    [["--limit", "5", "--limit=5"], "--limit: given twice"],
    [["--limit="], "--limit: expected --limit=VALUE"],
    [["--json=1"], "--json: takes no value"],
    [["--json=false"], "--json: takes no value"],
    [["--json="], "--json: takes no value"],
    [["--json", "--json"], "--json: given twice"],
    [["--limit=1", "a", "--limit=1"], "--limit: given twice"],
    // The first fault is the one that is named.
    [["--json", "--bad", "--json"], "--bad: unknown option"],
  ];
  for (const [args, expected] of cases) {
    const { message } = assertThrows(
      () => parseOptions(args, KNOWN),
      UsageError,
    );
    assertEquals(message, expected);
  }
  assertThrows(() => parseOptions(["--json"], {}), UsageError);
});

Deno.test("command: exit codes as in qmail", () => {
  assertEquals(EXIT, { done: 0, wrong: 100, temporary: 111 });
  assertEquals(new UsageError("x").name, "UsageError");
  assertEquals(new TemporaryError("x").name, "TemporaryError");
});

const PRELUDE = `import { Output, tell, TemporaryError } from ${
  JSON.stringify(moduleUrl("lib/commands/command.ts"))
};
const output = new Output();
`;

Deno.test("command: output is whole and in order", async () => {
  const lines = 20_000;
  const { code, stdout, stderr } = await evaluate(
    PRELUDE + `
    for (let i = 0; i < ${lines}; i++) output.line("línea " + i);
    output.line("");
    output.flush();
    output.flush();`,
  );
  const expected = Array.from({ length: lines }, (_, i) => `línea ${i}\n`);
  assertEquals(stdout, expected.join("") + "\n");
  assertEquals([code, stderr], [0, ""]);
});

Deno.test("command: nothing is written before it has to be", () => {
  const written: number[] = [];
  const { writeSync } = Deno.stdout;
  Deno.stdout.writeSync = (bytes) => {
    // A write may take less than it is given.
    const length = Math.min(bytes.length, 1000);
    written.push(length);
    return length;
  };
  try {
    const output = new Output();
    output.line("x".repeat(1000));
    assertEquals(written, []);
    output.flush();
    assertEquals(written, [1000, 1]);
    output.flush();
    assertEquals(written, [1000, 1]);
  } finally {
    Deno.stdout.writeSync = writeSync;
  }
});

Deno.test("command: a closed pipe is quiet, and the exit code is the end's", async () => {
  const { code, stdout, stderr } = await evaluate(
    PRELUDE + `
    for (let i = 0; i < 1_000_000; i++) output.line("line " + i);
    output.flush();
    if (!output.isClosed) console.error("is open");
    Deno.exit(111);`,
    'exec 3>&1; { "$@"; echo "exit $?" >&3; } | head -n 1',
  );
  assertEquals(stdout.split("\n").toSorted(), ["", "exit 111", "line 0"]);
  assertEquals([code, stderr], [0, ""]);
});

Deno.test("command: a full disk is temporary trouble", async () => {
  const { code, stderr } = await evaluate(
    PRELUDE + `
    output.line("x");
    try {
      output.flush();
    } catch (error) {
      console.error(error instanceof TemporaryError, error.message);
    }`,
    'exec "$@" >/dev/full',
  );
  assertEquals([code, stderr], [
    0,
    "true standard output: No space left on device\n",
  ]);
});

Deno.test("command: a line on standard error is one line", async () => {
  const { stderr } = await evaluate(
    PRELUDE + `tell("evil\\x1b[31m\\nfoo\\u2028 \\u202e\\x9b bär");`,
  );
  assertEquals(
    stderr,
    "evil\\u{1b}[31m\\u{a}foo\\u{2028} \\u{202e}\\u{9b} bär\n",
  );
});

Deno.test("command: a line that standard error does not take is dropped", async () => {
  const { code, stdout } = await evaluate(
    PRELUDE + `
    tell("lost");
    output.line("went on");
    output.flush();`,
    'exec "$@" 2>/dev/full',
  );
  assertEquals([code, stdout], [0, "went on\n"]);
});
