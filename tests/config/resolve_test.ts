import { assertEquals, assertStrictEquals } from "@std/assert";
import { parseNetwork } from "../../lib/address.ts";
import { type Config, defineConfig } from "../../lib/config.ts";
import { resolveConfig } from "../../lib/config/resolve.ts";
import { FACILITIES } from "../../lib/log/settings.ts";
import { defaultMessage } from "../../lib/smtp/refusal.ts";

const BASE = { baseDir: "/var/qmail/greylist" } as const;

Deno.test("config: defaults", () => {
  assertEquals(resolveConfig(defineConfig(BASE)), {
    baseDir: "/var/qmail/greylist",
    controlDir: "/var/qmail/control",
    match: { ipv4: 24, ipv6: 64 },
    timeouts: { delay: 60, retryWindow: 86400, expireAfter: 3110400 },
    whitelist: {
      networks: [],
      hosts: [],
      files: [],
      env: ["RELAYCLIENT", "WHITELISTED"],
      localPorts: [],
    },
    pools: [],
    deferral: {
      at: "rcpt",
      message: defaultMessage,
      idleTimeout: 60,
      sessionTimeout: 300,
    },
    mode: "enforce",
    onError: "accept",
    storeTimeout: 2,
    log: { target: "auto", level: "INFO", facility: "mail" },
    prune: { every: 3600 },
  });
  assertEquals(
    defaultMessage({ seconds: 42, reason: "new", ip: "192.0.2.1" }),
    "Greylisted, please try again in 42 seconds",
  );
});

Deno.test("config: empty sections are the defaults, too", () => {
  const sections = {
    match: {},
    timeouts: {},
    whitelist: {},
    deferral: {},
    log: {},
    prune: {},
  };
  const expected = resolveConfig(BASE);
  assertEquals(resolveConfig({ ...BASE, ...sections }), expected);
  const none = Object.fromEntries(
    Object.keys(sections).map((name) => [name, undefined]),
  );
  assertEquals(resolveConfig({ ...BASE, ...none }), expected);
});

Deno.test("config: every field", () => {
  const message = () => "Later";
  const config = resolveConfig(defineConfig({
    baseDir: "/g",
    controlDir: "/c",
    match: { ipv4: 32, ipv6: 128 },
    timeouts: { delay: "90s", retryWindow: "1.5h", expireAfter: 864000 },
    whitelist: {
      networks: ["127.0.0.0/8", "::1", "::FFFF:192.0.2.0/120", "2001:DB8::/32"],
      hosts: [".Example.ORG", "MX.example.com", "_dmarc.x", "localhost"],
      files: ["/w1", "/w 2"],
      env: ["A", "_b2"],
      localPorts: [1, 465, 65535],
    },
    pools: [
      { name: "Big-1.example", networks: ["10.9"], hosts: ["Example.NET"] },
      { name: "b", files: ["/p", "/q"] },
    ],
    only: {
      nameless: true,
      hosts: ["Example.NET", "/^DSL/"],
      networks: ["10."],
      files: ["/o"],
      env: ["RBL"],
    },
    deferral: { at: "banner", message, idleTimeout: 1, sessionTimeout: "1d" },
    mode: "observe",
    onError: "defer",
    storeTimeout: "5s",
    log: { target: "/var/log/greylist", level: "DEBUG", facility: "local7" },
    prune: { every: 0 },
  }));
  assertEquals(config, {
    baseDir: "/g",
    controlDir: "/c",
    match: { ipv4: 32, ipv6: 128 },
    timeouts: { delay: 90, retryWindow: 5400, expireAfter: 864000 },
    whitelist: {
      networks: [
        { text: "127.0.0.0/8", network: parseNetwork("127.0.0.0/8")! },
        { text: "::1", network: parseNetwork("::1/128")! },
        {
          text: "::FFFF:192.0.2.0/120",
          network: parseNetwork("192.0.2.0/24")!,
        },
        { text: "2001:DB8::/32", network: parseNetwork("2001:db8::/32")! },
      ],
      hosts: [".example.org", "mx.example.com", "_dmarc.x", "localhost"],
      files: ["/w1", "/w 2"],
      env: ["A", "_b2"],
      localPorts: [1, 465, 65535],
    },
    pools: [
      {
        name: "Big-1.example",
        networks: [{ text: "10.9", network: parseNetwork("10.9.0.0/16")! }],
        hosts: ["example.net"],
        files: [],
      },
      { name: "b", networks: [], hosts: [], files: ["/p", "/q"] },
    ],
    only: {
      nameless: true,
      hosts: ["example.net", "/^DSL/"],
      networks: [{ text: "10.", network: parseNetwork("10.0.0.0/8")! }],
      files: ["/o"],
      env: ["RBL"],
    },
    deferral: {
      at: "banner",
      message,
      idleTimeout: 1,
      sessionTimeout: 86400,
    },
    mode: "observe",
    onError: "defer",
    storeTimeout: 5,
    log: { target: "/var/log/greylist", level: "DEBUG", facility: "local7" },
    prune: { every: 0 },
  });
  assertStrictEquals(config.deferral.message, message);
});

Deno.test("config: good values", () => {
  const good: Record<string, unknown>[] = [
    { match: { ipv4: 1, ipv6: 1 } },
    // A window that no sender needs is still valid.
    { timeouts: { delay: 60, retryWindow: 61 } },
    { timeouts: { delay: 1, retryWindow: "2s", expireAfter: 1 } },
    { timeouts: { expireAfter: "3650d" }, storeTimeout: 3650 * 86400 },
    { whitelist: { env: [] } },
    { whitelist: { networks: ["0.0.0.0/0", "::/0"] } },
    { deferral: { at: "rblsmtpd" } },
    { deferral: { message: () => "" } },
    { log: { target: "stderr" } },
    { log: { target: "syslog" } },
    ...Object.keys(FACILITIES).map((facility) => ({ log: { facility } })),
    ...["DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"].map((level) => ({
      log: { level },
    })),
    { prune: { every: "1d" } },
  ];
  for (const fields of good) resolveConfig({ ...BASE, ...fields });
});

Deno.test("config: defineConfig returns its argument", () => {
  const config = { baseDir: "relative" } as unknown as Config;
  assertStrictEquals(defineConfig(config), config);
});
