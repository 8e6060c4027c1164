import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { bakedModule } from "../../lib/build/baked.ts";
import { type Compiled, resolve } from "../../lib/config/compiled.ts";
import type { Config } from "../../lib/config.ts";
import { resolveConfig } from "../../lib/config/resolve.ts";
import { ConfigError } from "../../lib/config/fields.ts";

/** What the baked module of a configuration says of it. */
async function bake(raw: unknown): Promise<Compiled> {
  const file = new URL("data:text/javascript,export default 1;");
  const text = bakedModule(file, raw, resolveConfig(raw));
  const module = await import(
    `data:text/javascript,${encodeURIComponent(text)}`
  );
  return module.compiled;
}

const CONFIGS: Config[] = [
  { baseDir: "/x" },
  {
    baseDir: '/x "\u2028\\',
    match: { ipv4: 32, ipv6: 128 },
    timeouts: { delay: 0.5 + 0.5, retryWindow: "5h", expireAfter: "9d" },
    whitelist: {
      networks: ["192.0.2.0/24", "2001:db8::/32", "::ffff:198.51.100.1"],
      hosts: ["A.example", ".b.example"],
      files: ["/w/é"],
      env: ["A"],
      localPorts: [465],
    },
    deferral: { at: "banner", message: () => "later", idleTimeout: 9 },
    onError: "defer",
    log: { target: "/log", level: "WARN", facility: "local7" },
    prune: { every: 0 },
  },
];

Deno.test("compiled: equal to the resolved configuration", async () => {
  for (const raw of CONFIGS) {
    const compiled = await bake(raw);
    const config = await resolve({ default: raw, compiled });
    assertEquals(config, resolveConfig(raw));
    // The compiled value itself, not one that was resolved again.
    assertStrictEquals(config.whitelist, compiled.resolved.whitelist);
  }
});

Deno.test("compiled: the message function is the module's", async () => {
  const compiled = await bake(CONFIGS[1]);
  const message = () => "another";
  const raw = { ...CONFIGS[1], deferral: { ...CONFIGS[1].deferral, message } };
  const config = await resolve({ default: raw, compiled });
  assertStrictEquals(config.deferral.message, message);
});

Deno.test("compiled: the module's present values count", async () => {
  const compiled = await bake(CONFIGS[0]);
  const raw = { baseDir: "/x", timeouts: { delay: "2m" } };
  for (const module of [{ default: raw, compiled }, { default: raw }]) {
    assertEquals(await resolve(module), resolveConfig(raw));
  }
  const cycle: Record<string, unknown> = { baseDir: "/x" };
  cycle.match = cycle;
  const wrong: unknown[] = [
    { baseDir: "/x", basedir: 1 },
    { baseDir: "/x", match: null },
    { baseDir: "/x", match: 1n },
    { baseDir: 1n },
    cycle,
    undefined,
    () => {},
    [],
  ];
  for (const raw of wrong) {
    await assertRejects(
      () => resolve({ default: raw, compiled }),
      ConfigError,
    );
  }
});
