import { assertEquals } from "@std/assert";
import { runCommand } from "../../lib/commands/mod.ts";

Deno.test("a configuration module that fails is named, exit 100", async () => {
  const { error } = console;
  const lines: string[] = [];
  console.error = (line: string) => lines.push(line);
  let code: number;
  try {
    const reason = "Expression expected\n  \x1b[0mdefault ;\n";
    code = await runCommand(
      "info",
      [],
      () => Promise.reject(new Error(reason)),
    );
  } finally {
    console.error = error;
  }
  assertEquals([code, lines], [100, [
    "greylist greylist.config.ts: Expression expected",
  ]]);
});
