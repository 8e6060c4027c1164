import { assert, assertEquals } from "@std/assert";
import {
  IMPORTS,
  LOCKS,
  path,
  readFailure,
  stdFlags,
} from "../../lib/build/std.ts";

const ABSENT = [
  "Download meta.json\nerror: JSR package manifest for '@std/path' failed to load. Import 'meta.json' failed.\n    at mod.ts:1:8",
  "error: error sending request for url (meta.json): client error (Connect)",
  "error: JSR package not found: @std/path",
];

Deno.test("readFailure: JSR is missing, whatever the network's message", () => {
  for (const stderr of ABSENT) {
    const answer = readFailure(stderr);
    assert(answer.absent, stderr);
    assert(!answer.reason.includes("\n"));
  }
});

Deno.test("readFailure: a wrong integrity value is never answered with npm", () => {
  const answer = readFailure(
    "Download mod.ts\nerror: Integrity check failed for package. The source " +
      "code is invalid.\n\n  Package: @std/log@0.224.14\n" +
      "  * the source failed to load\n",
  );
  assert(!answer.absent);
  assertEquals(
    answer.reason,
    "Integrity check failed for package. The source code is invalid.",
  );
});

Deno.test("readFailure: an unknown failure is shown, not worked around", () => {
  const answer = readFailure("error: Failed reading lockfile\nmore");
  assert(!answer.absent);
  assertEquals(answer.reason, "Failed reading lockfile");
  const silent = readFailure("");
  assert(!silent.absent && silent.reason !== "");
});

Deno.test("stdFlags: each source has a lock file of its own, which is frozen", async () => {
  const scratch = await Deno.makeTempDir();
  try {
    for (const std of ["jsr", "npm"] as const) {
      const flags = await stdFlags(std, scratch);
      assert(flags.includes(`--lock=${path(LOCKS[std])}`));
      assert(flags.includes("--frozen"));
    }
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
});

Deno.test("npm offers every package that deno.json names", async () => {
  const { imports: jsr } = JSON.parse(await Deno.readTextFile(IMPORTS.jsr));
  const { imports: npm } = JSON.parse(await Deno.readTextFile(IMPORTS.npm));
  for (const name of Object.keys(jsr)) assert(name in npm, name);
});

Deno.test("deno.json names exact versions, and each is in the lock file", async () => {
  const { imports } = JSON.parse(await Deno.readTextFile(IMPORTS.jsr));
  const { specifiers } = JSON.parse(await Deno.readTextFile(LOCKS.jsr));
  for (const target of Object.values<string>(imports)) {
    assert(/^jsr:@std\/[a-z]+@\d+\.\d+\.\d+$/.test(target), target);
    assert(target in specifiers, target);
  }
});

Deno.test("the npm lock file has an integrity value for each package and names no host", async () => {
  const text = await Deno.readTextFile(LOCKS.npm);
  const { npm } = JSON.parse(text) as {
    npm: Record<string, { integrity?: string }>;
  };
  for (const [name, { integrity }] of Object.entries(npm)) {
    assert(integrity?.startsWith("sha512-"), name);
  }
  assert(!text.includes("://"));
});

Deno.test("stdFlags: a JSR package stands for its subpaths too", async () => {
  const scratch = await Deno.makeTempDir();
  try {
    await stdFlags("jsr", scratch);
    const { imports } = JSON.parse(
      await Deno.readTextFile(`${scratch}/imports.json`),
    );
    const version = imports["@std/fs"].slice("jsr:@std/fs@".length);
    assertEquals(imports["@std/fs/"], `jsr:/@std/fs@${version}/`);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
});
