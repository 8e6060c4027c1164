/**
 * The page on the configuration: it has every field, and the right defaults.
 */

import { assert, assertEquals } from "@std/assert";
import { resolveConfig } from "../../lib/config/resolve.ts";
import { resolveServe } from "../../lib/serve/config.ts";
import { writeFile } from "../harness/root.ts";

const ROOT = new URL("../../", import.meta.url);

/** The configuration modules that the page shows. */
const MODULES = Array.from(
  Deno.readTextFileSync(new URL("lib/manual/config.md", ROOT))
    .matchAll(/^```ts\n([^]*?)^```$/gm),
  ([, text]) => text,
);

const LEAST = { baseDir: "/var/qmail/greylist" };

/** What a module exports as default. */
async function load(text: string, name: string): Promise<object> {
  const library = new URL("lib/config.ts", ROOT).href;
  const path = writeFile(name, text.replace("./lib/config.ts", library));
  return (await import(`file://${path}`)).default;
}

/** All names of fields in a value. */
function fieldsOf(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, field]) => [
    key,
    ...fieldsOf(field),
  ]);
}

Deno.test("config: the short module is the least that there has to be", async () => {
  assertEquals(await load(MODULES[0], "manual/short.ts"), LEAST);
});

Deno.test("config: the long module is valid and has the defaults", async () => {
  const raw = await load(MODULES[1], "manual/long.ts");
  const { deferral, whitelist, pools: _, ...shown } = resolveConfig(raw);
  const { pools: none, ...standard } = resolveConfig(LEAST);
  assertEquals(none, []);
  const { message, ...fields } = deferral;
  const { message: standardMessage, ...standardFields } = standard.deferral;
  assertEquals({ ...shown, deferral: fields, whitelist: whitelist.env }, {
    ...standard,
    deferral: standardFields,
    whitelist: standard.whitelist.env,
  });
  const client = { seconds: 42 } as Parameters<typeof message>[0];
  assertEquals(message(client), standardMessage(client));
  // The page says of these three that they are examples.
  const examples = ["configured", "user", "group", "rules"];
  const limits = (serve: object) =>
    Object.entries(serve).filter(([key]) => !examples.includes(key));
  assertEquals(limits(resolveServe(raw)), limits(resolveServe(LEAST)));
});

Deno.test("config: the long module has every field", async () => {
  const raw = await load(MODULES[1], "manual/long.ts");
  const shown = new Set(fieldsOf(raw));
  const { configured: _, ...serve } = resolveServe(raw);
  const fields = fieldsOf({ ...resolveConfig(raw), serve });
  assert(fields.length >= 30, `${fields}`);
  for (const field of fields) assert(shown.has(field), field);
});
