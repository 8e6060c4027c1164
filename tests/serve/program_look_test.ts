import { assertEquals, assertMatch } from "@std/assert";
import type { Logger } from "../../lib/log/targets.ts";
import { ProgramLook } from "../../lib/serve/program_look.ts";
import type { ChildProgram } from "../../lib/system/spawn.ts";
import "../harness/libc.ts";

for (const name of ["sh", "/nonexistent/qmail-smtpd"]) {
  Deno.test(`program look: ${name}`, {
    // The thread that keeps the time may end later.
    sanitizeOps: false,
  }, async () => {
    const program = { name } as ChildProgram;
    const lines: string[] = [];
    const error = (line: string) => lines.push(line);
    const look = new ProgramLook(program);
    assertEquals(look.isOver, false);
    await look.report({ log: { error } as unknown as Logger }, 60_000);
    assertEquals(look.isOver, true);
    if (name === "sh") {
      assertMatch(`${program.found}`, /^\/.*\/sh$/);
      assertEquals(lines, []);
    } else {
      assertEquals([program.found, lines.length], [undefined, 1]);
      assertMatch(
        lines[0],
        /^serve what="\/nonexistent\/qmail-smtpd: no program that uid \d+ can execute"$/,
      );
    }
  });
}
