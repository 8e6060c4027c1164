/**
 * Checks a configuration and fills in its defaults.
 *
 * @module
 */

import { type Network, parseNetwork, parseNetworkRule } from "../address.ts";
import type { ResolvedConfig } from "../config.ts";
import { FACILITIES, type Facility, LEVELS } from "../log/settings.ts";
import { reasonOf } from "../reason.ts";
import { defaultMessage, type Deferral } from "../smtp/refusal.ts";
import { DEFER_REASONS } from "../store/policy.ts";
import { NO_RULE, parseRule } from "../whitelist/file.ts";
import { isPoolName, type Pool } from "../whitelist/pools.ts";
import type { Only } from "../whitelist/only.ts";
import { isHostPattern } from "../whitelist/host_pattern.ts";
import { asPath, ConfigError, Fault, PATH, Section } from "./fields.ts";

/**
 * Checks a configuration and fills in the defaults.
 *
 * @param raw what the configuration module exports as default
 * @throws {ConfigError} that names the first field that is wrong, its value and
 * what is expected there
 */
export function resolveConfig(raw: unknown): ResolvedConfig {
  const top = new Section("", raw, [
    "baseDir",
    "controlDir",
    "match",
    "timeouts",
    "whitelist",
    "pools",
    "only",
    "deferral",
    "mode",
    "onError",
    "storeTimeout",
    "log",
    "prune",
    // serve/config.ts checks its fields. A connection to the wrapper does not need
    // them.
    "serve",
  ]);
  const match = top.section("match", ["ipv4", "ipv6"]);
  const timeouts = top.section("timeouts", [
    "delay",
    "retryWindow",
    "expireAfter",
  ]);
  const whitelist = top.section("whitelist", [
    "networks",
    "hosts",
    "files",
    "env",
    "localPorts",
  ]);
  const deferral = top.section("deferral", [
    "at",
    "message",
    "idleTimeout",
    "sessionTimeout",
  ]);
  const log = top.section("log", ["target", "level", "facility"]);
  const prune = top.section("prune", ["every"]);
  const config: ResolvedConfig = {
    baseDir: top.path("baseDir"),
    controlDir: top.path("controlDir", "/var/qmail/control"),
    match: {
      ipv4: match.integer("ipv4", 24, 1, 32),
      ipv6: match.integer("ipv6", 64, 1, 128),
    },
    timeouts: {
      delay: timeouts.duration("delay", "1m"),
      retryWindow: timeouts.duration("retryWindow", "24h"),
      expireAfter: timeouts.duration("expireAfter", "36d"),
    },
    whitelist: {
      networks: whitelist.list("networks", NETWORK, asNetworkRule),
      hosts: whitelist.list("hosts", HOST, asHost),
      files: whitelist.list("files", PATH, asPath),
      env: whitelist.list("env", ENV, asVariable, [
        "RELAYCLIENT",
        "WHITELISTED",
      ]),
      localPorts: whitelist.list("localPorts", PORT, (item) => {
        const port = item as number;
        const good = Number.isInteger(port) && port >= 1 && port <= 65535;
        return good ? port : undefined;
      }),
    },
    pools: resolvePools(top),
    ...resolveOnly(top),
    deferral: {
      at: deferral.choice("at", "rcpt", ["rcpt", "banner", "rblsmtpd"]),
      message: deferral.parsed("message", defaultMessage, MESSAGE, asMessage),
      idleTimeout: deferral.duration("idleTimeout", "60s"),
      sessionTimeout: deferral.duration("sessionTimeout", "5m"),
    },
    mode: top.choice("mode", "enforce", ["enforce", "observe"]),
    onError: top.choice("onError", "accept", ["accept", "defer"]),
    storeTimeout: top.duration("storeTimeout", "2s"),
    log: {
      target: log.parsed("target", "auto", TARGET, asTarget),
      level: log.choice("level", "INFO", LEVELS),
      facility: log.choice(
        "facility",
        "mail",
        Object.keys(FACILITIES) as Facility[],
      ),
    },
    prune: { every: prune.duration("every", "1h", 0) },
  };
  const { delay, retryWindow } = config.timeouts;
  // With both equal, a retry would count for one instant only.
  if (delay >= retryWindow) {
    throw new ConfigError(
      "timeouts.delay",
      delay,
      `less than timeouts.retryWindow, which is ${retryWindow} seconds: ` +
        "nobody would ever be let in",
    );
  }
  return config;
}

