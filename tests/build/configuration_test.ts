import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  BadConfig,
  loadApart,
  rehearse,
} from "../../lib/build/configuration.ts";
import { chosenStd, stdFlags } from "../../lib/build/std.ts";
import { configModule } from "../harness/binary.ts";
import { emptyDir, writeFile } from "../harness/root.ts";

const scratch = emptyDir("scratch");
const flags = await stdFlags(chosenStd(), scratch);

/** Writes a module with lines in front of its export. */
function moduleOf(before: string): URL {
  return new URL(`file://${writeFile("config.ts", configModule({}, before))}`);
}

/** Checks a module as `deno task compile` does, except its types. */
async function check(file: URL, patience?: number): Promise<void> {
  const loaded = await loadApart(file, "my.ts", flags, scratch, patience);
  await rehearse(file, "my.ts", loaded.needs.permissions, flags, patience);
}

const EXIT = "calls Deno.exit: expected a module that only exports";
const prints = (what: string) =>
  `prints "${what}": expected a module that prints nothing, for the client ` +
  "would read it";

for (
  const [name, before, says] of [
    ["calls Deno.exit", "Deno.exit(0);", EXIT],
    ["calls Deno.exit soon", "setTimeout(() => Deno.exit(0));", EXIT],
    [
      "calls process.exit",
      'import process from "node:process"; process.exit(0);',
      EXIT,
    ],
    [
      "waits for ever",
      "await new Promise(() => {});",
      "Top-level await promise never resolved",
    ],
    ["rejects a promise", 'Promise.reject(new Error("oops"));', "oops"],
    [
      "has a timer that throws",
      'setTimeout(() => { throw new Error("late"); }, 10);',
      "late",
    ],
    [
      "throws an object without text",
      "throw Object.create(null);",
      "an object that has no text",
    ],
    ["prints to stdout", 'console.log("a\\nb");', prints("a")],
    ["prints to stderr", 'console.error("a\\nb");', prints("a")],
    [
      "prints where it has its own permissions",
      `if (Deno.permissions.querySync({ name: "run" }).state !== "granted") {
        console.warn("there");
      }`,
      prints("there"),
    ],
  ]
) {
  Deno.test(`compile refuses a module that ${name}`, async () => {
    const { message } = await assertRejects(
      () => check(moduleOf(before)),
      BadConfig,
    );
    assertEquals(message, `my.ts: ${says}`);
  });
}

Deno.test("compile refuses a message that calls Deno.exit", async () => {
  const source = configModule({ deferral: { message: () => Deno.exit(0) } });
  const file = new URL(`file://${writeFile("config.ts", source)}`);
  const { message } = await assertRejects(() => check(file), BadConfig);
  assert(message.startsWith("my.ts: deferral.message: "), message);
  assert(message.endsWith(`it throws "${EXIT}"`), message);
});

Deno.test("compile refuses a message that prints for one reason only", async () => {
  const source = configModule({
    deferral: {
      message: ({ reason }) => {
        if (reason === "expired") console.log("late");
        return "Later";
      },
    },
  });
  const file = new URL(`file://${writeFile("config.ts", source)}`);
  const { message } = await assertRejects(() => check(file), BadConfig);
  assertEquals(message, `my.ts: ${prints("late")}`);
});

Deno.test("compile refuses a module that never ends", async () => {
  for (
    const before of [
      "while (true);",
      "setInterval(() => {}, 10); await new Promise(() => {});",
    ]
  ) {
    const { message } = await assertRejects(
      () => check(moduleOf(before), 3000),
      BadConfig,
    );
    assertEquals(
      message,
      "my.ts: runs for more than 3 seconds: expected a module that comes to an " +
        "end, for it runs at each connection",
    );
  }
});

Deno.test("compile takes a module with a timer", async () => {
  await check(moduleOf("setInterval(() => {}, 1000);"));
});

Deno.test("compile: messages of Deno's own are not the module's", async () => {
  Deno.env.set("DENO_LOG", "debug");
  try {
    await check(moduleOf(""));
  } finally {
    Deno.env.delete("DENO_LOG");
  }
});
