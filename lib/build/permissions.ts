/**
 * The least that a compiled greylist may do under one configuration: its own
 * files, the environment variables that it knows, and the C library.
 *
 * @module
 */

import { LISTEN_VARIABLES } from "../system/inherited.ts";
import { join } from "@std/path";
import type { ResolvedConfig } from "../config.ts";
import { ConfigError } from "../config/fields.ts";
import { DECISION_VARIABLE } from "../decision.ts";
import { PEER_VARIABLES } from "../peer.ts";
import type { ServeConfig } from "../serve/config.ts";
import { HANDOVER_VARIABLE } from "../serve/handover.ts";
import { NOTIFY_VARIABLES } from "../serve/notify_message.ts";

/** The permissions of a binary. There is none to run programs, none for `sys`. */
export interface Permissions {
  /** Absolute paths. */
  readonly read: readonly string[];
  /** Absolute paths. */
  readonly write: readonly string[];
  /** Names of environment variables. */
  readonly env: readonly string[];
  /**
   * Unrestricted: the list would need the path of libc.so.6, which differs from one
   * distribution to the next.
   */
  readonly ffi: true;
  /** Unrestricted, for whatever DNS server the machine has; or none. */
  readonly net: boolean;
}

/**
 * The least permissions that a configuration needs.
 *
 * @throws {ConfigError} on a path that Deno's options cannot express
 */
export function permissionsOf(
  config: ResolvedConfig,
  serve?: ServeConfig,
): Permissions {
  const { baseDir, controlDir, deferral, log, whitelist, only, pools } = config;
  refuseComma("baseDir", baseDir);
  refuseComma("controlDir", controlDir);
  refuseCommas("whitelist.files", whitelist.files);
  refuseCommas("only.files", only?.files ?? []);
  pools.forEach(({ files }, i) => refuseCommas(`pools[${i}].files`, files));
  const poolFiles = pools.flatMap(({ files }) => files);
  refuseComma("log.target", log.target);
  const logFiles = log.target.startsWith("/") ? [log.target] : [];
  const rblsmtpd = deferral.at === "rblsmtpd" ? ["RBLSMTPD"] : [];
  return {
    read: unique([
      baseDir,
      join(controlDir, "smtpgreeting"),
      join(controlDir, "me"),
      ...whitelist.files,
      ...only?.files ?? [],
      ...poolFiles,
      ...logFiles,
    ]),
    write: unique([baseDir, ...logFiles]),
    env: unique([
      ...PEER_VARIABLES,
      DECISION_VARIABLE,
      ...rblsmtpd,
      "NO_COLOR",
      ...LISTEN_VARIABLES,
      ...NOTIFY_VARIABLES,
      HANDOVER_VARIABLE,
      ...whitelist.env,
      ...only?.env ?? [],
    ]),
    ffi: true,
    net: serve?.nameLookup ?? false,
  };
}

/** A comma ends a path in Deno's lists, and not every version has an escape. */
function refuseComma(field: string, path: string): void {
  if (!path.includes(",")) return;
  throw new ConfigError(field, path, "a path without a comma");
}

function refuseCommas(field: string, paths: readonly string[]): void {
  paths.forEach((path, i) => refuseComma(`${field}[${i}]`, path));
}

/** Each item once, in the order of their first appearance. */
function unique(items: string[]): string[] {
  return [...new Set(items)];
}

/** The options of `deno compile` that grant the permissions, one for each kind. */
export function permissionFlags(permissions: Permissions): string[] {
  const { read, write, env, net } = permissions;
  return [
    `--allow-read=${read.join(",")}`,
    `--allow-write=${write.join(",")}`,
    `--allow-env=${env.join(",")}`,
    "--allow-ffi",
    ...net ? ["--allow-net"] : [],
  ];
}

/** A line for each kind of permission that is granted, then one for the others. */
export function describePermissions(permissions: Permissions): string[] {
  const { read, write, env, net } = permissions;
  return [
    ...read.map((path) => `read ${path}`),
    ...write.map((path) => `write ${path}`),
    ...env.map((name) => `env ${name}`),
    "ffi",
    ...net ? ["net (serve.nameLookup)"] : [],
    `no ${net ? "" : "net, no "}run, no sys, no import`,
  ];
}
