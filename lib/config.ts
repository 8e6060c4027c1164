/**
 * The configuration: its types, which the editor checks, its defaults, and the
 * validation of what types cannot say.
 *
 * @module
 */

import { type Network, parseNetworkRule } from "./address.ts";
import {
  asPath,
  ConfigError,
  type Duration,
  PATH,
  Section,
} from "./config/fields.ts";
import type { Timeouts } from "./store/policy.ts";

/** An absolute path. */
export type Path = `/${string}`;

/** What the message function is told about the deferral that it words. */
export interface Deferral {
  /** How many seconds from now a retry is let in. */
  readonly seconds: number;
  /** The row of the verdict table. */
  readonly reason: "new" | "early" | "stale" | "expired";
  /** The client's address. */
  readonly ip: string;
}

/** Syslog facilities (RFC 3164 section 4.1.1) that a mail program may use. */
export const FACILITIES = {
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  authpriv: 10,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;

const LEVELS = ["DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"] as const;

/** What `greylist.config.ts` exports. Only `baseDir` must be given. */
export interface Config {
  /** The directory of the entries, one file a client network. */
  baseDir: Path;
  /** Where qmail's `smtpgreeting` and `me` are; the first that exists names this host. */
  controlDir?: Path;
  /** How many leading bits of an address make one client; 32 and 128 are whole addresses. */
  match?: { ipv4?: number; ipv6?: number };
  timeouts?: {
    /** How long a new client has to wait. */
    delay?: Duration;
    /** How long after first contact a retry still counts. */
    retryWindow?: Duration;
    /** How long after its last mail a known client is forgotten. */
    expireAfter?: Duration;
  };
  /** Who is never deferred. */
  whitelist?: {
    /** Addresses and networks: `192.0.2.0/24`, `192.0.2`, `10.`, `2001:db8::/32`. */
    networks?: string[];
    /**
     * Names in TCPREMOTEHOST: `example.org` is that name and every name below it,
     * `.example.org` only the names below.
     */
    hosts?: string[];
    /** Files with one network, address, host, `.suffix` or `/regex/` a line. */
    files?: Path[];
    /** Environment variables that exempt by being set, even to nothing. */
    env?: string[];
    /** Ports of this machine where nobody is deferred. */
    localPorts?: number[];
  };
  deferral?: {
    /** Where the client is told: after RCPT, in the banner, or by rblsmtpd. */
    at?: "rcpt" | "banner" | "rblsmtpd";
    /** The text after `451 4.7.1`, cut to one printable line. */
    message?: (deferral: Deferral) => string;
    /** How long a silent client is waited for. */
    idleTimeout?: Duration;
    /** How long a deferred client may stay in all. */
    sessionTimeout?: Duration;
  };
  /** What happens to the connection when the check itself fails. */
  onError?: "accept" | "defer";
  log?: {
    /** `auto` is stderr, unless that is the client's socket; then syslog. */
    target?: "auto" | "stderr" | "syslog" | Path;
    level?: typeof LEVELS[number];
    facility?: keyof typeof FACILITIES;
  };
  prune?: {
    /** How often forgotten entries are removed; 0 is never. */
    every?: Duration;
  };
  /** The listener `greylist serve`; nothing else looks at it. */
  serve?: {
    /** How many programs run at once; further accepted clients wait. */
    limit?: number;
    /** How many deferred clients are talked to at once; others get a 421. */
    deferredLimit?: number;
    /** How many connections one client network may have; 0 is any number. */
    limitPerNetwork?: number;
    /** How many connections may wait in the kernel to be accepted. */
    backlog?: number;
    /** Whether names of clients are looked up; the binary needs the net for it. */
    nameLookup?: boolean;
    /** Who PROGRAM runs as, and `serve` itself once it listens. */
    user?: string;
    /** Its group; else the user's own. */
    group?: string;
    /** Who may connect, and with which environment; the first that fits counts. */
    rules?: ServeRule[];
  };
}

/** A rule of `serve`, as one line of tcprules(1) is. */
export interface ServeRule {
  /** Addresses and CIDR networks that it is for. */
  networks: string[];
  /** The connection is closed without a word. */
  deny?: boolean;
  /** Variables that the check and PROGRAM find in their environment. */
  env?: Record<string, string>;
}

/** The configuration with every default filled in and every duration in seconds. */
export interface ResolvedConfig {
  readonly baseDir: string;
  readonly controlDir: string;
  readonly match: { readonly ipv4: number; readonly ipv6: number };
  readonly timeouts: Timeouts;
  readonly whitelist: {
    readonly networks: readonly {
      readonly text: string;
      readonly network: Network;
    }[];
    readonly hosts: readonly string[];
    readonly files: readonly string[];
    readonly env: readonly string[];
    readonly localPorts: readonly number[];
  };
  readonly deferral: {
    readonly at: "rcpt" | "banner" | "rblsmtpd";
    readonly message: (deferral: Deferral) => string;
    readonly idleTimeout: number;
    readonly sessionTimeout: number;
  };
  readonly onError: "accept" | "defer";
  readonly log: {
    readonly target: string;
    readonly level: typeof LEVELS[number];
    readonly facility: keyof typeof FACILITIES;
  };
  readonly prune: { readonly every: number };
}

/**
 * Gives `greylist.config.ts` its type. It checks nothing at run time, so that a
 * bad value cannot end the program before there is somebody to report it.
 *
 * @example
 * ```ts
 * export default defineConfig({ baseDir: "/var/qmail/greylist" });
 * ```
 */
export function defineConfig(config: Config): Config {
  return config;
}

/** Whether the text is a host name, or with a leading dot a suffix of one. */
export function isHostPattern(text: string): boolean {
  // Numbers alone are no host: a slip in an address must not become a name.
  return text.length <= 255 && !/^[\d.]+$/.test(text) &&
    /^\.?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/i
      .test(text);
}

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
    "deferral",
    "onError",
    "log",
    "prune",
    // Its fields are for serve/config.ts: no connection has to pay for them.
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
      networks: whitelist.list("networks", NETWORK, asNetwork),
      hosts: whitelist.list("hosts", HOST, (item) => {
        const good = typeof item === "string" && isHostPattern(item);
        return good ? item.toLowerCase() : undefined;
      }),
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
    deferral: {
      at: deferral.choice("at", "rcpt", ["rcpt", "banner", "rblsmtpd"]),
      message: deferral.parsed("message", defaultMessage, MESSAGE, asMessage),
      idleTimeout: deferral.duration("idleTimeout", "60s"),
      sessionTimeout: deferral.duration("sessionTimeout", "5m"),
    },
    onError: top.choice("onError", "accept", ["accept", "defer"]),
    log: {
      target: log.parsed("target", "auto", TARGET, asTarget),
      level: log.choice("level", "INFO", LEVELS),
      facility: log.choice(
        "facility",
        "mail",
        Object.keys(FACILITIES) as (keyof typeof FACILITIES)[],
      ),
    },
    prune: { every: prune.duration("every", "1h", 0) },
  };
  const { delay, retryWindow } = config.timeouts;
  if (delay > retryWindow) {
    throw new ConfigError(
      "timeouts.delay",
      delay,
      `at most timeouts.retryWindow, which is ${retryWindow} seconds: ` +
        "nobody would ever be let in",
    );
  }
  return config;
}