function resolvePools(top: Section): Pool[] {
  const fields = ["name", "networks", "hosts", "files"];
  const names = new Set<string>();
  return top.sections("pools", fields).map((pool) => {
    const resolved: Pool = {
      name: pool.parsed("name", undefined, POOL, (value) => {
        const good = typeof value === "string" && isPoolName(value);
        return good && !names.has(value) ? value : undefined;
      }),
      networks: pool.list("networks", NETWORK, asNetworkRule),
      hosts: pool.list("hosts", HOST, asHost),
      files: pool.list("files", PATH, asPath),
    };
    const { name, ...members } = resolved;
    names.add(name);
    if (Object.values(members).every((list) => list.length === 0)) {
      pool.fail(
        "files",
        "networks, hosts or files that say who is in the pool",
      );
    }
    return resolved;
  });
}

/** The field `only`, if it is given. */
function resolveOnly(top: Section): { only?: Only } {
  const fields = ["nameless", "hosts", "networks", "files", "env"];
  const only = top.optionalSection("only", fields);
  if (only === undefined) return {};
  const resolved: Only = {
    nameless: only.flag("nameless", false),
    hosts: only.list("hosts", HOST_OR_EXPRESSION, asHostOrExpression),
    networks: only.list("networks", NETWORK, asNetworkRule),
    files: only.list("files", PATH, asPath),
    env: only.list("env", ENV, asVariable),
  };
  const { nameless, ...lists } = resolved;
  if (!nameless && Object.values(lists).every((list) => list.length === 0)) {
    top.fail(
      "only",
      "nameless: true or a list that is not empty, or no client would ever wait",
    );
  }
  return { only: resolved };
}

function asHost(value: unknown): string | undefined {
  const good = typeof value === "string" && isHostPattern(value);
  return good ? value.toLowerCase() : undefined;
}

function asHostOrExpression(value: unknown): string | undefined {
  if (typeof value !== "string" || !value.startsWith("/")) return asHost(value);
  const rule = parseRule(value);
  if (!("fault" in rule)) return value;
  if (rule === NO_RULE) return undefined;
  throw new Fault(rule.fault);
}

/** What is expected of a network. */
export const NETWORK = 'an address or a network such as "192.0.2.0/24" or ' +
  '"2001:db8::/32", with no host bits set';

const HOST = 'a host name such as "mx.example.com", which counts with all ' +
  'names below it, or ".example.org" for only the names below';
const POOL = 'a name of up to 64 letters, digits, "." and "-", a letter or ' +
  "digit first and last, that no pool before has";
const HOST_OR_EXPRESSION = HOST + ', or an expression such as "/dsl/" (see ' +
  '"greylist help whitelist")';
const ENV = 'the name of an environment variable such as "RELAYCLIENT"';
const PORT = "a port number from 1 to 65535";

/** A network, and the text that it was configured as. */
interface NamedNetwork {
  readonly text: string;
  readonly network: Network;
}

/**
 * The value if it is a network in full, else undefined. For rules of `serve`: there
 * a slip such as `203.0.113` would give RELAYCLIENT to 256 hosts.
 */
export function asNetwork(value: unknown): NamedNetwork | undefined {
  return named(value, parseNetwork);
}

/** The value if it is a network in a form of whitelist files, else undefined. */
function asNetworkRule(value: unknown): NamedNetwork | undefined {
  return named(value, parseNetworkRule);
}

function named(
  value: unknown,
  parse: (text: string) => Network | undefined,
): NamedNetwork | undefined {
  if (typeof value !== "string") return undefined;
  const network = parse(value);
  return network && { text: value, network };
}

/** The value if it can name an environment variable, else undefined. */
export function asVariable(value: unknown): string | undefined {
  const good = typeof value === "string" && /^[A-Za-z_]\w*$/.test(value);
  return good ? value : undefined;
}

const MESSAGE = "a function of { seconds, reason, ip } that returns text";
const TARGET = '"auto", "stderr", "syslog" or an absolute path';

function asMessage(value: unknown) {
  if (typeof value !== "function") return undefined;
  const message = value as (deferral: Deferral) => string;
  for (const reason of DEFER_REASONS) {
    const given = `reason ${JSON.stringify(reason)}`;
    let text: unknown;
    try {
      text = message({ seconds: 60, reason, ip: "192.0.2.1" });
    } catch (error) {
      const thrown = JSON.stringify(reasonOf(error));
      throw new Fault(`for ${given} it throws ${thrown}`);
    }
    if (typeof text !== "string") return undefined;
  }
  return message;
}

function asTarget(value: unknown): string | undefined {
  const names: unknown[] = ["auto", "stderr", "syslog"];
  return names.includes(value) ? value as string : asPath(value);
}
