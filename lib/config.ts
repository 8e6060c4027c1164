/**
 * What `greylist.config.ts` imports: `defineConfig()` and the types, which the
 * editor checks. lib/config/resolve.ts checks the values.
 *
 * @module
 */

import type { PrefixLengths } from "./address.ts";
import type { Duration } from "./config/fields.ts";
import type { Facility, Level, LogSettings } from "./log/settings.ts";
import type { Deferral } from "./smtp/refusal.ts";
import type { Timeouts } from "./store/policy.ts";
import type { Whitelist } from "./whitelist/exemption.ts";
import type { Only } from "./whitelist/only.ts";
import type { Pool } from "./whitelist/pools.ts";

export type { Deferral };

/** An absolute path. */
export type Path = `/${string}`;

/** What `greylist.config.ts` exports. Only `baseDir` must be given. */
export interface Config {
  /** The directory of the entries, one file a client network. */
  baseDir: Path;
  /** Where qmail's `smtpgreeting` and `me` are; the first that exists names this host. */
  controlDir?: Path;
  /** How many leading bits of an address make one client; 32 and 128 are whole addresses. */
  match?: { ipv4?: number; ipv6?: number };
  timeouts?: {
    /** How long a new client has to wait; less than `retryWindow`. */
    delay?: Duration;
    /** How long after first contact a retry still counts. */
    retryWindow?: Duration;
    /** How long after its last mail a known client is forgotten. */
    expireAfter?: Duration;
  };
  /** Clients that are never deferred. */
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
    /** Ports of this machine on which no client is deferred. */
    localPorts?: number[];
  };
  /**
   * Senders that retry from another network each time. All members of a pool are
   * one client; a client that several pools have belongs to the first.
   */
  pools?: {
    /** Letters, digits, `.` and `-`; the entry is `@` and the name. */
    name: string;
    /** Addresses and networks. */
    networks?: string[];
    /** Names in TCPREMOTEHOST, as in `whitelist.hosts`. */
    hosts?: string[];
    /** Files of the form of whitelist files, such as `deno task spf` makes. */
    files?: Path[];
  }[];
  /**
   * Which clients are greylisted at all; if it is left out, every client. At least
   * one field has to be given.
   */
  only?: {
    /** Clients without a name: TCPREMOTEHOST is missing, or is the address. */
    nameless?: boolean;
    /** Names in TCPREMOTEHOST: as in `whitelist.hosts`, or `/regex/`. */
    hosts?: string[];
    /** Addresses and networks. */
    networks?: string[];
    /** Files of the form of whitelist files. */
    files?: Path[];
    /** Environment variables that make a client suspect by being set. */
    env?: string[];
  };
  deferral?: {
    /** How the client is deferred: after RCPT, in the banner, or by rblsmtpd. */
    at?: "rcpt" | "banner" | "rblsmtpd";
    /** The text after `451 4.7.1`, cut to one printable line. */
    message?: (deferral: Deferral) => string;
    /** How long a client may be silent. */
    idleTimeout?: Duration;
    /** How long a deferred client may stay in all. */
    sessionTimeout?: Duration;
  };
  /**
   * `observe` lets every client in, and writes the database and the log as if
   * clients were deferred.
   */
  mode?: "enforce" | "observe";
  /** What happens to the connection when the check itself fails. */
  onError?: "accept" | "defer";
  /**
   * How long the base directory may take over one client. After that onError
   * decides. In the wrapper, a log file may take the rest of it, or half a second.
   */
  storeTimeout?: Duration;
  log?: {
    /** `auto` is stderr, unless that is the client's socket; then syslog. */
    target?: "auto" | "stderr" | "syslog" | Path;
    level?: Level;
    facility?: Facility;
  };
  prune?: {
    /** How often forgotten entries are removed; 0 is never. */
    every?: Duration;
  };
  /** The listener `greylist serve`; nothing else looks at it. */
  serve?: {
    /** How many programs run at once; further accepted clients wait. */
    limit?: number;
    /** How many deferred clients `serve` talks to at once; others get a 421. */
    deferredLimit?: number;
    /** How many connections one client network may have; 0 is any number. */
    limitPerNetwork?: number;
    /** How many connections may wait in the kernel to be accepted. */
    backlog?: number;
    /** Whether names of clients are looked up; the binary may then use the net. */
    nameLookup?: boolean;
    /** The user that PROGRAM runs as, and `serve` itself once it listens. */
    user?: string;
    /** Its group; else the user's own. */
    group?: string;
    /** Which clients may connect, and with which environment; the first match counts. */
    rules?: ServeRule[];
    /** Addresses and CIDR networks of balancers that speak the PROXY protocol. */
    proxy?: string[];
  };
}

/** A rule of `serve`; one line of tcprules(1) does the same for tcpserver. */
export interface ServeRule {
  /** Addresses and CIDR networks that the rule is for. */
  networks: string[];
  /** If true, the connection is closed without a reply. */
  deny?: boolean;
  /** Variables that the check and PROGRAM find in their environment. */
  env?: Record<string, string>;
}

/** The configuration with every default filled in and every duration in seconds. */
export interface ResolvedConfig {
  readonly baseDir: string;
  readonly controlDir: string;
  readonly match: PrefixLengths;
  readonly timeouts: Timeouts;
  readonly whitelist: Whitelist;
  readonly pools: readonly Pool[];
  /** Missing if every client is greylisted. */
  readonly only?: Only;
  readonly deferral: {
    readonly at: "rcpt" | "banner" | "rblsmtpd";
    readonly message: (deferral: Deferral) => string;
    readonly idleTimeout: number;
    readonly sessionTimeout: number;
  };
  readonly mode: "enforce" | "observe";
  readonly onError: "accept" | "defer";
  readonly storeTimeout: number;
  readonly log: LogSettings;
  readonly prune: { readonly every: number };
}

/**
 * Gives `greylist.config.ts` its type. Nothing is checked here at run time: a bad
 * value must not end the program before a log is open.
 *
 * @example
 * ```ts
 * export default defineConfig({ baseDir: "/var/qmail/greylist" });
 * ```
 */
export function defineConfig(config: Config): Config {
  return config;
}
