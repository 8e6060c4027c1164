// The file of `greylist report --html`.

import { assertEquals, assertMatch } from "@std/assert";
import { PAGE_START } from "../../lib/report/html.ts";
import { compile } from "../harness/binary.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import {
  FIRST,
  gzip,
  json,
  report,
  SECOND,
} from "../harness/report_command.ts";
import { emptyDir, ROOT, writeFile } from "../harness/root.ts";

/** An old page. */
const OLD = `${PAGE_START}old`;

Deno.test("report --html: a page, replaced as a whole", async () => {
  const log = writeFile("log/good", FIRST + SECOND);
  const directory = emptyDir("html");
  const page = `${directory}/page.html`;
  for (let i = 0; i < 2; i++) {
    const { code, stdout, stderr } = await report([`--html=${page}`, log]);
    assertEquals([code, stdout, stderr], [0, "", ""]);
    assertMatch(Deno.readTextFileSync(page), /^<!DOCTYPE html>[^]*<\/html>\n$/);
    Deno.writeTextFileSync(page, OLD);
  }
  const onStdout = await report(["--html=-", log]);
  assertMatch(onStdout.stdout, /^<!DOCTYPE html>[^]*<\/html>\n$/);
  const both = await json([`--html=${page}`, log]);
  assertEquals(both.connections, 2);
  const relative = await report(["--html=here.html", log], { cwd: directory });
  assertEquals(relative.code, 0);
  assertEquals(
    [...Deno.readDirSync(directory)].map(({ name }) => name).sort(),
    [
      "here.html",
      "page.html",
    ],
  );
});

Deno.test("report --html: a file that is no page stays", async () => {
  const directory = emptyDir("html");
  const log = writeFile("html/a.log", FIRST);
  const other = writeFile("html/b.log", SECOND);
  const packed = writeFile("html/c.log", await gzip(FIRST));
  const short = writeFile("html/d.log", "<!");
  const refusal = (path: string) =>
    `greylist report: ${path}: is no page of greylist report: expected another ` +
    "file: not replaced\n";
  const state = (path: string) => [
    Deno.readFileSync(path),
    Deno.statSync(path).ino,
  ];
  for (const path of [log, packed, short]) {
    const before = state(path);
    // As a shell expands `--html *.log`. The other log is not read either.
    for (const logs of [[other], [`${ROOT}/none`], ["-"]]) {
      const { code, stdout, stderr } = await report(["--html", path, ...logs]);
      assertEquals([code, stdout, stderr], [100, "", refusal(path)]);
      assertEquals(state(path), before);
    }
  }
  const empty = writeFile("html/page.html", "");
  const made = await report([`--html=${empty}`, log]);
  assertEquals([made.code, made.stderr], [0, ""]);
  assertMatch(Deno.readTextFileSync(empty), /^<!DOCTYPE html>/);
  assertEquals([...Deno.readDirSync(directory)].length, 5);
});

e2e("report --html: mode and owner of the page stay", {
  root: true,
  programs: ["setpriv"],
}, async () => {
  const log = writeFile("log/good", FIRST);
  const directory = emptyDir("html");
  Deno.chmodSync(directory, 0o777);
  const page = writeFile("html/page.html", OLD, 0o600);
  Deno.chownSync(page, 65534, 12345);
  const state = () => {
    const { mode, uid, gid } = Deno.statSync(page);
    return [mode! & 0o7777, uid, gid];
  };
  for (const mode of [0o600, 0o664]) {
    Deno.chmodSync(page, mode);
    const { code, stderr } = await report([`--html=${page}`, log]);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(Deno.readTextFileSync(page), /^<!DOCTYPE html>/);
    assertEquals(state(), [mode, 65534, 12345]);
  }
  // Nobody but root can give a file away, to a user or to a group.
  Deno.writeTextFileSync(page, OLD);
  for (const uid of [65500, 65534]) {
    const user = [`--reuid=${uid}`, "--regid=65500", "--clear-groups"];
    const command = [await compile(), "report", `--html=${page}`, log];
    const { code, stderr } = await run(["setpriv", ...user, ...command]);
    assertEquals(
      stderr,
      `greylist report: ${page}: belongs to uid 65534 and gid 12345, which ` +
        "only root can keep: not replaced\n",
    );
    assertEquals([code, state()], [100, [0o664, 65534, 12345]]);
    assertEquals(Deno.readTextFileSync(page), OLD);
  }
  assertEquals([...Deno.readDirSync(directory)].length, 1);
});

Deno.test("report --html: what is no log leaves the old page", async () => {
  const page = writeFile("html/page.html", OLD);
  const services = writeFile("log/services", "ssh 22/tcp\nsmtp 25/tcp mail\n");
  const foreign = writeFile("log/mail.log", "Nov 23 19:00:00 mx sshd[1]: hi\n");
  const empty = writeFile("log/empty", "");
  const cut = writeFile("log/cut", (await gzip(FIRST)).subarray(0, 10));
  const cases: [string[], string][] = [
    [[], "standard input: no line"],
    [["-"], "standard input: no line"],
    [["-", empty], "2 logs: no line"],
    [[services], `${services}: no line of greylist in 2 lines`],
    [["--json", services, foreign], "2 logs: no line of greylist in 3 lines"],
    [[foreign, "--since=1d"], `${foreign}: no line of greylist in 1 line`],
    [[cut], `${cut}: no line`],
  ];
  // With log.target "auto" or "stderr" there is no LOGFILE by default.
  const binary = await compile({ log: { target: "stderr" } });
  const html = [binary, "report", `--html=${page}`];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await run([...html, ...args]);
    assertEquals(
      stderr.split("\n").at(-2),
      `greylist report: ${message}: expected a log of greylist: ${page} is not ` +
        "written",
    );
    assertEquals([code, stdout], [100, ""]);
    assertEquals(Deno.readTextFileSync(page), OLD);
  }
  // The log of a quiet night, and one with entries of other nights only.
  const log = writeFile("log/good", FIRST);
  for (const args of [[empty], [empty, "--since=1d"], [log, "--since=1d"]]) {
    Deno.writeTextFileSync(page, OLD);
    const { code, stderr } = await run([...html, ...args]);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(Deno.readTextFileSync(page), /The log holds no connection\./);
  }
});

e2e("report --html: a full disk leaves the old page", {
  mounts: true,
  programs: ["mount", "unshare"],
}, async () => {
  const log = writeFile("log/good", FIRST);
  const directory = emptyDir("full");
  const page = `${directory}/page.html`;
  const script = `mount -t tmpfs -o size=8k tmpfs "$0" && cd "$0" || exit 1
printf '${OLD}' >page.html
"$@"
code=$?
ls -A
cat page.html
exit $code`;
  const { code, stdout, stderr } = await run([
    "unshare",
    "--mount",
    "sh",
    "-c",
    script,
    directory,
    await compile(),
    "report",
    `--html=${page}`,
    log,
  ]);
  assertEquals(stderr, `greylist report: ${page}: No space left on device\n`);
  assertEquals([code, stdout], [111, `page.html\n${OLD}`]);
});
