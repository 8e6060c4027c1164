// `deno task compile` of configurations that are wrong.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { compileTask, configModule } from "../harness/binary.ts";
import { LIBRARY, typed, untyped } from "../harness/config_module.ts";
import { e2e } from "../harness/need.ts";
import { emptyDir, ROOT, writeFile } from "../harness/root.ts";

/** A module, and parts of the line that refuses it: field, value, expectation. */
interface Refusal {
  readonly name: string;
  readonly source: string;
  readonly says: readonly (string | RegExp)[];
}

const REFUSALS: Refusal[] = [
  {
    name: "an unknown field",
    source: untyped("basedir: 1"),
    says: ["basedir", "1", "baseDir"],
  },
  {
    name: "an unknown field within another",
    source: untyped("timeouts: { dealy: '1m' }"),
    says: ["timeouts.dealy", '"1m"', "delay"],
  },
  {
    name: "a network of 33 bits",
    source: typed("whitelist: { networks: ['192.0.2.1', '10.0.0.1/33'] }"),
    says: ["whitelist.networks[1]", '"10.0.0.1/33"', "expected"],
  },
  {
    name: "a network with host bits",
    source: typed("whitelist: { networks: ['10.0.0.1/8'] }"),
    says: ["whitelist.networks[0]", '"10.0.0.1/8"', "no host bits"],
  },
  {
    name: "a relative base directory",
    source: untyped("").replace("/tmp/x", "var/greylist"),
    says: ["baseDir", '"var/greylist"', "an absolute path"],
  },
  {
    name: "no base directory",
    source: untyped("").replace('baseDir: "/tmp/x",', ""),
    says: ["baseDir", "not given", "an absolute path"],
  },
  {
    name: "a delay above the retry window",
    source: typed("timeouts: { delay: '2h', retryWindow: '1h' }"),
    says: ["timeouts.delay", "7200", "timeouts.retryWindow"],
  },
  {
    name: "a bad duration",
    source: untyped("timeouts: { delay: '1 minute' }"),
    says: ["timeouts.delay", '"1 minute"', '"5m"'],
  },
  {
    name: "a negative duration",
    source: typed("timeouts: { delay: -5 }"),
    says: ["timeouts.delay", "-5", "expected"],
  },
  {
    name: "a prefix length that is none",
    source: typed("match: { ipv4: 33 }"),
    says: ["match.ipv4", "33", "from 1 to 32"],
  },
  {
    name: "a port that is none",
    source: typed("whitelist: { localPorts: [25, 65536] }"),
    says: ["whitelist.localPorts[1]", "65536", "65535"],
  },
  {
    name: "a host that is none",
    source: typed("whitelist: { hosts: ['*.example.org'] }"),
    says: ["whitelist.hosts[0]", '"*.example.org"', '".example.org"'],
  },
  {
    name: "an environment variable that is none",
    source: typed("whitelist: { env: ['A=B'] }"),
    says: ["whitelist.env[0]", '"A=B"', "RELAYCLIENT"],
  },
  {
    name: "a whitelist file by a relative path",
    source: untyped("whitelist: { files: ['whitelist'] }"),
    says: ["whitelist.files[0]", '"whitelist"', "an absolute path"],
  },
  {
    name: "a word that is none of three",
    source: untyped("deferral: { at: 'data' }"),
    says: ["deferral.at", '"data"', '"rcpt", "banner", "rblsmtpd"'],
  },
  {
    name: "a message that is no function",
    source: untyped("deferral: { message: 'Go away' }"),
    says: ["deferral.message", '"Go away"', "a function"],
  },
  {
    name: "a section that is no object",
    source: untyped("timeouts: 5"),
    says: ["timeouts", "5", "an object"],
  },
  {
    name: "a limit of serve that is none",
    source: untyped("serve: { limit: 0 }"),
    says: ["serve.limit", "0", "a whole number from 1"],
  },
  {
    name: "a rule of serve without networks",
    source: untyped("serve: { rules: [{ deny: true }] }"),
    says: ["serve.rules[0].networks", "at least one network"],
  },
  {
    name: "no default export",
    source: "export const config = { baseDir: '/tmp/x' };\n",
    says: ["default", "defineConfig"],
  },
  {
    name: "an export that is no object",
    source: "export default 5;\n",
    says: ["default", "5", "defineConfig"],
  },
  {
    name: "a module that throws",
    source: `${LIBRARY}throw new Error("no such\\nluck");\n`,
    says: ["no such"],
  },
  {
    name: "a module with a syntax error",
    source: "export default defineConfig({ baseDir: ;\n",
    says: [/config\.ts/],
  },
  {
    name: "a misspelt field, as the type check sees it",
    source: typed("timeout: { delay: '1m' }"),
    says: ["timeout"],
  },
  {
    name: "a bad duration, as the type check sees it",
    source: typed("timeouts: { delay: '1 minute' }"),
    says: ["1 minute"],
  },
  {
    name: "a file that the program may not read",
    source: typed(
      "log: { target: `/tmp/${Deno.readTextFileSync('/etc/passwd').length}` }",
    ),
    says: ['"/etc/passwd"', "no files but its own"],
  },
  {
    name: "a file that node:fs reads",
    source: 'import { readFileSync } from "node:fs";\n' +
      typed("log: { target: `/tmp/${readFileSync('/etc/passwd').length}` }"),
    says: ['"/etc/passwd"', "no files but its own"],
  },
  {
    name: "a module of Node.js that it may not need",
    source: 'import { readFileSync } from "node:fs";\n' + typed(""),
    says: [
      /config\.ts: imports a module of Node\.js, /,
      "no files but its own",
    ],
  },
  {
    name: "a message that reads a file",
    source: typed(
      "deferral: { message: () => Deno.readTextFileSync('/etc/passwd') }",
    ),
    says: ["deferral.message", '\\"/etc/passwd\\"": expected', "but its own"],
  },
  {
    name: "types of a package",
    source: `import type {} from "npm:chalk";\n${typed("")}`,
    says: [/config\.ts: imports a package that the lock file does not know: /],
  },
  {
    name: "a module that prints",
    source: typed("").replace("\nexport", "\nconsole.log('x y');\nexport"),
    says: ['prints "x y"', "expected a module that prints nothing"],
  },
  {
    name: "a module that asks where it is",
    source: typed("log: { target: `${import.meta.dirname as '/'}/log` }"),
    says: [/config\.ts: uses import\.meta: /],
  },
  {
    name: "a package",
    source: `import "npm:chalk";\n${typed("")}`,
    says: [/config\.ts: imports a package that the lock file does not know: /],
  },
  {
    name: "a type error in code of the module's own",
    source: typed("").replace(
      "\nexport",
      "\nexport const n: number = 'x';\nexport",
    ),
    says: [/config\.ts:\d+:\d+/, "not assignable"],
  },
];

