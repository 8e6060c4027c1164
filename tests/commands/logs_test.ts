import { assertEquals } from "@std/assert";
import { readLogs } from "../../lib/commands/logs.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import "../harness/libc.ts";
import { temporary } from "../harness/temporary.ts";

/** The time of a line, by its first character: a digit, or one of these. */
const TIMES: Readonly<Record<string, number | undefined>> = {
  "-": undefined,
  // A clock that was not set yet, and one that is days ahead.
  "<": 12,
  ">": Date.now() / 1000 + 2 * 86400,
};

/** The lines of some logs in the order in which they are read, and their times. */
async function readTimed(logs: [name: string, lines: string[]][]) {
  using dir = temporary();
  const names = logs.map(([name, lines]) => {
    const path = `${dir.path}/${name}`;
    Deno.writeTextFileSync(path, lines.map((line) => `${line}\n`).join(""));
    return { path };
  });
  const order: [line: string, time: number | undefined][] = [];
  await readLogs(names, {
    command: "report",
    reader: () => ({
      read: (line) => ({
        line,
        time: line[0] in TIMES ? TIMES[line[0]] : 1e9 + Number(line[0]),
      }),
    }),
    line: ({ line, time }) => order.push([line, time]),
    long() {},
    damaged() {},
  });
  return order;
}

async function read(logs: [name: string, lines: string[]][]) {
  return (await readTimed(logs)).map(([line]) => line);
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

Deno.test("logs: the time of a clock that was wrong is none", async () => {
  assertEquals(
    await readTimed([["x", ["< x", "1 x", "> x", "4 x"]], ["y", ["2 y"]]]),
    [
      ["< x", undefined],
      ["1 x", 1e9 + 1],
      ["> x", undefined],
      ["2 y", 1e9 + 2],
      ["4 x", 1e9 + 4],
    ],
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
