import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { needsOf } from "../../lib/build/binary.ts";
import {
  clean,
  compile,
  compileTask,
  configModule,
  logLines,
  PATIENCE,
} from "../harness/binary.ts";
import { e2e } from "../harness/need.ts";
import { run, waitFor } from "../harness/process.ts";
import { emptyDir, ROOT, writeFile } from "../harness/root.ts";

/** A module, and parts of the line that refuses it: field, value, expectation. */
interface Refusal {
  readonly name: string;
  readonly source: string;
  readonly says: readonly (string | RegExp)[];
}

const LIBRARY = /^import .*;\n/.exec(configModule({}))![0];

/** A module whose fields no type check sees. */
function untyped(fields: string): string {
  return `${LIBRARY}
const fields: any = { baseDir: "/tmp/x", ${fields} };
export default defineConfig(fields);
`;
}

/** A module as an administrator writes it. */
function typed(fields: string): string {
  return `${LIBRARY}
export default defineConfig({ baseDir: "/tmp/x", ${fields} });
`;
}

Deno.test("compile --help: its options, and nothing is built", async () => {
  const task = fromFileUrl(import.meta.resolve("../../lib/build/task.ts"));
  const args = ["run", "-A", "--no-lock", task, "compile", "--help"];
  const { code, stdout } = await run([Deno.execPath(), ...args]);
  assertEquals(code, 0);
  assertMatch(stdout, /^NAME\n {2}deno task compile - /);
  assertMatch(stdout, /\n {2}--output=FILE /);
});

Deno.test("only a binary with the section serve has V8's compilers", () => {
  const lite = (config: Parameters<typeof needsOf>[0]) =>
    needsOf(config).v8Flags.split(",").includes("--lite-mode");
  assert(lite({ baseDir: "/tmp/x" }));
  assert(!lite({ baseDir: "/tmp/x", serve: {} }));
});

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

e2e("compile: an output that cannot be is found first", {
  programs: ["mkfifo"],
}, async () => {
  emptyDir("place");
  const config = writeFile("place/config.ts", configModule({}));
  const fifo = `${ROOT}/place/fifo`;
  assertEquals((await run(["mkfifo", fifo])).code, 0);
  Deno.symlinkSync(config, `${ROOT}/place/link`);
  const module = "the configuration module: expected another file";
  for (
    const [output, what] of [
      [fifo, "not a regular file"],
      ["/dev/null", "not a regular file"],
      [config, module],
      [`${ROOT}/place/link`, module],
      [`${config}/greylist`, "Not a directory"],
      ["/proc/none/greylist", "No such file or directory"],
    ]
  ) {
    // A build would need it.
    const before = ["/usr/bin/env", "DENORT_BIN=/nonexistent"];
    const { code, stderr } = await compileTask(config, output, before);
    assertEquals(code, 100, stderr);
    const line = `greylist compile: --output: ${output}: ${what}\n`;
    assert(stderr.endsWith(`\n${line}`), stderr);
  }
  const left = [...Deno.readDirSync(`${ROOT}/place`)].map(({ name }) => name);
  assertEquals(left.sort(), ["config.ts", "fifo", "link"]);
});

e2e("tasks refuse a TMPDIR in which no program starts", {}, async () => {
  const config = writeFile("good.ts", configModule({}));
  for (const path of ["", "tmp", "/tmp/../tmp"]) {
    const before = ["/usr/bin/env", `TMPDIR=${path}`];
    const { code, stderr } = await compileTask(config, `${ROOT}/out`, before);
    assertEquals(code, 100, stderr);
    const line = `greylist compile: TMPDIR: "${path}": ` +
      'expected an absolute path without ".."\n';
    assert(stderr.endsWith(`\n${line}`), stderr);
  }
});

e2e("compile that is interrupted leaves nothing behind", {}, async () => {
  const config = writeFile("good.ts", configModule({}));
  const directory = emptyDir("interrupted");
  const tmp = emptyDir("interrupted-tmp");
  const output = writeFile("interrupted/greylist", "the one before\n");
  for (const [signal, code] of [["SIGTERM", 143], ["SIGHUP", 129]] as const) {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-lock"],
        fromFileUrl(import.meta.resolve("../../lib/build/task.ts")),
        ...["compile", `--config=${config}`, `--output=${output}`],
      ],
      env: { TMPDIR: tmp },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const names = () =>
      [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
    await waitFor(
      "a directory beside the output",
      () => names().some((name) => name.startsWith(".greylist-")),
      PATIENCE,
    );
    child.kill(signal);
    assertEquals((await child.status).code, code);
    assertEquals([...Deno.readDirSync(tmp)], []);
    assertEquals(names(), ["greylist"]);
    assertEquals(Deno.readTextFileSync(output), "the one before\n");
  }
});