for (const { name, source, says } of REFUSALS) {
  e2e(`compile refuses ${name}`, {}, async () => {
    const dir = emptyDir("refused");
    const config = writeFile("refused/config.ts", source);
    const output = writeFile("refused/out/greylist", "the one before\n");
    const { code, stderr } = await compileTask(config, output);
    assertEquals(code, 100, stderr);
    // `deno task` says first what it runs.
    // deno-lint-ignore no-control-regex
    const plain = stderr.replace(/\x1b\[[0-9;]*m/g, "");
    const lines = plain.split("\n").filter((line) => !/^Task /.test(line));
    assertEquals(lines.length, 2, plain);
    for (const part of says) {
      if (typeof part === "string") assert(lines[0].includes(part), lines[0]);
      else assertMatch(lines[0], part);
    }
    assert(!/^\s+at |Error:.*Error:/.test(lines[0]), lines[0]);
    assertEquals(Deno.readTextFileSync(output), "the one before\n");
    assertEquals(
      [...Deno.readDirSync(`${dir}/out`)].map((entry) => entry.name),
      ["greylist"],
    );
  });
}

e2e("a refused configuration makes no output file", {}, async () => {
  emptyDir("refused");
  const config = writeFile("refused/config.ts", untyped("onError: 'maybe'"));
  const output = `${ROOT}/refused/sub/greylist`;
  const { code, stderr } = await compileTask(config, output);
  assertEquals(code, 100, stderr);
  assertEquals([...Deno.readDirSync(`${ROOT}/refused`)].map((e) => e.name), [
    "config.ts",
  ]);
});

for (
  const [name, config, output] of [
    ["a configuration that is missing", `${ROOT}/none.ts`, `${ROOT}/out`],
    ["a configuration that is a directory", ROOT, `${ROOT}/out`],
    ["an output that is a directory", undefined, ROOT],
  ] as const
) {
  e2e(`compile refuses ${name}`, {}, async () => {
    const file = config ?? writeFile("good.ts", configModule({}));
    const { code, stderr } = await compileTask(file, output);
    assertEquals(code, 100, stderr);
    const lines = stderr.trimEnd().split("\n");
    assert(lines.at(-1)!.includes(config ?? output), stderr);
    assert(!/\n\s+at /.test(stderr), stderr);
  });
}
