import { assertEquals } from "@std/assert";
import { lookingAs, ownBinary } from "../../../lib/commands/check/user.ts";
import "../../harness/libc.ts";

Deno.test("check user: root is asked for the user of the service", () => {
  const warning = (name: string) =>
    `looking as root, which may do anything: give --user=${name}, the user that ` +
    "the service runs as";
  const cases: [
    [string | undefined, number, string | undefined],
    string,
    string,
  ][] = [
    [[undefined, 1000, undefined], "ok", "looking as uid 1000"],
    [["qmaild", 64011, "qmaild"], "ok", "looking as qmaild (uid 64011)"],
    [[undefined, 0, undefined], "warn", warning("NAME")],
    [[undefined, 0, "qmaild"], "warn", warning("qmaild")],
    // Root is meant.
    [["root", 0, undefined], "ok", "looking as root (uid 0)"],
    [[undefined, 0, "root"], "ok", "looking as uid 0"],
  ];
  for (const [args, kind, text] of cases) {
    assertEquals(lookingAs(...args), { kind, text });
  }
});

Deno.test("check user: a binary that the user cannot read", () => {
  const kinds = (path: string | Error, isServes: boolean) =>
    ownBinary(path, isServes).map(({ kind }) => kind);
  assertEquals(kinds("/bin/sh", false), []);
  assertEquals(kinds(new Error("no /proc"), false), []);
  assertEquals(kinds("/nonexistent", false), ["fix"]);
  // Root has started serve.
  assertEquals(kinds("/nonexistent", true), ["warn"]);
});