e2e("compile prints the permissions that are compiled in", {}, async () => {
  const config = writeFile(
    "good.ts",
    configModule({
      baseDir: "/srv/grey",
      whitelist: { files: ["/srv/white"], env: ["TRUSTED"] },
      log: { target: "/srv/log" },
    }),
  );
  const output = `${ROOT}/good/greylist`;
  const { code, stdout, stderr } = await compileTask(config, output);
  assertEquals(code, 0, stderr);
  for (const path of ["/srv/grey", "/srv/white", "/srv/log"]) {
    assert(stdout.includes(path), stdout);
  }
  assertMatch(stdout, /TRUSTED/);
  assertMatch(stdout, /no net, no run, no sys/);
  assertEquals(Deno.statSync(output).mode! & 0o111, 0o111);
  // A runtime out of an npm package is what the output ends with.
  const { stdout: version } = await run([output, "version"]);
  const [, runtime, sha256] =
    /^runtime from (npm:\S+), sha256 (\w+)$/m.exec(version) ?? [];
  const last = stdout.trimEnd().split("\n").at(-1)!;
  if (runtime === undefined) assertMatch(last, /^output /);
  else {
    const [, directory] = /, remove (\S+) and /.exec(last) ?? [];
    assert(Deno.statSync(`${directory}/package.json`).isFile, last);
    assertEquals(
      last,
      `runtime ${runtime}, not from Deno; sha256 ${sha256}; for Deno's own, ` +
        `remove ${directory} and compile where Deno's download host answers, ` +
        "or name its denort in DENORT_BIN",
    );
  }
});

e2e(
  "compile: 111 if its output cannot be written, and the old binary stays",
  {},
  async () => {
    emptyDir("unwritten");
    const config = writeFile("good.ts", configModule({}));
    const output = writeFile("unwritten/greylist", "the one before\n");
    const before = ["sh", "-c", 'exec "$@" >/dev/full', "sh"];
    const { code, stderr } = await compileTask(config, output, before);
    assertEquals(code, 111, stderr);
    assertMatch(stderr, /^greylist compile: standard output: No space left/m);
    const same = Deno.readTextFileSync(output) === "the one before\n";
    // The difference to a binary is not shown: it is long.
    assert(same, "the old binary was replaced");
    const left = [...Deno.readDirSync(`${ROOT}/unwritten`)];
    assertEquals(left.map(({ name }) => name), ["greylist"]);
  },
);

e2e("compile: 111 on a full disk, and the old binary stays", {
  mounts: true,
  programs: ["mount", "unshare"],
}, async () => {
  const config = writeFile("good.ts", configModule({}));
  const directory = emptyDir("full");
  const script = `mount -t tmpfs -o size=1m tmpfs "$0" && cd "$0" || exit 1
printf old >greylist
(cd "$OLDPWD" && "$@") >&2
code=$?
ls -A
cat greylist
exit $code`;
  const before = ["unshare", "--mount", "sh", "-c", script, directory];
  const outcome = await compileTask(config, `${directory}/greylist`, before);
  const { code, stdout, stderr } = outcome;
  assertEquals([code, stdout], [111, "greylist\nold"], stderr);
  assertMatch(stderr, /^greylist compile: [^]*No space left on device/m);
});

e2e("GREYLIST_STD=jsr: no binary without JSR", {}, async () => {
  emptyDir("jsr");
  const config = writeFile("jsr/config.ts", configModule({}));
  const output = writeFile("jsr/greylist", "the one before\n");
  // Nothing listens there.
  const nowhere = ["JSR_URL=http://127.0.0.1:1/", `DENO_DIR=${ROOT}/jsr/cache`];
  const before = ["/usr/bin/env", "GREYLIST_STD=jsr", ...nowhere];
  const { code, stderr } = await compileTask(config, output, before);
  assertEquals(code, 111, stderr);
  assertMatch(
    stderr,
    /\ngreylist compile: JSR does not answer, and GREYLIST_STD=jsr forbids npm in its place\n$/,
  );
  assertEquals(Deno.readTextFileSync(output), "the one before\n");
});

/** Compiles with a DENORT_BIN that is refused for what it is. */
async function refuseDenort(file: string, what: string): Promise<void> {
  const config = writeFile("denort/config.ts", configModule({}));
  const output = `${ROOT}/denort/greylist`;
  const before = ["/usr/bin/env", `DENORT_BIN=${file}`];
  const { code, stderr } = await compileTask(config, output, before);
  assertEquals(code, 100, stderr);
  const line = `greylist compile: DENORT_BIN: ${file} is ${what}: ` +
    `expected the denort of Deno ${Deno.version.deno}\n`;
  assert(stderr.endsWith(`\n${line}`), stderr);
  assertEquals(stderr.split("greylist compile: ").length, 2, stderr);
  assertThrows(() => Deno.statSync(output), Deno.errors.NotFound);
}

