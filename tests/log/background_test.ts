import { assertEquals } from "@std/assert";
import { openBackgroundLog } from "../../lib/log/background.ts";
import "../harness/libc.ts";
import { waitFor } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";

Deno.test("background log: after a write that failed the file is opened again", async () => {
  using dir = temporary();
  const path = `${dir.path}/log`;
  Deno.symlinkSync("/dev/full", path);
  const log = await openBackgroundLog({
    target: path,
    level: "INFO",
    facility: "mail",
  });
  log.logger.info("first");
  await waitFor("the write to fail", () => log.busySince === Infinity);
  Deno.removeSync(path);
  log.logger.info("second");
  assertEquals(await log.close(), 0);
  const lines = Deno.readTextFileSync(path).trimEnd().split("\n");
  const lost = 'what="lines were lost while the log did not take them"';
  assertEquals(
    lines.map((line) => line.slice(25)),
    ["second", `warn log lost=1 ${lost}`],
  );
});
