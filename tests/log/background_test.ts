import { assertEquals, assertMatch } from "@std/assert";
import {
  type BackgroundLog,
  isStderr,
  openBackgroundLog,
} from "../../lib/log/background.ts";
import "../harness/libc.ts";
import { waitFor } from "../harness/process.ts";
import { withDaemon } from "../harness/syslog_lines.ts";
import { descriptors, temporary } from "../harness/temporary.ts";

const LOST = 'what="lines were lost while the log did not take them"';

function open(target: string): Promise<BackgroundLog> {
  return openBackgroundLog({ target, level: "INFO", facility: "mail" });
}

Deno.test("background log: after a write that failed the file is opened again", async () => {
  using dir = temporary();
  const path = `${dir.path}/log`;
  Deno.symlinkSync("/dev/full", path);
  const log = await open(path);
  log.logger.info("first");
  await waitFor("the write to fail", () => log.busySince === Infinity);
  Deno.removeSync(path);
  log.logger.info("second");
  assertEquals(await log.close(), 0);
  const lines = Deno.readTextFileSync(path).trimEnd().split("\n");
  assertEquals(
    lines.map((line) => line.slice(25)),
    ["second", `warn log lost=1 ${LOST}`],
  );
});

Deno.test("background log: each line tries to open the file again", async () => {
  using dir = temporary();
  const path = `${dir.path}/log`;
  Deno.symlinkSync("/dev/full", path);
  const log = await open(path);
  const idle = () => waitFor("the try", () => log.busySince === Infinity);
  log.logger.info("first");
  await idle();
  Deno.removeSync(path);
  Deno.mkdirSync(path);
  for (const line of ["second", "third"]) {
    log.logger.info(line);
    await idle();
  }
  Deno.removeSync(path);
  log.logger.info("fourth");
  assertEquals(await log.close(), 0);
  const lines = Deno.readTextFileSync(path).trimEnd().split("\n");
  assertEquals(
    lines.map((line) => line.slice(25)),
    ["fourth", `warn log lost=3 ${LOST}`],
  );
  assertEquals(descriptors(RegExp(`^/dev/full$|^${dir.path}/`)), []);
});

Deno.test("background log: which one is standard error", () => {
  const targets = ["auto", "stderr", "syslog", "/var/log/greylist"];
  assertEquals(
    targets.map((target) => {
      return isStderr({ target, level: "INFO", facility: "mail" });
    }),
    [true, true, false, false],
  );
});

Deno.test("background log: lines that syslog does not take are reported", () =>
  withDaemon(async (daemon) => {
    const log = await open("syslog");
    assertEquals(log.busySince, Infinity);
    log.logger.info("first");
    daemon.room = 0;
    log.logger.info("second");
    log.logger.error("third");
    log.lose(5);
    assertEquals(await log.close(), 7);
    daemon.room = Infinity;
    log.logger.info("fourth");
    log.logger.info("fifth");
    assertEquals(daemon.lines, [
      "<22>first",
      "<22>fourth",
      `<20>warn log lost=7 ${LOST}`,
      "<22>fifth",
    ]);
    assertEquals(await log.close(), 0);
  }));

Deno.test("background log: a report that is lost is no further line", () =>
  withDaemon(async (daemon) => {
    const log = await open("syslog");
    log.lose(2);
    // The line itself is taken, the report behind it is not.
    daemon.room = 1;
    log.logger.info("first");
    assertEquals([daemon.lines, await log.close()], [["<22>first"], 2]);
  }));

Deno.test("background log: a file that cannot be opened is syslog, and why", () =>
  withDaemon(async (daemon) => {
    using dir = temporary();
    const log = await open(dir.path);
    log.logger.info("second");
    const [first, ...rest] = daemon.lines;
    assertMatch(first, /^<19>error what="log file \S+: [^"]+"$/);
    assertEquals(rest, ["<22>second"]);
    assertEquals(await log.close(), 0);
  }));
