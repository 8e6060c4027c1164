import { assertEquals } from "@std/assert";
import { resolveConfig } from "../../lib/config/resolve.ts";
import type { Logger } from "../../lib/log/targets.ts";
import { BaseDirectory } from "../../lib/serve/base_directory.ts";
import "../harness/libc.ts";
import { waitFor } from "../harness/process.ts";

Deno.test({
  name: "base directory: its mode is seen, whatever Deno allows to read",
  permissions: { ffi: true },
  async fn() {
    const config = resolveConfig({ baseDir: "/tmp" });
    const lines: string[] = [];
    const error = (line: string) => void lines.push(line);
    const log = { error } as unknown as Logger;
    const directory = new BaseDirectory(config, false, () => log, () => {});
    directory.expire(performance.now());
    await waitFor("the look", () => directory.isIdle);
    const what = "baseDir /tmp: anybody can write there: expected mode 0700";
    assertEquals(lines, [`baseDir what="${what}"`]);
  },
});
