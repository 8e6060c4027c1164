import { assertEquals } from "@std/assert";
import { readReason, readTypeError } from "../../lib/build/deno_message.ts";

const CHECK = `Check file:///g/my.config.ts
TS2322 [ERROR]: Type 'string' is not assignable to type 'number'.
const n: number = "x";
      ~
    at file:///g/my.config.ts:2:7

TS2304 [ERROR]: Cannot find name 'other'.
other;
~~~~~
    at file:///g/my.config.ts:9:1

Found 2 errors.
`;

Deno.test("readTypeError: the first error and its place", () => {
  assertEquals(readTypeError(CHECK), {
    module: "file:///g/my.config.ts",
    line: 2,
    column: 7,
    message: "Type 'string' is not assignable to type 'number'.",
  });
});

Deno.test("readTypeError: other trouble is no type error", () => {
  assertEquals(readTypeError("error: Module not found"), undefined);
  assertEquals(readTypeError(""), undefined);
});

Deno.test("readTypeError: reads what deno check really says", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const file = `${directory}/wrong.ts`;
    await Deno.writeTextFile(file, '\nexport const n: number = "x";\n');
    const { stderr, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--no-config", "--no-lock", file],
      env: { NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    const fault = readTypeError(
      decoder.decode(stdout) + decoder.decode(stderr),
    );
    assertEquals(fault?.line, 2);
    assertEquals(fault?.column, 14);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("readReason: the error and its innermost cause, in one line", () => {
  assertEquals(
    readReason(
      "Download denort.zip\nerror: Writing executable to 'g.tmp'\n\nCaused by:\n" +
        "    0: Setting up base binary.\n    1: error sending request for url\n",
    ),
    "Writing executable to 'g.tmp': error sending request for url",
  );
  // A single cause has no number.
  assertEquals(
    readReason("error: Writing g.tmp\n\nCaused by:\n    No space left\n"),
    "Writing g.tmp: No space left",
  );
  assertEquals(
    readReason("error: no such file\n    at g.ts:1:8"),
    "no such file",
  );
  assertEquals(readReason("Download x\n"), undefined);
});
