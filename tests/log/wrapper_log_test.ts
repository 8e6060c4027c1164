import { assert, assertEquals, assertMatch } from "@std/assert";
import { LEVELS } from "../../lib/log/settings.ts";
import { openWrapperLog } from "../../lib/log/wrapper_log.ts";
import { MOST_WAITING } from "../../lib/system/hang_count.ts";
import { Semaphores } from "../../lib/system/semaphore.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import "../harness/libc.ts";
import { run } from "../harness/process.ts";
import { withDaemon } from "../harness/syslog_lines.ts";
import { descriptors, temporary } from "../harness/temporary.ts";

/** Much longer than a disk takes, in milliseconds. */
const LIMIT = 60_000;

function open(target: string, level: typeof LEVELS[number] = "INFO") {
  const settings = { target, level, facility: "mail" } as const;
  return openWrapperLog(settings, false, { left: LIMIT });
}

/** A test; the thread that keeps the time may end a part of the limit later. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: false });
}

/** Code that has a log. */
function prelude(target: string): string {
  const module = (path: string) => JSON.stringify(moduleUrl(path));
  return `
    import { openWrapperLog } from ${module("lib/log/wrapper_log.ts")};
    import { ignoreFileSizeSignal } from ${module("lib/system/signals.ts")};
    const { logger, flush } = openWrapperLog(
      { target: ${JSON.stringify(target)}, level: "INFO", facility: "mail" },
      false,
      { left: ${LIMIT} },
    );
  `;
}

test("log file: the time and the line, at each level", async () => {
  using dir = temporary();
  for (const [i, level] of LEVELS.entries()) {
    const path = `${dir.path}/${level}`;
    Deno.writeTextFileSync(path, "already here\n");
    const { logger, flush } = open(path, level);
    const before = new Date().toISOString();
    logger.debug("one x=1");
    logger.info("two x=2");
    logger.warn("three x=3");
    const after = new Date().toISOString();
    assertEquals(await flush(), false);
    logger.error("four x=4");
    logger.critical("five x=5");
    assertEquals(await flush(), false);
    const [first, ...lines] = Deno.readTextFileSync(path).split(/(?<=\n)/);
    assertEquals(first, "already here\n");
    assertEquals(
      lines.map((line) => line.slice(25)),
      [
        "debug one x=1\n",
        "two x=2\n",
        "warn three x=3\n",
        "error four x=4\n",
        "critical five x=5\n",
      ].slice(i),
    );
    for (const line of lines) {
      assertMatch(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /);
      if (/one|two|three/.test(line)) {
        assert(line.slice(0, 24) >= before && line.slice(0, 24) <= after, line);
      }
    }
  }
});

test("log file: not touched without a line", async () => {
  using dir = temporary();
  const { logger, flush } = open(`${dir.path}/log`);
  logger.debug("x");
  assertEquals(await flush(), false);
  assertEquals([...Deno.readDirSync(dir.path)], []);
});

test("log file: a new one is not readable by everybody", async () => {
  using dir = temporary();
  const path = `${dir.path}/log`;
  const before = Deno.umask(0o022);
  try {
    for (const mode of [0o640, 0o644]) {
      const { logger, flush } = open(path);
      logger.info("x");
      await flush();
      assertEquals(Deno.statSync(path).mode! & 0o777, mode);
      // The mode that the administrator has set stays.
      Deno.chmodSync(path, 0o644);
    }
  } finally {
    Deno.umask(before);
  }
});

test("log file: one that cannot be opened rejects nothing", async () => {
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
    const { logger, flush } = open(target);
    logger.info("x");
    logger.error("x");
    assertEquals(await flush(), false, target);
  }
});

test("log file: lines that it does not take are in syslog, and why", () =>
  withDaemon(async (daemon) => {
    using dir = temporary();
    const fifo = `${dir.path}/fifo`;
    await run(["mkfifo", fifo]);
    for (
      const [target, why] of [
        ["/dev/full", "a write has failed"],
        [fifo, "a FIFO: expected a regular file"],
        [dir.path, '[^"]+'],
      ]
    ) {
      const { logger, flush } = open(target);
      logger.info("one");
      logger.warn("two");
      assertEquals(daemon.lines, [], target);
      assertEquals(await flush(), false);
      const [error, ...lines] = daemon.lines.splice(0);
      assertMatch(error, RegExp(`^<19>error what="log file \\S+: ${why}"$`));
      assertEquals(lines, ["<22>one", "<20>warn two"]);
      // Once is enough.
      assertEquals(await flush(), false);
      assertEquals(daemon.lines, []);
    }
    const { logger, flush } = open(`${dir.path}/log`);
    logger.info("one");
    assertEquals([await flush(), daemon.lines], [false, []]);
    assertEquals(descriptors(RegExp(`^/dev/full$|^${dir.path}/`)), []);
  }));

test("log file: a FIFO that nobody reads is none", async () => {
  using dir = temporary();
  const fifo = `${dir.path}/fifo`;
  const { code, stdout, stderr } = await evaluate(
    prelude(fifo) + `
    logger.info("x");
    console.log(await flush());
    Deno.exit(7);`,
    `mkfifo ${fifo}; exec "$@"`,
  );
  assertEquals([code, stdout, stderr], [7, "false\n", ""]);
});

test("log file: a full disk rejects nothing, not even at the end", async () => {
  const { code, stdout, stderr } = await evaluate(
    prelude("/dev/full") + `
    for (let i = 0; i < 10; i++) logger.info("x".repeat(1000));
    console.log(await flush());
    Deno.exit(7);`,
  );
  assertEquals([code, stdout, stderr], [7, "false\n", ""]);
});

test("log file: a file size limit rejects nothing, ends nothing", async () => {
  using dir = temporary();
  const path = `${dir.path}/log`;
  const { code, stdout, stderr } = await evaluate(
    prelude(path) + `
    const libc = Deno.dlopen("libc.so.6", {
      // int setrlimit(int resource, const struct rlimit *rlim);
      setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
    });
    const RLIMIT_FSIZE = 1;
    const limit = new BigUint64Array([1000n, 2n ** 64n - 1n]);
    ignoreFileSizeSignal();
    libc.symbols.setrlimit(RLIMIT_FSIZE, new Uint8Array(limit.buffer));
    for (let i = 0; i < 2; i++) {
      logger.info("x".repeat(1500));
      console.log(await flush());
    }
    Deno.exit(7);`,
  );
  assertEquals([code, stdout, stderr], [7, "false\nfalse\n", ""]);
  assertEquals(Deno.statSync(path).size, 1000);
});

test("log file: one that answers again is nobody's wait any more", async () => {
  using dir = temporary();
  for (const path of [`${dir.path}/log`, dir.path]) {
    const set = Semaphores.findOrMake(path, 2)!;
    set.set(0, MOST_WAITING);
    set.set(1, 0);
    const { logger, flush } = open(path);
    logger.info("x");
    assertEquals(await flush(), false);
    // The answer of a directory is an error.
    assertEquals([set.value(0), set.value(1)], [0, 0], path);
  }
  assertMatch(Deno.readTextFileSync(`${dir.path}/log`), /Z x\n$/);
});
