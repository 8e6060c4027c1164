import { assertEquals, assertThrows } from "@std/assert";
import { inOneLine, reasonOf } from "../lib/reason.ts";

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
    [Symbol("x"), "Symbol(x)"],
    [Object.create(null), "an object that has no text"],
    [Object.assign(new Error(), { message: 5 }), "5"],
  ];
  for (const [error, reason] of cases) assertEquals(reasonOf(error), reason);
});

Deno.test("reason: of a real error no path and no number is left", () => {
  const error = assertThrows(() => Deno.statSync("/nonexistent/file"));
  assertEquals(reasonOf(error), "No such file or directory");
});

Deno.test("inOneLine: the first line that says something", () => {
  assertEquals(inOneLine(new Error("one\ntwo")), "one");
  assertEquals(inOneLine(new TypeError("\n  two\n")), "two");
  assertEquals(inOneLine(new Error(" \n two ")), "two");
  assertEquals(inOneLine(new Error(" \n ")), "an error without a message");
  assertEquals(inOneLine("text"), "text");
  assertEquals(inOneLine(null), "null");
  assertEquals(inOneLine(new Error("")), "an error without a message");
});
