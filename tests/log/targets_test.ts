import { assert, assertEquals, assertMatch } from "@std/assert";
import type { ResolvedConfig } from "../../lib/config.ts";
import { FACILITIES } from "../../lib/log/settings.ts";
import { openLog, syslogMessage } from "../../lib/log/targets.ts";
import "../harness/libc.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";

Deno.test("log: a syslog message is that of RFC 3164", () => {
  const at = (month: number, day: number, h: number, m: number, s: number) =>
    new Date(2026, month - 1, day, h, m, s, 987);
  const cases: [number, number, Date, number, string, string][] = [
    [
      FACILITIES.mail,
      6,
      at(11, 23, 19, 35, 46),
      4711,
      "defer ip=192.0.2.1",
      "<22>Nov 23 19:35:46 greylist[4711]: defer ip=192.0.2.1",
    ],
    // A day of one digit is padded with a blank, a time with a nought.
    [2, 3, at(1, 1, 0, 0, 0), 1, "x", "<19>Jan  1 00:00:00 greylist[1]: x"],
    [2, 4, at(2, 9, 9, 9, 9), 1, "x", "<20>Feb  9 09:09:09 greylist[1]: x"],
    [2, 7, at(3, 10, 23, 59, 59), 1, "x", "<23>Mar 10 23:59:59 greylist[1]: x"],
    // Section 4.1.1: no nought before the number, none but 0 itself.
    [0, 0, at(4, 4, 4, 4, 4), 1, "", "<0>Apr  4 04:04:04 greylist[1]: "],
    [1, 0, at(5, 5, 5, 5, 5), 1, "", "<8>May  5 05:05:05 greylist[1]: "],
    [4, 2, at(6, 6, 6, 6, 6), 1, "", "<34>Jun  6 06:06:06 greylist[1]: "],
    [20, 5, at(7, 7, 7, 7, 7), 1, "", "<165>Jul  7 07:07:07 greylist[1]: "],
    [23, 7, at(8, 31, 8, 8, 8), 1, "", "<191>Aug 31 08:08:08 greylist[1]: "],
    [10, 6, at(9, 30, 1, 1, 1), 1, "", "<86>Sep 30 01:01:01 greylist[1]: "],
    [16, 6, at(10, 1, 1, 1, 1), 1, "", "<134>Oct  1 01:01:01 greylist[1]: "],
    [3, 6, at(12, 25, 1, 1, 1), 1, "", "<30>Dec 25 01:01:01 greylist[1]: "],
  ];
  for (const [facility, severity, time, pid, text, expected] of cases) {
    assertEquals(syslogMessage(facility, severity, time, pid, text), expected);
  }
});

Deno.test("log: facilities are those of RFC 3164", () => {
  assertEquals(FACILITIES, {
    user: 1,
    mail: 2,
    daemon: 3,
    auth: 4,
    authpriv: 10,
    local0: 16,
    local1: 17,
    local2: 18,
    local3: 19,
    local4: 20,
    local5: 21,
    local6: 22,
    local7: 23,
  });
});

