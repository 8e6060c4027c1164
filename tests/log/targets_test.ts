import { assertEquals } from "@std/assert";
import type { ResolvedConfig } from "../../lib/config.ts";
import { FACILITIES } from "../../lib/log/settings.ts";
import { openLog, syslogMessage } from "../../lib/log/targets.ts";
import "../harness/libc.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import { withDaemon } from "../harness/syslog_lines.ts";

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

Deno.test("log: lines in syslog, at each level", () =>
  withDaemon((daemon) => {
    for (const [i, level] of LEVELS.entries()) {
      const target = i % 2 === 0 ? "syslog" : "auto";
      const log = openLog({ target, level, facility: "local7" }, true);
      log.debug("x=1");
      log.info("x=2");
      log.warn("x=3");
      log.error("x=4");
      log.critical("x=5");
      const expected = [
        "<191>debug x=1",
        "<190>x=2",
        "<188>warn x=3",
        "<187>error x=4",
        "<186>critical x=5",
      ];
      assertEquals(daemon.lines.splice(0), expected.slice(i), level);
    }
    // Syslog, whatever stderr is.
    const settings = {
      target: "syslog",
      level: "INFO",
      facility: "mail",
    } as const;
    openLog(settings, false).info("x");
    assertEquals(daemon.lines, ["<22>x"]);
  }));

Deno.test("log: a syslog that takes no line throws nothing", () =>
  withDaemon((daemon) => {
    const settings = {
      target: "syslog",
      level: "INFO",
      facility: "mail",
    } as const;
    const log = openLog(settings, true);
    daemon.room = 0;
    log.info("x");
    log.critical("x");
    assertEquals(daemon.lines, []);
  }));

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
    // Longer than the rest of the last page.
    log.info("x".repeat(4000));
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
