import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  compileExpression,
  compileLowerCase,
  ExpressionError,
  hasLinearMatcher,
} from "../../lib/whitelist/expression.ts";
import { run } from "../harness/process.ts";

const MODULE = new URL("../../lib/whitelist/expression.ts", import.meta.url);

Deno.test("whitelist expression: time is linear in the length of the name", () => {
  // V8's usual matcher takes half a minute for the first of them.
  const cases: [string, string][] = [
    ["^([a-z0-9-]+\\.?)+\\.mail\\.example\\.com$", "a".repeat(34)],
    ["^([a-z0-9-]+\\.?)+\\.mail\\.example\\.com$", "a".repeat(10_000)],
    ["^(a+)+$", "a".repeat(10_000) + "!"],
    ["^(a|a)*$", "a".repeat(10_000) + "!"],
    ["^(.*.*)*x$", "a".repeat(10_000)],
    ["(a?){16}a{16}b", "a".repeat(10_000)],
  ];
  for (const [text, host] of cases) {
    const start = performance.now();
    assertEquals(compileExpression(text).test(host), false);
    const elapsed = performance.now() - start;
    assert(elapsed < 10_000, `${text}: ${elapsed} ms`);
  }
});

Deno.test("whitelist expression: upper case means lower case", () => {
  const cases: Record<string, string> = {
    "EXAMPLE": "example",
    "^Mail\\d+\\.Example$": "^mail\\d+\\.example$",
    "\\D\\S\\W\\B": "\\D\\S\\W\\B",
    "\\.\\-\\/": "\\.\\-\\/",
    "[abc]": "[abc]",
    "[A-Z]": "[a-zA-Z]",
    "[^A-Z]": "[^a-zA-Z]",
    "[AbC]": "[a-ac-cAbC]",
    "[-A]": "[a-a-A]",
    "[\\dA-]": "[a-a\\dA-]",
    "[@-C]": "[a-c@-C]",
    "[X-b]": "[x-zX-b]",
    "[\\W\\S\\D]": "[\\W\\S\\D]",
    "[\\w-.]": "[\\w-.]",
    "[9-\\dA]": "[a-a9-\\dA]",
    "[.\\-Z-a]": "[z-z.\\-Z-a]",
    "[\\.-Z]": "[a-z\\.-Z]",
    "[\\]A]": "[a-a\\]A]",
    "(?:A|B)": "(?:a|b)",
    "É[É]": "é[é-éÉ]",
  };
  for (const [text, source] of Object.entries(cases)) {
    const expression = compileExpression(text);
    assertEquals(expression.source, source, text);
    // What an index keeps.
    assertEquals(compileLowerCase(expression.source), expression);
  }
});

/** Numbers that are the same each time (mulberry32). */
function randomly(seed: number): (below: number) => number {
  return (below) => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) % below;
  };
}

Deno.test("whitelist expression: the same as with flag i, on names in lower case", () => {
  const random = randomly(1);
  const pick = <T>(items: readonly T[]): T => items[random(items.length)];
  const members = [
    ..."aBz.9-_",
    ...["a-c", "A-C", "X-b", "0-9", "@-B", "_-z", "Z-a", "+-Z"],
    ...["\\d", "\\W", "\\w", "\\D", "\\S", "\\.", "\\-", "\\]"],
  ];
  const single = () =>
    pick([
      () => pick([..."abABzZ.-_9", "\\.", "\\d", "\\D", "\\w", "\\W", "\\S"]),
      () => {
        const list = Array.from({ length: 1 + random(4) }, () => pick(members));
        return `[${pick(["", "^"])}${list.join("")}]`;
      },
    ])();
  // V8 15, in Deno 2.9.6, overlooks matches of `^` behind what may be empty: there it
  // is nothing to compare with.
  const anchors = parseInt(Deno.version.v8) >= 15
    ? ["$", "\\b", "\\B"]
    : ["^", "$", "\\b", "\\B"];
  // No group is repeated without a limit: the matcher to compare with backtracks.
  const piece = (depth: number): string =>
    pick([
      () => pick(anchors),
      () => single() + pick(["", "", "*", "+", "?", "{2}", "{0,3}", "+?"]),
      () =>
        depth === 0
          ? single()
          : `${pick(["(", "(?:"])}${alternatives(2, depth - 1)})${
            pick(["", "?", "{2}"])
          }`,
    ])();
  const alternatives = (most: number, depth: number): string =>
    Array.from(
      { length: 1 + random(2) },
      () =>
        Array.from({ length: 1 + random(most) }, () => piece(depth)).join(""),
    ).join("|");
  const host = () =>
    Array.from({ length: random(10) }, () => pick([..."abcxz.-_09@["])).join(
      "",
    );
  let tried = 0;
  let matched = 0;
  for (let round = 0; round < 10_000; round++) {
    const text = alternatives(4, 2);
    let old: RegExp;
    try {
      old = new RegExp(text, "i");
    } catch {
      continue; // A range in the wrong order.
    }
    let expression: RegExp;
    try {
      expression = compileExpression(text);
    } catch (error) {
      assert(error instanceof ExpressionError, text);
      assert(error.message.includes("16 times"), `${text}: ${error.message}`);
      continue;
    }
    for (let i = 0; i < 5; i++) {
      const name = host();
      const expected = old.test(name);
      assertEquals(expression.test(name), expected, `${text} on ${name}`);
      tried++;
      if (expected) matched++;
    }
  }
  assert(tried > 20_000, `${tried}`);
  assert(matched > tried / 10 && matched < tried * 0.95, `${matched}`);
});

