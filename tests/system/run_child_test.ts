import { assertEquals } from "@std/assert";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";

const IMPORTS = `
  import { runChild } from ${
  JSON.stringify(moduleUrl("lib/system/run_child.ts"))
};
  import { endAfter } from ${
  JSON.stringify(moduleUrl("lib/system/signals.ts"))
};
  import { fromLibc } from ${JSON.stringify(moduleUrl("lib/system/libc.ts"))};
`;

Deno.test("runChild: an alarm does not end the wait for the program", async () => {
  const { code, stdout } = await evaluate(`${IMPORTS}
    endAfter(60);
    const ended = runChild(["sh", "-c", "echo said; exit 42"]);
    const { alarm } = fromLibc({
      // unsigned int alarm(unsigned int seconds);
      alarm: { parameters: ["u32"], result: "u32" },
    })();
    // The seconds that were left, 0 if there is no alarm.
    const left = alarm(0);
    const { code } = await ended;
    Deno.exit(left === 0 ? code : 100);
  `);
  assertEquals([code, stdout], [42, "said\n"]);
});

Deno.test("runChild: the signal that has ended the program", async () => {
  const { code } = await evaluate(`${IMPORTS}
    const { code, signal } = await runChild(["sh", "-c", "kill -9 $$"]);
    Deno.exit(code ?? 100 + signal);
  `);
  assertEquals(code, 109);
});

Deno.test("runChild: a program that is missing", async () => {
  const { code, stdout } = await evaluate(`${IMPORTS}
    try {
      await runChild(["/nonexistent/program"]);
    } catch (error) {
      console.log(error.message);
    }
  `);
  assertEquals([code, stdout], [0, "start: No such file or directory\n"]);
});