e2e("DENORT_BIN has to name the denort of this Deno", {}, async () => {
  emptyDir("denort");
  const unusable = "no denort that this Deno can use";
  await refuseDenort("/nonexistent/denort", "no file");
  await refuseDenort("/bin/true", unusable);
  // No ELF file: Deno 2.9 makes no program of it.
  await refuseDenort(writeFile("denort/text", "no program\n"), unusable);
});

e2e("DENORT_BIN has to be of the same version", {
  programs: ["gcc"],
}, async () => {
  emptyDir("denort");
  const source = writeFile(
    "denort/other.c",
    '#include <stdio.h>\nint main(void) { return puts("2.3.7") < 0; }\n',
  );
  const other = `${ROOT}/denort/other`;
  assertEquals((await run(["gcc", "-o", other, source])).code, 0);
  await refuseDenort(other, "of Deno 2.3.7");
});

e2e("compile: a Deno that was not tried is one line, no more", {}, async () => {
  const copy = emptyDir("untried");
  const files = ["deno.json", "deno.lock", "main.ts", "lib"].map((name) =>
    fromFileUrl(import.meta.resolve(`../../${name}`))
  );
  assertEquals((await run(["cp", "-R", ...files, copy])).code, 0);
  const denort = `${copy}/lib/build/denort.ts`;
  const right = Deno.readTextFileSync(denort);
  const changed = right.replace(
    /(const TRIED[A-Z_]*: [^=]+=) \[.*\]/g,
    '$1 ["1.9"]',
  );
  assert(right !== changed, "the lines with the versions have changed");
  Deno.writeTextFileSync(denort, changed);
  const config = writeFile("untried/config.ts", untyped("onError: 'maybe'"));
  const args = ["task", "compile", `--config=${config}`];
  const { code, stderr } = await run([Deno.execPath(), ...args], {
    cwd: copy,
    patience: PATIENCE,
  });
  assertEquals(code, 100, stderr);
  const [warning, refusal] = stderr.trimEnd().split("\n").slice(-2);
  assertEquals(
    warning,
    `greylist compile: Deno ${Deno.version.deno} was not tried: programs were ` +
      "tried with Deno 1.9",
  );
  assert(refusal.startsWith(`${config}: onError: `), refusal);
});

e2e("a link and the running binary can be replaced", {}, async () => {
  clean();
  const config = writeFile("good.ts", configModule({}));
  const output = `${ROOT}/replaced/greylist`;
  emptyDir("replaced");
  const old = writeFile("replaced/greylist-1", "old\n");
  Deno.symlinkSync("greylist-1", output);
  // The reader of the output is gone before the end.
  const unread = ["sh", "-c", '{ "$@"; echo $? >&2; } | true', "sh"];
  const first = await compileTask(config, output, unread);
  assertMatch(first.stderr, /\n0\n$/);
  assert(Deno.lstatSync(output).isFile);
  assertEquals(Deno.readTextFileSync(old), "old\n");
  const running = new Deno.Command(output, {
    args: ["true"],
    env: { TCPREMOTEIP: "192.0.2.1" },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = running.stdout.getReader();
  await reader.read(); // Its banner: it is running.
  const second = await compileTask(config, output);
  assertEquals(second.code, 0, second.stderr);
  await running.stdin.close();
  while (!(await reader.read()).done);
  assertEquals((await running.status).code, 0);
});

e2e("a binary leaves nothing in the temporary directory", {}, async () => {
  clean();
  const binary = await compile();
  const tmp = emptyDir("tmp");
  const { code } = await run([binary, "true"], {
    env: { TCPREMOTEIP: "192.0.2.1", TMPDIR: tmp },
  });
  assertEquals(code, 0);
  assertEquals([...Deno.readDirSync(tmp)], []);
});

// What the pages tcpserver, supervise, security and trouble say.
e2e("a binary does not start under a TMPDIR that is no path", {}, async () => {
  clean();
  const binary = await compile();
  for (const path of ["", "tmp", "/tmp/../tmp"]) {
    const env = { TCPREMOTEIP: "192.0.2.1", TMPDIR: path };
    const { code, stdout } = await run([binary, "true"], { env });
    assert(code !== 0 && stdout === "", `${path}: ${code} ${stdout}`);
  }
});

e2e("a configuration that needs to be a module stays one", {}, async () => {
  clean();
  const binary = await compile(
    {},
    `import { EOL } from "node:os";
    const { stack } = new Error(EOL);
    if (Deno.build.standalone && !stack!.includes("/greylist.config.js")) {
      throw new Error("no module");
    }`,
  );
  const env = { TCPREMOTEIP: "192.0.2.1" };
  const { code, stdout } = await run([binary, "true"], { env });
  assertEquals([code, stdout], [0, "220 mx.example ESMTP\r\n"]);
  assertMatch(logLines().join("\n"), /^\S+ defer ip=192\.0\.2\.1 .*$/);
});
