import { assertEquals, assertThrows } from "@std/assert";
import {
  describePermissions,
  permissionFlags,
  permissionsOf,
} from "../../lib/build/permissions.ts";
import type { Config } from "../../lib/config.ts";
import { resolveConfig } from "../../lib/config/resolve.ts";
import { ConfigError } from "../../lib/config/fields.ts";
import { PEER_VARIABLES } from "../../lib/peer.ts";
import { resolveServe } from "../../lib/serve/config.ts";

const permissions = (config: Config) => permissionsOf(resolveConfig(config));

Deno.test("permissions: a config without more needs its two directories", () => {
  const { read, write, env, ffi } = permissions({ baseDir: "/g" });
  assertEquals(read, [
    "/g",
    "/var/qmail/control/smtpgreeting",
    "/var/qmail/control/me",
  ]);
  assertEquals(write, ["/g"]);
  assertEquals(env, [
    ...PEER_VARIABLES,
    "GREYLIST",
    "NO_COLOR",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "GREYLIST_UPGRADE",
    "RELAYCLIENT",
    "WHITELISTED",
  ]);
  assertEquals(ffi, true);
});

Deno.test("permissions: whitelist files are read, never written", () => {
  const { read, write } = permissions({
    baseDir: "/g",
    whitelist: { files: ["/w/one", "/w/two", "/w/one"] },
  });
  assertEquals(read.slice(-2), ["/w/one", "/w/two"]);
  assertEquals(write, ["/g"]);
});

Deno.test("permissions: a log file is read and written, other targets are none", () => {
  const { read, write } = permissions({
    baseDir: "/g",
    log: { target: "/var/log/greylist" },
  });
  assertEquals(read.at(-1), "/var/log/greylist");
  assertEquals(write, ["/g", "/var/log/greylist"]);
  for (const target of ["auto", "stderr", "syslog"] as const) {
    assertEquals(permissions({ baseDir: "/g", log: { target } }).write, ["/g"]);
  }
});

Deno.test("permissions: RBLSMTPD only if rblsmtpd answers", () => {
  for (const at of ["rcpt", "banner", "rblsmtpd"] as const) {
    const { env } = permissions({ baseDir: "/g", deferral: { at } });
    assertEquals(env.includes("RBLSMTPD"), at === "rblsmtpd", at);
  }
});

Deno.test("permissions: the exempting variables are those of the config", () => {
  const { env } = permissions({ baseDir: "/g", whitelist: { env: ["MINE"] } });
  assertEquals(env.at(-1), "MINE");
  assertEquals(env.includes("RELAYCLIENT"), false);
});

Deno.test("permissionFlags: one option a kind, and no other kind", () => {
  const least = {
    read: ["/a", "/b"],
    write: ["/a"],
    env: ["X", "Y"],
    ffi: true,
    net: false,
  } as const;
  const flags = [
    "--allow-read=/a,/b",
    "--allow-write=/a",
    "--allow-env=X,Y",
    "--allow-ffi",
  ];
  assertEquals(permissionFlags(least), flags);
  assertEquals(permissionFlags({ ...least, net: true }), [
    ...flags,
    "--allow-net",
  ]);
});

Deno.test("permissions: the net is for looking names up only", () => {
  const of = (serve?: Config["serve"]) => {
    const config: Config = { baseDir: "/g", serve };
    return permissionsOf(resolveConfig(config), resolveServe(config)).net;
  };
  assertEquals(of(), false);
  assertEquals(of({ limit: 100, user: "qmaild" }), false);
  assertEquals(of({ nameLookup: true }), true);
});

Deno.test("permissions: a path that Deno's list would split is refused", () => {
  const configs: [string, Config][] = [
    ["baseDir", { baseDir: "/a,b" }],
    ["controlDir", { baseDir: "/g", controlDir: "/a,b" }],
    ["whitelist.files[0]", { baseDir: "/g", whitelist: { files: ["/a,b"] } }],
    ["pools[1].files[1]", {
      baseDir: "/g",
      pools: [{ name: "a", files: ["/a"] }, {
        name: "b",
        files: ["/b", "/a,b"],
      }],
    }],
    ["log.target", { baseDir: "/g", log: { target: "/a,b" } }],
  ];
  for (const [field, config] of configs) {
    assertThrows(
      () => permissions(config),
      ConfigError,
      `${field}: "/a,b": expected a path without a comma`,
    );
  }
});

Deno.test("describePermissions: one line for each thing", () => {
  const lines = describePermissions(permissions({ baseDir: "/g" }));
  assertEquals(lines.includes("read /g"), true);
  assertEquals(lines.includes("write /g"), true);
  assertEquals(lines.includes("env TCPREMOTEIP"), true);
  assertEquals(lines.at(-1), "no net, no run, no sys, no import");
});

Deno.test("permissions: the files and variables of only", () => {
  const { read, write, env } = permissions({
    baseDir: "/g",
    only: { files: ["/o"], env: ["RBL"] },
  });
  assertEquals(read.at(-1), "/o");
  assertEquals(write, ["/g"]);
  assertEquals(env.at(-1), "RBL");
  assertThrows(
    () => permissions({ baseDir: "/g", only: { files: ["/a,b"] } }),
    ConfigError,
    'only.files[0]: "/a,b": expected a path without a comma',
  );
});

Deno.test("permissions: the files of pools are read", () => {
  const { read, write } = permissions({
    baseDir: "/g",
    pools: [{ name: "a", files: ["/p", "/q"] }, { name: "b", files: ["/p"] }],
  });
  assertEquals(read.slice(-2), ["/p", "/q"]);
  assertEquals(write, ["/g"]);
});
