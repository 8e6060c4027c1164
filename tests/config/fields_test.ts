import { assertEquals, assertThrows } from "@std/assert";
import {
  asPath,
  ConfigError,
  type Duration,
  parseDuration,
  Section,
} from "../../lib/config/fields.ts";

/** The message of the ConfigError that `work` throws, which is one line. */
function message(work: () => unknown): string {
  const { message } = assertThrows(work, ConfigError) as Error;
  assertEquals(message.split(/[\n\r]/).length, 1, message);
  return message;
}

Deno.test("fields: durations", () => {
  const cases: [unknown, number | undefined][] = [
    [0, 0],
    [1, 1],
    [0.5, 0.5],
    [86400, 86400],
    ["0s", 0],
    ["90s", 90],
    ["5m", 300],
    ["24h", 86400],
    ["36d", 3110400],
    ["1.5m", 90],
    ["0.5d", 43200],
    ["0005m", 300],
    [-1, undefined],
    [-0.001, undefined],
    [NaN, undefined],
    [Infinity, undefined],
    ["", undefined],
    ["s", undefined],
    ["5", undefined],
    ["5 m", undefined],
    [" 5m", undefined],
    ["5m\n", undefined],
    ["5M", undefined],
    ["5min", undefined],
    ["5ms", undefined],
    ["5w", undefined],
    ["-5m", undefined],
    ["+5m", undefined],
    ["1e3s", undefined],
    ["0x10s", undefined],
    [".5m", undefined],
    ["5.m", undefined],
    ["1,5m", undefined],
    ["1h30m", undefined],
    ["Infinitys", undefined],
    ["NaNs", undefined],
    ["٥m", undefined],
    // As a number this is Infinity, which is no duration.
    ["9".repeat(400) + "d", undefined],
    [true, undefined],
    [false, undefined],
    [null, undefined],
    [undefined, undefined],
    [5n, undefined],
    [["5m"], undefined],
    [{}, undefined],
    [new Date(0), undefined],
    [Symbol("5m"), undefined],
    [() => "5m", undefined],
  ];
  for (const [text, expected] of cases) {
    assertEquals(parseDuration(text), expected, String(text).slice(0, 40));
  }
});

Deno.test("fields: the type of a duration", () => {
  const good: Duration[] = [0, 90, "90s", "5m", "24h", "36d", "1.5h"];
  // @ts-expect-error no unit
  const noUnit: Duration = "90";
  // @ts-expect-error an unknown unit
  const badUnit: Duration = "90w";
  // @ts-expect-error a word
  const word: Duration = "5min";
  // @ts-expect-error no number
  const noNumber: Duration = "m";
  // @ts-expect-error two numbers
  const two: Duration = "1h30m";
  for (const duration of good) parseDuration(duration);
  for (const duration of [noUnit, badUnit, word, noNumber, two]) {
    assertEquals(parseDuration(duration), undefined);
  }
});

Deno.test("fields: paths", () => {
  const good = ["/", "/var/qmail/greylist", "/with blank", "/é", "/a/", "/'\""];
  for (const path of good) assertEquals(asPath(path), path);
  const bad = [
    "",
    "var/qmail",
    "./x",
    "../x",
    "~/x",
    " /x",
    "C:\\x",
    "file:///x",
    "/a\nb",
    "/a\0b",
    "/a\x7f",
    "/a\tb",
    1,
    null,
    undefined,
    ["/x"],
    new URL("file:///x"),
  ];
  for (const path of bad) assertEquals(asPath(path), undefined, String(path));
});

Deno.test("fields: values that are no object", () => {
  const cases: [unknown, string][] = [
    [undefined, "not given"],
    [null, "null"],
    [1, "1"],
    [1n, "1"],
    ["x", '"x"'],
    [true, "true"],
    [[], "[]"],
    [[{ a: 1 }], '[{"a":1}]'],
    [() => ({}), "a function"],
    [Symbol("x"), "Symbol(x)"],
    [NaN, "NaN"],
    [-Infinity, "-Infinity"],
    [Promise.resolve({}), "an instance of Promise"],
    [new Map([["a", 1]]), "an instance of Map"],
    [new (class {})(), "an instance of a class"],
    [Object.create({ constructor: null }), "an object"],
    [new Error("x"), 'an error, "x"'],
  ];
  for (const [value, shown] of cases) {
    assertEquals(
      message(() => new Section("match", value, [])),
      `match: ${shown}: expected an object`,
    );
    assertEquals(
      message(() => new Section("", value, [])),
      `default export: ${shown}: expected what defineConfig({ ... }) returns`,
    );
  }
  // These are objects, and have no field, but are no section either.
  const other = [new Map([["a", 1]]), new Set(), new Date(0), new Error("x")];
  for (const value of other) {
    message(() => new Section("match", value, ["a"]));
  }
});

Deno.test("fields: why a getter throws", () => {
  const thrower = (thrown: unknown) => ({
    get a() {
      throw thrown;
    },
  });
  const read = (thrown: unknown) =>
    message(() => new Section("x", thrower(thrown), ["a"]).path("a"));
  const expected = "expected a value that can be read";
  assertEquals(read(new Error("no")), `x.a: an error, "no": ${expected}`);
  assertEquals(read("no"), `x.a: "no": ${expected}`);
});

