import { assertEquals } from "@std/assert";
import { E } from "../../lib/system/constants.ts";
import "../harness/libc.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import { run } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";

const FILE = JSON.stringify(moduleUrl("lib/system/file.ts"));
const MODULE = JSON.stringify(moduleUrl("lib/system/process.ts"));

Deno.test("process: exec is the same process with other code", async () => {
  const { code, stdout, stderr } = await evaluate(`
    import { exec } from ${MODULE};
    Deno.env.set("GREYLIST_TEST", "é ü");
    Deno.stdout.writeSync(new TextEncoder().encode(Deno.pid + "\\n"));
    exec([
      "sh",
      "-c",
      'echo $$; echo "$GREYLIST_TEST"; printf "[%s]" "$0" "$@"; echo; ' +
      "grep -E '^Sig(Ign|Blk)' /proc/self/status; exit 42",
      "zero", "", "a b", "é\\n", "-x", "*",
    ]);
  `);
  const [before, after, variable, args, more, ...signals] = stdout.split("\n");
  assertEquals([code, stderr], [42, ""]);
  assertEquals(before, after);
  assertEquals(variable, "é ü");
  assertEquals(args + more, "[zero][][a b][é][-x][*]");
  // What any program has that is started here.
  const usual = await run([
    "grep",
    "-E",
    "^Sig(Ign|Blk)",
    "/proc/self/status",
  ]);
  assertEquals(signals.map(signalSet), usual.stdout.split("\n").map(signalSet));
});

/** A line of /proc/self/status without the two signals that are glibc's own. */
function signalSet(line: string): string {
  const [name, bits = "0"] = line.split(/\s+/);
  return `${name} ${BigInt("0x" + bits) & ~(3n << 31n)}`;
}

Deno.test("process: exec leaves no descriptor of ours open", async () => {
  const { stdout } = await evaluate(`
    import { exec } from ${MODULE};
    import { openForWriting } from ${FILE};
    openForWriting("/dev/null", "existing");
    exec(["ls", "/proc/self/fd"]);
  `);
  const usual = await run(["ls", "/proc/self/fd"]);
  assertEquals(stdout, usual.stdout);
});

Deno.test("process: a program that cannot be started", async () => {
  using dir = temporary();
  Deno.writeTextFileSync(`${dir.path}/file`, "#!/bin/sh\n", { mode: 0o644 });
  const cases: [string, number, string][] = [
    ["/nonexistent/program", E.ENOENT, "exec: No such file or directory"],
    ["greylist-no-such-program", E.ENOENT, "exec: No such file or directory"],
    ["", E.ENOENT, "exec: No such file or directory"],
    [`${dir.path}/file`, E.EACCES, "exec: Permission denied"],
    [dir.path, E.EACCES, "exec: Permission denied"],
    [`${dir.path}/file/x`, E.ENOTDIR, "exec: Not a directory"],
  ];
  // In a process of its own, because exec changes the actions for signals.
  const { stdout, stderr } = await evaluate(`
    import { exec } from ${MODULE};
    const status = () =>
      /^SigIgn:\\s*(.*)$/m.exec(Deno.readTextFileSync("/proc/self/status"))[1];
    const SIGPIPE = 1n << 12n;
    for (const [program] of ${JSON.stringify(cases)}) {
      const { code, message } = exec([program, "argument"]);
      console.log(JSON.stringify([program, code, message]));
    }
    // The process goes on, and ignores SIGPIPE as before.
    console.log((BigInt("0x" + status()) & SIGPIPE) !== 0n);`);
  const lines = cases.map((line) => JSON.stringify(line));
  assertEquals([stdout, stderr], [[...lines, "true", ""].join("\n"), ""]);
});

Deno.test("process: variables beside those that are there", async () => {
  const { code, stdout, stderr } = await evaluate(`
    import { exec } from ${MODULE};
    Deno.env.set("GREYLIST_KEPT", "old");
    Deno.env.set("GREYLIST_SET", "old");
    const script = 'printf "%s|" "$GREYLIST_KEPT" "$GREYLIST_SET" "$GREYLIST_EMPTY" "\${GREYLIST_EMPTY+set}" "$1"; exit 9';
    const program = Object.freeze(["sh", "-c", script, "sh", "a  b"]);
    exec(program, { GREYLIST_SET: "ne w", GREYLIST_EMPTY: "" });`);
  assertEquals([code, stdout, stderr], [9, "old|ne w||set|a  b|", ""]);
});

Deno.test("process: the first on PATH, as execvp has it", async () => {
  const dir = Deno.makeTempDirSync({ prefix: "greylist-path-" });
  try {
    for (const name of ["one", "two"]) {
      Deno.mkdirSync(`${dir}/${name}`);
      const script = `#!/bin/sh\necho ${name}\n`;
      const path = `${dir}/${name}/greylist-test-program`;
      Deno.writeTextFileSync(path, script, { mode: 0o755 });
    }
    const first = (path: string) =>
      evaluate(`
        import { exec } from ${MODULE};
        Deno.env.set("PATH", ${JSON.stringify(path)} + ":/bin:/usr/bin");
        const { message } = exec(["greylist-test-program"]);
        console.log(message);`);
    const { stdout: two } = await first(`${dir}/none:${dir}/two:${dir}/one`);
    assertEquals(two, "two\n");
    // One that may not be run is passed over.
    Deno.chmodSync(`${dir}/two/greylist-test-program`, 0o644);
    const { stdout: one } = await first(`${dir}/two:${dir}/one`);
    assertEquals(one, "one\n");
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});
