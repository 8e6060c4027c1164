import { assert, assertEquals, assertThrows } from "@std/assert";
import { type ExitStatus, takeExitStatus } from "../../lib/system/child.ts";
import { E } from "../../lib/system/constants.ts";
import { close } from "../../lib/system/descriptor.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { ChildProgram } from "../../lib/system/spawn.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import { waitFor } from "../harness/process.ts";
import { ROOT, writeFile } from "../harness/root.ts";
import { pair } from "../harness/pair.ts";

/** How a program has ended. */
async function end(pid: number): Promise<ExitStatus> {
  const ended = await waitFor("the end", () => takeExitStatus(pid));
  // The status is given once.
  assertEquals(takeExitStatus(pid), undefined);
  return ended;
}

/** Starts a program on a connection; gives all that it wrote, and its end. */
async function start(
  program: readonly string[],
  variables: Record<string, string | undefined> = {},
  input = "",
) {
  using connection = await pair();
  const spawner = new ChildProgram(program);
  const pid = spawner.spawn(connection.fd, variables);
  close(connection.fd);
  await connection.client.write(new TextEncoder().encode(input));
  await connection.client.closeWrite();
  const text = await connection.rest();
  const ended = await end(pid);
  assertEquals(ended.pid, pid);
  return { text, ended };
}

Deno.test("spawn: the connection is standard input and output", async () => {
  const { text, ended } = await start(["cat"], {}, "a\0b\xff\n");
  assertEquals(
    Uint8Array.from(text, (c) => c.charCodeAt(0)),
    new TextEncoder().encode("a\0b\xff\n"),
  );
  assertEquals(ended.code, 0);
  assertEquals(ended.signal, undefined);
});

Deno.test("spawn: arguments as they are", async () => {
  const args = ["", " a  b ", "ü", "$HOME", "'\"\\", "-n", "x".repeat(5000)];
  const { text } = await start(["printf", "<%s>", ...args]);
  const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
  assertEquals(
    new TextDecoder().decode(bytes),
    args.map((arg) => `<${arg}>`).join(""),
  );
});

/** The environment of a program that is started with these variables. */
async function environment(variables: Record<string, string | undefined>) {
  const program = ["/bin/sh", "-c", "exec cat /proc/self/environ"];
  const { text } = await start(program, variables);
  return text.split("\0").slice(0, -1)
    .filter((line) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(line));
}

Deno.test("spawn: this process's environment, with the given variables", async () => {
  const before = await environment({});
  assert(before.some((line) => line.startsWith("PATH=")));
  const own = before.filter((line) => !line.startsWith("HOME="));
  const after = await environment({
    HOME: undefined,
    NOT_THERE: undefined,
    A_NEW_ONE: "a=b c",
    AN_EMPTY_ONE: "",
    PATH: Deno.env.get("PATH"),
  });
  assertEquals(
    after.toSorted(),
    [...own, "A_NEW_ONE=a=b c", "AN_EMPTY_ONE="].toSorted(),
  );
  // A given variable is there once, with the given value.
  const lines = await environment({ HOME: "/nowhere" });
  assertEquals(
    lines.filter((line) => line.startsWith("HOME=")),
    ["HOME=/nowhere"],
  );
});

Deno.test("spawn: the exit status", async () => {
  for (
    const [script, how] of [
      ["exit 0", { code: 0 }],
      ["exit 7", { code: 7 }],
      ["exit 255", { code: 255 }],
      ["kill -KILL $$", { signal: 9 }],
      ["kill -TERM $$", { signal: 15 }],
    ] as const
  ) {
    const { ended } = await start(["/bin/sh", "-c", script]);
    const { pid: _, ...rest } = ended;
    assertEquals(rest, how, script);
  }
  assertEquals(takeExitStatus(-1), undefined);
});

Deno.test("spawn: programs that cannot be started", async () => {
  using connection = await pair();
  const plain = writeFile("spawn/plain", "#!/bin/sh\n", 0o644);
  for (
    const [program, code] of [
      [`${ROOT}/spawn/none`, E.ENOENT],
      ["no-such-program-on-path", E.ENOENT],
      [plain, E.EACCES],
      [`${ROOT}/spawn`, E.EACCES],
    ] as const
  ) {
    const spawner = new ChildProgram([program]);
    const error = assertThrows(
      () => spawner.spawn(connection.fd, {}),
      LibcError,
      "start: ",
    );
    assertEquals(error.code, code, program);
    // No process is left behind.
    assertEquals(takeExitStatus(-1), undefined);
  }
  close(connection.fd);
});