Deno.test("fields: unknown fields", () => {
  const known = ["a", "b"];
  const unknown = (value: object, name = "") =>
    message(() => new Section(name, value, known));
  const expected = "expected one of the fields a, b";
  assertEquals(unknown({ a: 1, c: 2 }), `c: 2: ${expected}`);
  assertEquals(unknown({ A: 1 }, "x"), `x.A: 1: ${expected}`);
  assertEquals(unknown({ c: undefined }), `c: not given: ${expected}`);
  assertEquals(
    unknown(JSON.parse('{"__proto__": 1}'), "x"),
    `x.__proto__: 1: ${expected}`,
  );
  assertEquals(unknown({ constructor: 1 }), `constructor: 1: ${expected}`);
  assertEquals(unknown({ toString: 1 }), `toString: 1: ${expected}`);
  // The name is the administrator's own, the message still one line.
  unknown({ "a\nb": 1 });
  unknown({ "a\u001b[31mb": 1 });
});

Deno.test("fields: a prototype brings no fields in", () => {
  const inherited = Object.create({ a: "/etc", evil: 1 });
  message(() => new Section("", inherited, ["a"]).path("a"));
  const bare = Object.assign(Object.create(null), { a: "/x" });
  assertEquals(new Section("", bare, ["a"]).path("a"), "/x");
});

Deno.test("fields: integers", () => {
  const read = (a: unknown) =>
    new Section("x", { a }, ["a"]).integer("a", 24, 1, 32);
  for (const value of [1, 24, 32, 32.0]) assertEquals(read(value), value);
  assertEquals(read(undefined), 24);
  const cases: [unknown, string][] = [
    [0, "0"],
    [33, "33"],
    [-1, "-1"],
    [1.5, "1.5"],
    ["24", '"24"'],
    [24n, "24"],
    [true, "true"],
    [[24], "[24]"],
    [null, "null"],
    [NaN, "NaN"],
    [Infinity, "Infinity"],
    [1e300, "1e+300"],
  ];
  for (const [value, shown] of cases) {
    assertEquals(
      message(() => read(value)),
      `x.a: ${shown}: expected a whole number from 1 to 32`,
    );
  }
});

Deno.test("fields: choices", () => {
  const read = (a: unknown) =>
    new Section("x", { a }, ["a"]).choice("a", "up", ["up", "down"]);
  assertEquals([read("up"), read("down"), read(undefined)], [
    "up",
    "down",
    "up",
  ]);
  const cases: [unknown, string][] = [
    ["UP", '"UP"'],
    ["", '""'],
    ["up ", '"up "'],
    [["up"], '["up"]'],
    [0, "0"],
    [false, "false"],
    [null, "null"],
  ];
  for (const [value, shown] of cases) {
    assertEquals(
      message(() => read(value)),
      `x.a: ${shown}: expected one of "up", "down"`,
    );
  }
});

Deno.test("fields: lists", () => {
  const read = (a: unknown) =>
    new Section("x", { a }, ["a"]).list(
      "a",
      "a word",
      (item) => typeof item === "string" ? item.toUpperCase() : undefined,
      ["Z"],
    );
  assertEquals(read(["a", "b"]), ["A", "B"]);
  assertEquals(read([]), []);
  assertEquals(read(undefined), ["Z"]);
  const cases: [unknown, string][] = [
    ["a", 'x.a: "a": expected a list, each a word'],
    [
      { 0: "a", length: 1 },
      'x.a: {"0":"a","length":1}: expected a list, ' +
      "each a word",
    ],
    [new Set(["a"]), "x.a: an instance of Set: expected a list, each a word"],
    [null, "x.a: null: expected a list, each a word"],
    [["a", 1], "x.a[1]: 1: expected a word"],
    [["a", null], "x.a[1]: null: expected a word"],
    [["a", ["b"]], 'x.a[1]: ["b"]: expected a word'],
    // deno-lint-ignore no-sparse-arrays
    [[, "a"], "x.a[0]: not given: expected a word"],
  ];
  for (const [value, expected] of cases) {
    assertEquals(message(() => read(value)), expected);
  }
});

Deno.test("fields: null is a wrong value, not a missing field", () => {
  const section = () => new Section("x", { a: null }, ["a"]);
  message(() => section().section("a", []));
  message(() => section().path("a", "/x"));
  message(() => section().duration("a", "1h", 0));
  message(() =>
    section().parsed("a", 1, "a number", (value) => {
      return typeof value === "number" ? value : undefined;
    })
  );
});

Deno.test("fields: every value is shown, on one short line", () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const bareCycle = Object.create(null);
  bareCycle.self = bareCycle;
  const hostile = {
    toJSON() {
      throw new Error("no");
    },
    toString() {
      throw new Error("no");
    },
  };
  const values = [
    "a\nb\r\u2028\u2029",
    "x".repeat(100_000),
    Array(100_000).fill("/x"),
    cyclic,
    bareCycle,
    { deep: bareCycle },
    [bareCycle],
    hostile,
    { toJSON: () => undefined },
    { big: 1n },
    [1n],
    Object.assign(Object.create(null), { big: 1n }),
    Symbol("a"),
    new Proxy({}, {
      ownKeys() {
        throw new Error("no");
      },
    }),
  ];
  for (const value of values) {
    const text = message(() => new Section("x", { a: value }, ["a"]).path("a"));
    assertEquals(text.length <= 200, true, text.slice(0, 300));
    assertEquals(text.startsWith("x.a: "), true, text);
  }
});