export const NETWORK = 'an address or a network such as "192.0.2.0/24" or ' +
  '"2001:db8::/32", with no host bits set';
const HOST = 'a host name such as "mx.example.com", which counts with all ' +
  'names below it, or ".example.org" for only the names below';
const ENV = 'the name of an environment variable such as "RELAYCLIENT"';
const PORT = "a port number from 1 to 65535";

/** The value where it is a network as text. */
export function asNetwork(
  value: unknown,
): { text: string; network: Network } | undefined {
  if (typeof value !== "string") return undefined;
  const network = parseNetworkRule(value);
  return network && { text: value, network };
}

/** The value where it can name an environment variable. */
export function asVariable(value: unknown): string | undefined {
  const good = typeof value === "string" && /^[A-Za-z_]\w*$/.test(value);
  return good ? value : undefined;
}

const MESSAGE = "a function of { seconds, reason, ip } that returns text";
const TARGET = '"auto", "stderr", "syslog" or an absolute path';

function asMessage(value: unknown) {
  if (typeof value !== "function") return undefined;
  const message = value as (deferral: Deferral) => string;
  try {
    const text = message({ seconds: 60, reason: "new", ip: "192.0.2.1" });
    return typeof text === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}

function asTarget(value: unknown): string | undefined {
  const names: unknown[] = ["auto", "stderr", "syslog"];
  return names.includes(value) ? value as string : asPath(value);
}

/** The text of a deferral where the configuration gives none. */
export function defaultMessage({ seconds }: Deferral): string {
  return `Greylisted, please try again in ${seconds} seconds`;
}
