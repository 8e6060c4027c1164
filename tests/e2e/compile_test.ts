import { assert, assertEquals, assertMatch } from "@std/assert";
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
