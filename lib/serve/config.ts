/**
 * The part of the configuration that only `serve` needs.
 *
 * @module
 */

import type { Config } from "../config.ts";
import { asNetwork, asVariable, NETWORK } from "../config/resolve.ts";
import { isPlain, Section } from "../config/fields.ts";
import type { Rule } from "./rules.ts";

/** The section `serve` with every default filled in. */
export interface ServeConfig {
  /** Whether the configuration has the section `serve`. */
  readonly configured: boolean;
  readonly limit: number;
  readonly deferredLimit: number;
  /** 0 is any number. */
  readonly limitPerNetwork: number;
  readonly backlog: number;
  readonly nameLookup: boolean;
  readonly user?: string;
  readonly group?: string;
  readonly rules: readonly Rule[];
  /** The load balancers that begin each connection with a PROXY header. */
  readonly proxy: Rule["networks"];
}

const MOST = 1_000_000;

/**
 * Checks the section `serve` and fills in the defaults.
 *
 * @param raw what the configuration module exports as default
 * @throws {ConfigError}
 */
export function resolveServe(raw: unknown): ServeConfig {
  const { serve } = raw as Partial<Config>;
  const section = new Section("serve", serve === undefined ? {} : serve, [
    "limit",
    "deferredLimit",
    "limitPerNetwork",
    "backlog",
    "nameLookup",
    "user",
    "group",
    "rules",
    "proxy",
  ]);
  const resolved: ServeConfig = {
    configured: serve !== undefined,
    limit: section.integer("limit", 40, 1, MOST),
    deferredLimit: section.integer("deferredLimit", 1000, 1, MOST),
    limitPerNetwork: section.integer("limitPerNetwork", 50, 0, MOST),
    backlog: section.integer("backlog", 4096, 1, MOST),
    nameLookup: section.flag("nameLookup", false),
    user: section.optional("user", "the name of a user", asName),
    group: section.optional("group", "the name of a group", asName),
    rules: section.sections("rules", ["networks", "deny", "env"]).map(asRule),
    proxy: section.list("proxy", NETWORK, asNetwork),
  };
  if (resolved.group !== undefined && resolved.user === undefined) {
    section.fail("user", "the name of a user, since serve.group is given");
  }
  return resolved;
}

function asRule(rule: Section): Rule {
  const networks = rule.list("networks", NETWORK, asNetwork);
  if (networks.length === 0) rule.fail("networks", "at least one network");
  return {
    networks,
    deny: rule.flag("deny", false),
    env: rule.parsed("env", {}, VARIABLES, asVariables),
  };
}

const VARIABLES = 'variables such as { RELAYCLIENT: "" }, without NUL';

function asName(value: unknown): string | undefined {
  const good = typeof value === "string" && /^[^\s:\0]+$/.test(value);
  return good ? value : undefined;
}

function asVariables(value: unknown): Record<string, string> | undefined {
  if (!isPlain(value)) return undefined;
  const good = Object.entries(value).every(([name, text]) =>
    asVariable(name) !== undefined && typeof text === "string" &&
    !text.includes("\0")
  );
  return good ? { ...value as Record<string, string> } : undefined;
}