Deno.test("spawn: a program that has moved", async () => {
  using connection = await pair();
  const found = writeFile("spawn/echo", "#!/bin/sh\n", 0o755);
  const spawner = new ChildProgram(["echo", "found"]);
  spawner.found = found;
  Deno.removeSync(found);
  const pid = spawner.spawn(connection.fd, {});
  close(connection.fd);
  assertEquals(await connection.rest(), "found\n");
  assertEquals(await end(pid), { pid, code: 0 });
  // With a slash in its name it is nowhere else.
  const gone = new ChildProgram([found]);
  gone.found = found;
  const error = assertThrows(() => gone.spawn(1, {}), LibcError);
  assertEquals(error.code, E.ENOENT);
});

Deno.test("spawn: in another thread, several at once", async () => {
  const pairs = await Promise.all(Array.from({ length: 20 }, pair));
  const spawner = new ChildProgram([
    "/bin/sh",
    "-c",
    "echo $NUMBER; exit 3",
  ]);
  const results: (number | LibcError)[] = [];
  for (const [i, { fd }] of pairs.entries()) {
    spawner.spawnBeside(fd, { NUMBER: `${i}` }, (result) => {
      close(fd);
      results[i] = result;
    });
  }
  assertEquals(spawner.starting, 20);
  assertEquals(results, []);
  await waitFor("all of them", () => {
    // Without a look at promises, as `serve` has it while much is to be done.
    spawner.settle();
    return spawner.starting === 0;
  });
  for (const [i, connection] of pairs.entries()) {
    assertEquals(await connection.rest(), `${i}\n`);
    const pid = results[i] as number;
    assertEquals(await end(pid), { pid, code: 3 });
    connection[Symbol.dispose]();
  }
});

Deno.test("spawn: in another thread, reported by the promise", async () => {
  using connection = await pair();
  const spawner = new ChildProgram(["true"]);
  const pid = await new Promise<number | LibcError>((done) =>
    spawner.spawnBeside(connection.fd, {}, done)
  ) as number;
  assertEquals(spawner.starting, 0);
  close(connection.fd);
  assertEquals(await connection.rest(), "");
  assertEquals(await end(pid), { pid, code: 0 });
});

Deno.test("spawn: in another thread, missing and moved programs", async () => {
  using connection = await pair();
  const { fd } = connection;
  const plain = writeFile("spawn/plain", "#!/bin/sh\n", 0o644);
  const found = `${ROOT}/spawn/none`;
  const start = (program: string[], found?: string) =>
    new Promise<number | LibcError>((done) => {
      const spawner = new ChildProgram(program);
      spawner.found = found;
      spawner.spawnBeside(fd, {}, done);
    });
  for (
    const [result, code] of [
      [await start([found], found), E.ENOENT],
      [await start([plain]), E.EACCES],
    ] as const
  ) {
    assert(result instanceof LibcError, `${result}`);
    assertEquals([result.code, result.message.split(":")[0]], [code, "start"]);
  }
  const pid = await start(["true"], found);
  close(fd);
  await end(pid as number);
  assertEquals(takeExitStatus(-1), undefined);
});

Deno.test("spawn: in another thread, several at once find out that it has moved", async () => {
  using connection = await pair();
  const spawner = new ChildProgram(["true"]);
  spawner.found = `${ROOT}/spawn/none`;
  const pids = await Promise.all(Array.from(
    { length: 5 },
    () =>
      new Promise<number | LibcError>((done) =>
        spawner.spawnBeside(connection.fd, {}, done)
      ),
  ));
  close(connection.fd);
  for (const pid of pids) {
    assertEquals(typeof pid, "number", `${pid}`);
    await end(pid as number);
  }
});

/**
 * What a program finds that is started by a process of its own.
 *
 * @param before TypeScript in front of the start
 * @param script what the program does, for sh(1)
 * @param shell how that process is started
 */
async function find(before: string, script: string, shell?: string) {
  const path = `${ROOT}/spawn-found`;
  writeFile("spawn-found", "");
  const url = (name: string) => JSON.stringify(moduleUrl(name));
  const code = `
    import { openForWriting } from ${url("lib/system/file.ts")};
    import { ignoreFileSizeSignal } from ${url("lib/system/signals.ts")};
    import { becomeUser } from ${url("lib/system/user.ts")};
    import * as limits from ${url("lib/system/resource_limit.ts")};
    import { takeExitStatus } from ${url("lib/system/child.ts")};
    import { ChildProgram } from ${url("lib/system/spawn.ts")};
    ${before}
    const program = ["/bin/sh", "-c", ${JSON.stringify(script)}];
    const fd = openForWriting(${JSON.stringify(path)}, "existing");
    const pid = new ChildProgram(program)
      .spawn(fd, { GIVEN: "1", GONE: undefined });
    while (takeExitStatus(pid) === undefined) {
      await new Promise((done) => setTimeout(done, 10));
    }`;
  const { code: exit, stderr } = await evaluate(code, shell);
  assertEquals([exit, stderr], [0, ""]);
  return new TextDecoder("latin1").decode(Deno.readFileSync(path));
}

