import { assertEquals } from "@std/assert";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import { temporary } from "../harness/temporary.ts";

Deno.test("logs: a file that is rotated between the look and the reading", async () => {
  using dir = temporary();
  const path = `${dir.path}/current`;
  Deno.writeTextFileSync(path, "old\n");
  const { code, stdout, stderr } = await evaluate(`
    import { readLogs } from ${
    JSON.stringify(moduleUrl("lib/commands/logs.ts"))
  };
    const path = ${JSON.stringify(path)};
    await readLogs([{ path }], {
      command: "report",
      reader(_written, _host, isLook) {
        if (isLook) {
          Deno.renameSync(path, path + ".1");
          Deno.writeTextFileSync(path, "new\\n");
        }
        return { read: (line) => ({ line, time: undefined }) };
      },
      line: ({ line }) => console.log(line),
      long() {},
      damaged() {},
    });`);
  assertEquals([code, stdout, stderr], [
    0,
    "new\n",
    `greylist report: ${path}: another file has taken this name meanwhile: ` +
    "the one before is not read\n",
  ]);
});