/** A directory that is gone when the test is over. */
function temporary(): Disposable & { path: string } {
  const path = Deno.makeTempDirSync({ prefix: "greylist-log-" });
  return {
    path,
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}

type LogConfig = ResolvedConfig["log"];

function config(target: string, level: LogConfig["level"] = "INFO"): LogConfig {
  return { target, level, facility: "mail" };
}

/** Code that has `openLog` and the other modules at hand. */
function prelude(target: string, level = "INFO", isClient = false): string {
  return `
    import { openLog } from ${url("lib/log/targets.ts")};
    import { reachesClient } from ${url("lib/log/client_socket.ts")};
    import { poll, POLLOUT } from ${url("lib/system/descriptor.ts")};
    import { ignoreFileSizeSignal } from ${url("lib/system/signals.ts")};
    const config = { target: ${JSON.stringify(target)},
      level: ${JSON.stringify(level)}, facility: "mail" };
    const log = openLog(config, ${isClient});
  `;
}

function url(path: string): string {
  return JSON.stringify(moduleUrl(path));
}

/** One line at each level. */
const EACH = `
  log.debug("one x=1");
  log.info("two x=2");
  log.warn("three x=3");
  log.error("four x=4");
  log.critical("five x=5");
`;
const LINES: Record<LogConfig["level"], string> = {
  DEBUG: "debug one x=1\n",
  INFO: "two x=2\n",
  WARN: "warn three x=3\n",
  ERROR: "error four x=4\n",
  CRITICAL: "critical five x=5\n",
};
const LEVELS = Object.keys(LINES) as LogConfig["level"][];

Deno.test("log: lines on stderr, at each level", async () => {
  const all = await Promise.all(LEVELS.map((level, i) => {
    const target = i % 2 === 0 ? "stderr" : "auto";
    return evaluate(prelude(target, level) + EACH + "Deno.exit(7)");
  }));
  for (const [i, { code, stdout, stderr }] of all.entries()) {
    const expected = LEVELS.slice(i).map((level) => LINES[level]).join("");
    assertEquals([code, stdout, stderr], [7, "", expected], LEVELS[i]);
  }
});

Deno.test("log: nothing on a stderr that is the client's", async () => {
  await Promise.all(["auto", "stderr", "syslog"].map(async (target) => {
    const outcome = await evaluate(
      prelude(target, "DEBUG", true) + EACH + "Deno.exit(7)",
    );
    assertEquals(outcome, { code: 7, stdout: "", stderr: "" }, target);
  }));
});

Deno.test("log: a file, with the time, at each level", () => {
  using dir = temporary();
  for (const [i, level] of LEVELS.entries()) {
    const path = `${dir.path}/${level}`;
    Deno.writeTextFileSync(path, "already here\n");
    const log = openLog(config(path, level), false);
    const before = new Date().toISOString();
    log.debug("one x=1");
    log.info("two x=2");
    log.warn("three x=3");
    log.error("four x=4");
    log.critical("five x=5");
    const after = new Date().toISOString();
    // The lines are written at once, not only at the end.
    const [first, ...lines] = Deno.readTextFileSync(path).split(/(?<=\n)/);
    assertEquals(first, "already here\n");
    assertEquals(lines.length, LEVELS.length - i);
    for (const [j, line] of lines.entries()) {
      assertMatch(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /);
      assert(line.slice(0, 24) >= before && line.slice(0, 24) <= after, line);
      assertEquals(line.slice(25), LINES[LEVELS[i + j]]);
    }
    for (const handler of log.handlers) handler.destroy();
  }
});

Deno.test("log: a new file is not readable by everybody", () => {
  using dir = temporary();
  const path = `${dir.path}/log`;
  const before = Deno.umask(0o022);
  try {
    for (const mode of [0o640, 0o644]) {
      const log = openLog(config(path), false);
      log.info("x");
      assertEquals(Deno.statSync(path).mode! & 0o777, mode);
      for (const handler of log.handlers) handler.destroy();
      // The mode that the administrator has set stays.
      Deno.chmodSync(path, 0o644);
    }
  } finally {
    Deno.umask(before);
  }
});

Deno.test("log: a file that cannot be opened throws nothing", () => {
  using dir = temporary();
  Deno.writeTextFileSync(`${dir.path}/file`, "");
  const targets = [
    "/nonexistent/greylist.log",
    dir.path,
    `${dir.path}/file/log`,
    `${dir.path}/${"x".repeat(300)}`,
    "/proc/version/x",
  ];
  for (const target of targets) {
    const log = openLog(config(target), false);
    log.info("x");
    log.error("x");
  }
});

Deno.test("log: a FIFO that nobody reads is no log file", async () => {
  using dir = temporary();
  const fifo = `${dir.path}/fifo`;
  const { code, stdout, stderr } = await evaluate(
    prelude(fifo) + EACH + 'console.log("alive"); Deno.exit(7)',
    `mkfifo ${fifo}; exec "$@"`,
  );
  assertEquals([code, stdout, stderr], [7, "alive\n", ""]);
});

Deno.test("log: a full disk throws nothing, not even at the end", async () => {
  const { code, stdout, stderr } = await evaluate(
    prelude("/dev/full") + `
    for (let i = 0; i < 10; i++) log.info("x".repeat(1000));
    Deno.exit(7);`,
  );
  assertEquals([code, stdout, stderr], [7, "", ""]);
});

Deno.test("log: a file size limit throws nothing, and ends nothing", async () => {
  using dir = temporary();
  const file = `${dir.path}/log`;
  const stderrFile = `${dir.path}/stderr`;
  for (const target of [file, "stderr"]) {
    const { code, stdout } = await evaluate(
      prelude(target) + `
      const libc = Deno.dlopen("libc.so.6", {
        // int setrlimit(int resource, const struct rlimit *rlim);
        setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
      });
      const RLIMIT_FSIZE = 1;
      const limit = (bytes) =>
        libc.symbols.setrlimit(
          RLIMIT_FSIZE,
          new Uint8Array(new BigUint64Array([bytes, 2n ** 64n - 1n]).buffer),
        );
      ignoreFileSizeSignal();
      limit(0n);
      log.info("x");
      log.info("x");
      limit(2n ** 64n - 1n);
      console.log("alive");
      Deno.exit(7);`,
      `exec "$@" 2>>${stderrFile}`,
    );
    assertEquals([code, stdout], [7, "alive\n"], target);
  }
  assertEquals(Deno.readTextFileSync(stderrFile), "");
});

Deno.test("log: a stderr that is closed throws nothing", async () => {
  const outcome = await evaluate(
    prelude("stderr") + EACH + "Deno.exit(7)",
    'exec "$@" 2>&-',
  );
  assertEquals(outcome, { code: 7, stdout: "", stderr: "" });
});

Deno.test("log: a stderr whose reader is gone throws nothing", async () => {
  const { code, stdout } = await evaluate(
    prelude("stderr") + `
    const line = "x".repeat(1000);
    for (let i = 0; i < 100; i++) log.info(line);
    console.log("alive");
    Deno.exit(7);`,
    'exec 3>&1; { "$@" 2>&1 >&3; echo "exit $?" >&3; } | true',
  );
  assertEquals([code, stdout], [0, "alive\nexit 7\n"]);
});

Deno.test("log: a stderr that nobody reads holds nothing up", async () => {
  using dir = temporary();
  const fifo = `${dir.path}/fifo`;
  const { code, stdout } = await evaluate(
    prelude("stderr") + `
    const kilobyte = new Uint8Array(1024);
    while (poll(2, POLLOUT, 0)) Deno.stderr.writeSync(kilobyte);
    log.info("x");
    log.warn("x");
    console.log("alive");
    Deno.exit(7);`,
    `mkfifo ${fifo}; exec "$@" 2<>${fifo}`,
  );
  assertEquals([code, stdout], [7, "alive\n"]);
});

Deno.test("log: a line at a time goes into a pipe whole", async () => {
  // The longest line that greylist makes: a quoted text and every client value.
  const line = "é".repeat(2000) + "\n";
  let lines = 0;
  // Lines are dropped if this process does not read for a second.
  for (let tries = 0; tries < 3 && lines !== 50; tries++) {
    const { stderr } = await evaluate(
      prelude("stderr") + `
      const line = "é".repeat(2000);
      for (let i = 0; i < 50; i++) log.info(line);`,
    );
    lines = stderr.length / line.length;
    assertEquals(stderr, line.repeat(lines));
  }
  assertEquals(lines, 50);
});