Deno.test("whitelist expression: refused expressions, and the reasons", () => {
  const perl = "means something else in JavaScript than in Perl";
  const sets = (sets: string) =>
    `of letters, only ${sets} have a meaning after a backslash`;
  const outside = sets("\\d \\D \\s \\S \\w \\W \\b \\B");
  const inside = sets("\\d \\D \\s \\S \\w \\W");
  const around = "look-ahead and look-behind cannot be matched in linear time";
  const back = "a back-reference cannot be matched in linear time";
  const often = "a part may be repeated 16 times at most, or without a limit";
  const group = "only ( and (?: begin a group";
  const cases: Record<string, string> = {
    "\\Amail": "\\A: write ^",
    "\\.example\\z": "\\z: write $",
    "\\.example\\Z": "\\Z: write $",
    "\\Qa.b\\E": `\\Q: ${outside}`,
    "a\\E": `\\E: ${outside}`,
    "a\\hb": `\\h: ${outside}`,
    "\\p{L}": `\\p: ${outside}`,
    "\\x41": `\\x: ${outside}`,
    "\\u0041": `\\u: ${outside}`,
    "\\0": `\\0: ${outside}`,
    "\\n": `\\n: ${outside}`,
    "[\\b]": `\\b: ${inside}`,
    "[a-\\A]": `\\A: write ^`,
    "[a\\h]": `\\h: ${inside}`,
    "[a-\\h]": `\\h: ${inside}`,
    "[[:alpha:]]": `[[:alpha:]: ${perl}`,
    "[^[:digit:].]": `[^[:digit:]: ${perl}`,
    "[[.a.]]": `[[.a.]: ${perl}`,
    "[[=a=]]": `[[=a=]: ${perl}`,
    "[]a]": `[]: ${perl}`,
    "[^]a]": `[^]: ${perl}`,
    "(a)\\1": `\\1: ${back}`,
    "(a)\\k<n>": `\\k: ${back}`,
    "(?=a)b": `(?=: ${around}`,
    "(?!a)b": `(?!: ${around}`,
    "(?<=a)b": `(?<=: ${around}`,
    "(?<!a)b": `(?<!: ${around}`,
    "(?": `(?: ${group}`,
    "(?i)a": `(?i: ${group}`,
    "(?i:a)": `(?i: ${group}`,
    "(?<name>a)": `(?<n: ${group}`,
    "(?P<name>a)": `(?P: ${group}`,
    "(?>a)": `(?>: ${group}`,
    "(?#a)": `(?#: ${group}`,
    "a{,3}": "{,: write {0,",
    "[0-9a-f]{32}": often,
    "((a{5}){5})": often,
    "(": "unterminated group",
    "a)": "unmatched ')'",
    "[a": "unterminated character class",
    "[z-a]": "range out of order in character class",
    "a{2,1}": "numbers out of order in {} quantifier",
    "a++": "nothing to repeat",
    "*": "nothing to repeat",
    "a\\": "\\ at end of pattern",
  };
  for (const [text, message] of Object.entries(cases)) {
    const error = assertThrows(
      () => compileExpression(text),
      ExpressionError,
      undefined,
      text,
    );
    assertEquals(error.message, message, text);
  }
});

Deno.test("whitelist expression: without V8's option, none is used", async () => {
  assertEquals(hasLinearMatcher(), true);
  const script = `
    import { compileExpression, hasLinearMatcher } from ${
    JSON.stringify(MODULE)
  };
    console.log(hasLinearMatcher());
    try { compileExpression("^a"); } catch (e) { console.log(e.message); }
  `;
  const { code, stdout, stderr } = await run(
    [Deno.execPath(), "eval", "--no-config", "--no-lock", script],
  );
  assertEquals(code, 0, stderr);
  assertEquals(
    stdout,
    "false\nexpressions need V8's option " +
      "--enable-experimental-regexp-engine, which the compiled program has\n",
  );
});