Deno.test("spawn: variables that are no UTF-8 reach it as they are", async () => {
  const shell = `BYTES=$(printf '\\377=\\n\\300x') GONE=1
    export BYTES GONE
    exec "$@"`;
  const text = await find("", "exec cat /proc/self/environ", shell);
  const lines = text.split("\0");
  assert(lines.includes("BYTES=\xff=\n\xc0x"), text);
  assert(lines.includes("GIVEN=1"), text);
  assertEquals(lines.some((line) => line.startsWith("GONE=")), false);
});

/** The signals in one line of /proc/PID/status, without those of the C library. */
function signals(status: string, line: string): number[] {
  const mask = BigInt(
    `0x${new RegExp(`^${line}:\\s*(\\S+)`, "m").exec(status)![1]}`,
  );
  return Array.from({ length: 31 }, (_, i) => i + 1)
    .filter((signal) => mask >> BigInt(signal - 1) & 1n);
}

Deno.test("spawn: signals are what a program expects", async () => {
  const SIGPIPE = 13;
  const SIGXFSZ = 25;
  // One that no version of the runtime has a use for.
  const SIGURG = 23;
  const SIGTERM = 15;
  const before = `
    ignoreFileSizeSignal();
    Deno.addSignalListener("SIGTERM", () => {});`;
  const script = "cat /proc/$PPID/status; echo ---; cat /proc/self/status";
  for (
    const [shell, kept] of [
      ["", []],
      ["env --ignore-signal=URG ", [SIGURG]],
      ["env --ignore-signal=XFSZ ", [SIGXFSZ]],
      // The kernel would not tell how a program has ended.
      ["env --ignore-signal=CHLD ", []],
    ] as const
  ) {
    // nohup(1), for example, has the tests begin with SIGHUP ignored.
    const start = `exec env --default-signal ${shell}"$@"`;
    const text = await find(before, script, start);
    const [own, program] = text.split("---");
    const ignored = signals(own, "SigIgn");
    assertEquals(ignored, [...new Set([SIGPIPE, ...kept, SIGXFSZ])]);
    assert(signals(own, "SigCgt").includes(SIGTERM), own);
    // What was ignored before this process began stays so.
    assertEquals(signals(program, "SigIgn"), [...kept]);
    assertEquals(signals(program, "SigCgt"), []);
    assertEquals(signals(program, "SigBlk"), []);
  }
});

Deno.test("spawn: a handler for SIGCHLD stays", async () => {
  const SIGCHLD = 17;
  const before = `Deno.addSignalListener("SIGCHLD", () => {});`;
  const text = await find(before, "cat /proc/$PPID/status");
  assert(signals(text, "SigCgt").includes(SIGCHLD), text);
});

Deno.test("spawn: the program gets no other descriptor of this process", async () => {
  // Files and sockets of this process that the program is not to have.
  const before = `
    const kept = [
      Deno.openSync("/etc/passwd"),
      Deno.listen({ hostname: "127.0.0.1", port: 0 }),
    ];
    globalThis.kept = kept;`;
  // What this process was started with itself may be there as well.
  const text = await find(before, "readlink /proc/$$/fd/*");
  const links = text.trim().split("\n");
  const file = `${ROOT}/spawn-found`;
  assertEquals(links.filter((link) => link === file).length, 2, text);
  assertEquals(
    links.filter((link) => /passwd|^socket:|^anon_inode:/.test(link)),
    [],
  );
});

Deno.test("spawn: the limit of descriptors", async () => {
  const before = `
    const { soft, hard } = limits.descriptorLimit();
    if (soft > hard || hard !== 200n) throw new Error(soft + " " + hard);
    limits.setDescriptorLimit({ soft: 150n, hard });`;
  const script = "ulimit -Sn; ulimit -Hn";
  const shell = 'ulimit -Sn 100; ulimit -Hn 200; exec "$@"';
  assertEquals(await find(before, script, shell), "150\n200\n");
});
