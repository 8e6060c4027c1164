import { assertEquals, assertThrows } from "@std/assert";
import { reasonOf } from "../lib/reason.ts";

Deno.test("reason: what the system says, once", () => {
  const cases: [unknown, string][] = [
    [new Error("expected a regular file"), "expected a regular file"],
    [
      new Deno.errors.NotFound("No such file (os error 2): stat '/a (b)'"),
      "No such file",
    ],
    [new Error("Is a directory (os error 21)"), "Is a directory"],
    ["text", "text"],
    [undefined, "undefined"],
  ];
  for (const [error, reason] of cases) assertEquals(reasonOf(error), reason);
});

Deno.test("reason: of a real error no path and no number is left", () => {
  const error = assertThrows(() => Deno.statSync("/nonexistent/file"));
  assertEquals(reasonOf(error), "No such file or directory");
});
