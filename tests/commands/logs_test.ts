import { assertEquals } from "@std/assert";
import { readLogs } from "../../lib/commands/logs.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import "../harness/libc.ts";
import { temporary } from "../harness/temporary.ts";

/**
 * The lines of some logs in the order in which they are read. A line begins with its
 * time, or with `-` if it has none.
 */
async function read(logs: [name: string, lines: string[]][]) {
  using dir = temporary();
  const names = logs.map(([name, lines]) => {
    const path = `${dir.path}/${name}`;
    Deno.writeTextFileSync(path, lines.map((line) => `${line}\n`).join(""));
    return { path };
  });
  const order: string[] = [];
  await readLogs(names, {
    command: "report",
    reader: () => ({
      read: (line) => ({ line, time: line[0] === "-" ? undefined : +line[0] }),
    }),
    line: ({ line }) => order.push(line),
    long() {},
    damaged() {},
  });
  return order;
}

Deno.test("logs: lines in the order of their times, whatever the order of logs", async () => {
  const logs: [string, string[]][] = [
    ["w", ["- w"]],
    ["x", ["1 x", "5 x", "6 x", "9 x"]],
    ["y", ["2 y", "- y", "3 y", "8 y"]],
    ["z", ["4 z", "7 z"]],
  ];
  const [w, x, y, z] = logs;
  for (const logs of [[w, x, y, z], [z, y, x, w], [y, w, z, x]]) {
    assertEquals(await read(logs), [
      ...["1 x", "2 y", "- y", "3 y", "4 z", "5 x", "6 x", "7 z", "8 y", "9 x"],
      "- w",
    ]);
  }
});

Deno.test("logs: a line that is earlier than the one before stays behind it", async () => {
  const late = ["1 x", "6 x", "2 x", "7 x"];
  assertEquals(
    await read([["x", late], ["y", ["3 y", "8 y"]]]),
    ["1 x", "3 y", "6 x", "2 x", "7 x", "8 y"],
  );
});

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
