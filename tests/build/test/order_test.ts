import { assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { HelpRequest, UsageError } from "../../../lib/commands/command.ts";
import { parseOrder, Turn, turnOf } from "../../../lib/build/test/order.ts";
import { emptyDir, writeFile } from "../../harness/root.ts";

Deno.test("deno task test: a file says when its turn is", () => {
  const cases: [string, Turn][] = [
    ["// Runs alone: it is shy.\n", Turn.Alone],
    ["/**\n * Runs alone: reason\n */\n", Turn.Alone],
    ["// Runs paired: it is sociable.\n", Turn.Paired],
    ["// Runs first: it is slow.\n", Turn.First],
    ['const text = "Runs alone: no";\n', Turn.Late],
    ["// Runs alone\n", Turn.Late],
    ['import { compile } from "../harness/binary.ts";\n', Turn.Early],
    ['import {\n  compile,\n} from "../harness/binary.ts";\n', Turn.Early],
    [`text = 'import { compile } from "../harness/binary.ts"';\n`, Turn.Late],
  ];
  for (const [text, turn] of cases) assertEquals(turnOf(text), turn, text);
});

Deno.test("deno task test: options, files and arguments are told apart", async () => {
  const dir = emptyDir("order");
  const b = writeFile("order/b_test.ts", "");
  const a = writeFile("order/below/a_test.ts", "");
  const other = writeFile("order/other.ts", "");
  const cases: [argv: string[], files: string[], rest: unknown[]][] = [
    // A directory means the tests in it, and no file runs twice.
    [[dir, b], [b, a], [[], [], undefined]],
    [[b, other], [b, other], [[], [], undefined]],
    [["--trace-leaks", b], [b], [["--trace-leaks"], [], undefined]],
    [["--filter", "x y", b], [b], [["--filter=x y"], [], "x y"]],
    [["--filter=x", b], [b], [["--filter=x"], [], "x"]],
    [[b, "--", dir, "--long"], [b], [[], [dir, "--long"], undefined]],
  ];
  for (const [argv, expected, rest] of cases) {
    const { files, options, args, filter } = await parseOrder(argv);
    assertEquals(files.toSorted(), expected.toSorted(), argv.join(" "));
    assertEquals([options, args, filter], rest, argv.join(" "));
  }
  const all = await parseOrder([]);
  assertEquals(all.files.includes(fromFileUrl(import.meta.url)), true);
  await assertRejects(
    () => parseOrder([`${dir}/none`]),
    UsageError,
    `${dir}/none: expected a test file or a directory`,
  );
  for (const help of ["--help", "-h"]) {
    await assertRejects(() => parseOrder([b, help]), HelpRequest);
  }
  const bare = `${dir}/bare`;
  Deno.mkdirSync(bare);
  for (const argv of [[bare], [b, bare], ["--filter=x", bare]]) {
    await assertRejects(
      () => parseOrder(argv),
      UsageError,
      `${bare}: no tests: expected a directory with _test.ts files`,
    );
  }
});
