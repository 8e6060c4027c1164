import { assertEquals } from "@std/assert";
import { run } from "./process.ts";

Deno.test("run: at its time limit a program ends with all that it started", async () => {
  // What holds the other end of the pipe is waited for.
  const script = "{ sleep 30; echo late; } & sleep 60; true";
  const outcome = await run(["sh", "-c", script], { patience: 1 });
  assertEquals(outcome, { code: 137, stdout: "", stderr: "" });
});

Deno.test("run: the exit code is that of the program, or of its signal", async () => {
  const codeOf = async (script: string) =>
    (await run(["sh", "-c", script])).code;
  assertEquals(await codeOf("exit 3"), 3);
  assertEquals(await codeOf("kill -9 $$"), 137);
  assertEquals(await codeOf("kill -15 $$"), 143);
});
