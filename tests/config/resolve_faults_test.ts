// What the configuration refuses, and how.

import { assertEquals, assertThrows } from "@std/assert";
import { type Config, type Deferral } from "../../lib/config.ts";
import { ConfigError } from "../../lib/config/fields.ts";
import { resolveConfig } from "../../lib/config/resolve.ts";
import { FACILITIES } from "../../lib/log/settings.ts";
import { DEFER_REASONS } from "../../lib/store/policy.ts";
import { isHostPattern } from "../../lib/whitelist/host_pattern.ts";

const BASE = { baseDir: "/var/qmail/greylist" } as const;

/** The message of resolveConfig about a bad configuration, which is one line. */
function fault(raw: unknown): string {
  const { message } = assertThrows(() => resolveConfig(raw), ConfigError);
  assertEquals(message.includes("\n"), false, message);
  return message;
}

const NETWORK = 'an address or a network such as "192.0.2.0/24" or ' +
  '"2001:db8::/32", with no host bits set';
const HOST =
  'a host name such as "mx.example.com", which counts with all names below ' +
  'it, or ".example.org" for only the names below';
const POOL = 'a name of up to 64 letters, digits, "." and "-", a letter or ' +
  "digit first and last, that no pool before has";
const ENV = 'the name of an environment variable such as "RELAYCLIENT"';
const PORT = "a port number from 1 to 65535";
const PATH = 'an absolute path such as "/var/qmail/greylist"';
const DURATION = 'seconds as a number, or a duration such as "90s", "5m", ' +
  '"24h" or "36d"';
const MESSAGE = "a function of { seconds, reason, ip } that returns text";
const TARGET = '"auto", "stderr", "syslog" or an absolute path';
const FACILITY = "one of " +
  Object.keys(FACILITIES).map((name) => `"${name}"`).join(", ");
const LEVEL = 'one of "DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"';

Deno.test("config: bad values", () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const long = "x".repeat(1000);
  const throws = () => {
    throw new Error("boo");
  };
  /** Some fields beside a good baseDir, and the message. */
  const cases: [Record<string, unknown>, string][] = [
    [{ baseDir: undefined }, `baseDir: not given: expected ${PATH}`],
    [{ baseDir: null }, `baseDir: null: expected ${PATH}`],
    [{ baseDir: "" }, `baseDir: "": expected ${PATH}`],
    [{ baseDir: "greylist" }, `baseDir: "greylist": expected ${PATH}`],
    [{ baseDir: "./g" }, `baseDir: "./g": expected ${PATH}`],
    [{ baseDir: 5 }, `baseDir: 5: expected ${PATH}`],
    [{ baseDir: 5n }, `baseDir: 5: expected ${PATH}`],
    [{ baseDir: "/a\nb" }, `baseDir: "/a\\nb": expected ${PATH}`],
    [{ baseDir: "/a\0b" }, `baseDir: "/a\\u0000b": expected ${PATH}`],
    [{ baseDir: ["/g"] }, `baseDir: ["/g"]: expected ${PATH}`],
    [
      { baseDir: long },
      `baseDir: "${"x".repeat(76)}...: expected ${PATH}`,
    ],
    [{ baseDir: cyclic }, `baseDir: an object: expected ${PATH}`],
    [{ controlDir: "control" }, `controlDir: "control": expected ${PATH}`],

    [{ match: 24 }, "match: 24: expected an object"],
    [{ match: [24, 64] }, "match: [24,64]: expected an object"],
    [
      { match: { ipv4: 33 } },
      "match.ipv4: 33: expected a whole number from 1 to 32",
    ],
    [
      { match: { ipv4: 0 } },
      "match.ipv4: 0: expected a whole number from 1 to 32",
    ],
    [
      { match: { ipv6: 129 } },
      "match.ipv6: 129: expected a whole number from 1 to 128",
    ],
    [
      { match: { ipv6: "64" } },
      'match.ipv6: "64": expected a whole number from 1 to 128',
    ],
    [
      { match: { ipv5: 24 } },
      "match.ipv5: 24: expected one of the fields ipv4, ipv6",
    ],

    [
      { timeouts: { delay: "1 m" } },
      `timeouts.delay: "1 m": expected ${DURATION}`,
    ],
    [{ timeouts: { delay: -1 } }, `timeouts.delay: -1: expected ${DURATION}`],
    [{ timeouts: { delay: NaN } }, `timeouts.delay: NaN: expected ${DURATION}`],
    [{ timeouts: { delay: 60n } }, `timeouts.delay: 60: expected ${DURATION}`],
    [
      { timeouts: { retryWindow: "5w" } },
      `timeouts.retryWindow: "5w": expected ${DURATION}`,
    ],
    [
      { timeouts: { expireAfter: Infinity } },
      `timeouts.expireAfter: Infinity: expected ${DURATION}`,
    ],
    [
      { timeouts: { expireAfter: null } },
      `timeouts.expireAfter: null: expected ${DURATION}`,
    ],
    [
      { timeouts: { delay: "25h" } },
      "timeouts.delay: 90000: expected less than timeouts.retryWindow, which " +
      "is 86400 seconds: nobody would ever be let in",
    ],
    [
      { timeouts: { retryWindow: "59s" } },
      "timeouts.delay: 60: expected less than timeouts.retryWindow, which is " +
      "59 seconds: nobody would ever be let in",
    ],
    // The retry would have to come at one instant.
    [
      { timeouts: { delay: "24h" } },
      "timeouts.delay: 86400: expected less than timeouts.retryWindow, which " +
      "is 86400 seconds: nobody would ever be let in",
    ],
    [
      { timeouts: { expire: 1 } },
      "timeouts.expire: 1: expected one of the fields delay, retryWindow, " +
      "expireAfter",
    ],

    [
      { whitelist: { networks: "::1" } },
      `whitelist.networks: "::1": expected a list, each ${NETWORK}`,
    ],
    [
      { whitelist: { networks: ["::1", "10.0.0.1/33"] } },
      `whitelist.networks[1]: "10.0.0.1/33": expected ${NETWORK}`,
    ],
    [
      { whitelist: { networks: ["10.0.0.1/8"] } },
      `whitelist.networks[0]: "10.0.0.1/8": expected ${NETWORK}`,
    ],
    [
      { whitelist: { networks: [10] } },
      `whitelist.networks[0]: 10: expected ${NETWORK}`,
    ],
    [
      // deno-lint-ignore no-sparse-arrays
      { whitelist: { networks: [, "::1"] } },
      `whitelist.networks[0]: not given: expected ${NETWORK}`,
    ],
    ...["", ".", "a..b", "a b", "-a", "a-", "é.example", "*.example.org", "a."]
      .map((host): [Record<string, unknown>, string] => [
        { whitelist: { hosts: [host] } },
        `whitelist.hosts[0]: ${JSON.stringify(host)}: expected ${HOST}`,
      ]),
    // They would never match a name.
    ...["10.0.0.1", "192.0.2.37-53", "192.0.2.0_24", "192.0.2.x"].map((host) =>
      [
        { whitelist: { hosts: [host] } },
        `whitelist.hosts[0]: "${host}": expected ${HOST}`,
      ] as [Record<string, unknown>, string]
    ),
    [
      { whitelist: { files: ["/w", "w"] } },
      `whitelist.files[1]: "w": expected ${PATH}`,
    ],
    ...["", "A B", "A=B", "1A", "A-B", "É", "A\n", "A\0"].map((
      name,
    ): [Record<string, unknown>, string] => [
      { whitelist: { env: [name] } },
      `whitelist.env[0]: ${JSON.stringify(name)}: expected ${ENV}`,
    ]),
    ...[0, 65536, -1, 25.5].map((
      port,
    ): [Record<string, unknown>, string] => [
      { whitelist: { localPorts: [port] } },
      `whitelist.localPorts[0]: ${port}: expected ${PORT}`,
    ]),
    [
      { whitelist: { localPorts: ["465"] } },
      `whitelist.localPorts[0]: "465": expected ${PORT}`,
    ],
    [
      { whitelist: { ports: [] } },
      "whitelist.ports: []: expected one of the fields networks, hosts, " +
      "files, env, localPorts",
    ],

    [
      { deferral: { at: "RCPT" } },
      'deferral.at: "RCPT": expected one of "rcpt", "banner", "rblsmtpd"',
    ],
    [
      { deferral: { message: "Later" } },
      `deferral.message: "Later": expected ${MESSAGE}`,
    ],
    [
      { deferral: { message: throws } },
      `deferral.message: a function: expected ${MESSAGE}; ` +
      'for reason "new" it throws "boo"',
    ],
    ...DEFER_REASONS.map((reason): [object, string] => [
      {
        deferral: {
          message: (d: Deferral) => d.reason === reason ? throws() : "Later",
        },
      },
      `deferral.message: a function: expected ${MESSAGE}; ` +
      `for reason "${reason}" it throws "boo"`,
    ]),
    [
      {
        deferral: {
          message: (d: Deferral) => d.reason === "stale" ? undefined : "Later",
        },
      },
      `deferral.message: a function: expected ${MESSAGE}`,
    ],
    [
      { deferral: { message: () => 5 } },
      `deferral.message: a function: expected ${MESSAGE}`,
    ],
    [
      { deferral: { message: () => Promise.resolve("Later") } },
      `deferral.message: a function: expected ${MESSAGE}`,
    ],
    [
      { deferral: { idleTimeout: "1x" } },
      `deferral.idleTimeout: "1x": expected ${DURATION}`,
    ],
    [
      { deferral: { sessionTimeout: [] } },
      `deferral.sessionTimeout: []: expected ${DURATION}`,
    ],
    [
      { deferral: { text: "x" } },
      'deferral.text: "x": expected one of the fields at, message, ' +
      "idleTimeout, sessionTimeout",
    ],

    [
      { onError: "reject" },
      'onError: "reject": expected one of "accept", "defer"',
    ],
    ...[
      "",
      "a b",
      "@a",
      "a/b",
      "..",
      ".a",
      "a-",
      "é",
      "x".repeat(65),
      5,
      undefined,
    ]
      .map((name) =>
        [
          { pools: [{ name, hosts: ["a.example"] }] },
          `pools[0].name: ${
            name === undefined ? "not given" : JSON.stringify(name)
          }: expected ${POOL}`,
        ] as [Record<string, unknown>, string]
      ),
    [
      { pools: [{ name: "a", hosts: ["a"] }, { name: "a", hosts: ["b"] }] },
      `pools[1].name: "a": expected ${POOL}`,
    ],
    [
      { pools: [{ name: "a" }] },
      "pools[0].files: not given: expected networks, hosts or files that say " +
      "who is in the pool",
    ],
    [
      { pools: [{ name: "a", env: ["X"] }] },
      'pools[0].env: ["X"]: expected one of the fields name, networks, hosts, ' +
      "files",
    ],
    [
      { pools: [{ name: "a", networks: ["10.0.0.1/8"] }] },
      `pools[0].networks[0]: "10.0.0.1/8": expected ${NETWORK}`,
    ],
    [{ pools: {} }, "pools: {}: expected a list of objects"],
    ...[{}, { nameless: false }, { hosts: [], env: [] }].map((only) =>
      [
        { only },
        `only: ${
          JSON.stringify(only)
        }: expected nameless: true or a list that ` +
        "is not empty, or no client would ever wait",
      ] as [Record<string, unknown>, string]
    ),
    ...[
      ["/(/", "; unterminated group"],
      ["/(a)\\1/", "; \\1: a back-reference cannot be matched in linear time"],
      ["/dsl\\z/", "; \\z: write $"],
      // No expression at all.
      ["/dsl", ""],
      ["//", ""],
    ].map(([host, reason]) =>
      [
        { only: { hosts: ["/dsl/", host] } },
        `only.hosts[1]: ${JSON.stringify(host)}: expected ${HOST}, or an ` +
        `expression such as "/dsl/" (see "greylist help whitelist")${reason}`,
      ] as [Record<string, unknown>, string]
    ),
    [
      { only: { localPorts: [25] } },
      "only.localPorts: [25]: expected one of the fields nameless, hosts, " +
      "networks, files, env",
    ],
    [{ only: true }, "only: true: expected an object"],
    [
      { mode: "watch" },
      'mode: "watch": expected one of "enforce", "observe"',
    ],
    [{ onError: true }, 'onError: true: expected one of "accept", "defer"'],

    [{ log: "syslog" }, 'log: "syslog": expected an object'],
    [{ log: { target: "log" } }, `log.target: "log": expected ${TARGET}`],
    [{ log: { target: 2 } }, `log.target: 2: expected ${TARGET}`],
    [{ log: { level: "info" } }, `log.level: "info": expected ${LEVEL}`],
    [{ log: { level: 20 } }, `log.level: 20: expected ${LEVEL}`],
    [
      { log: { facility: "kern" } },
      `log.facility: "kern": expected ${FACILITY}`,
    ],
    [
      { log: { facility: "toString" } },
      `log.facility: "toString": expected ${FACILITY}`,
    ],
    [
      { log: { file: "/x" } },
      'log.file: "/x": expected one of the fields target, level, facility',
    ],

    [{ prune: "1h" }, 'prune: "1h": expected an object'],
    [{ prune: { every: -1 } }, `prune.every: -1: expected ${DURATION}`],
    [{ prune: { every: null } }, `prune.every: null: expected ${DURATION}`],
    [
      { prune: { at: 1 } },
      "prune.at: 1: expected one of the fields every",
    ],

    [
      { basedir: "/x" },
      'basedir: "/x": expected one of the fields baseDir, controlDir, match, ' +
      "timeouts, whitelist, pools, only, deferral, mode, onError, storeTimeout, log, prune, serve",
    ],
    [
      JSON.parse('{"__proto__": {"baseDir": "/x"}}'),
      '__proto__: {"baseDir":"/x"}: expected one of the fields baseDir, ' +
      "controlDir, match, timeouts, whitelist, pools, only, deferral, mode, onError, storeTimeout, log, prune, serve",
    ],
  ];
  for (const [fields, expected] of cases) {
    // A spread would make a prototype of what JSON gives as a field.
    const raw = Object.defineProperties(
      { ...BASE },
      Object.getOwnPropertyDescriptors(fields),
    );
    assertEquals(fault(raw), expected);
  }
});

Deno.test("config: a time that is too short", () => {
  const cases: [Record<string, unknown>, string][] = [
    [{ timeouts: { delay: 0 } }, "timeouts.delay: 0"],
    [{ timeouts: { retryWindow: 0 } }, "timeouts.retryWindow: 0"],
    [{ timeouts: { expireAfter: "0d" } }, 'timeouts.expireAfter: "0d"'],
    [{ deferral: { idleTimeout: 0.5 } }, "deferral.idleTimeout: 0.5"],
    [{ deferral: { sessionTimeout: 0 } }, "deferral.sessionTimeout: 0"],
  ];
  for (const [fields, expected] of cases) {
    const message = fault({ ...BASE, ...fields });
    assertEquals(message.startsWith(`${expected}: expected at least 1 `), true);
  }
});

Deno.test("config: a time that is too long", () => {
  const cases: [Record<string, unknown>, string][] = [
    [{ timeouts: { expireAfter: "3651d" } }, 'timeouts.expireAfter: "3651d"'],
    [
      { deferral: { idleTimeout: "1000000000s" } },
      'deferral.idleTimeout: "1000000000s"',
    ],
    [
      { deferral: { sessionTimeout: 1e9 } },
      "deferral.sessionTimeout: 1000000000",
    ],
    [{ storeTimeout: "30000d" }, 'storeTimeout: "30000d"'],
    [{ prune: { every: 2 ** 32 } }, "prune.every: 4294967296"],
  ];
  for (const [fields, field] of cases) {
    assertEquals(
      fault({ ...BASE, ...fields }),
      `${field}: expected at most ten years, "3650d"`,
    );
  }
});

Deno.test("config: values that are no object", () => {
  const expected = "expected what defineConfig({ ... }) returns";
  const cases: [unknown, string][] = [
    [undefined, `default export: not given: ${expected}`],
    [null, `default export: null: ${expected}`],
    ["/x", `default export: "/x": ${expected}`],
    [
      [BASE],
      `default export: [{"baseDir":"/var/qmail/greylist"}]: ${expected}`,
    ],
    [() => BASE, `default export: a function: ${expected}`],
  ];
  for (const [raw, message] of cases) assertEquals(fault(raw), message);
});

Deno.test("config: huge values end soon", () => {
  const networks = Array.from({ length: 50_000 }, (_, i) => `10.0.0.${i}`);
  assertEquals(
    fault({ ...BASE, whitelist: { networks } }),
    `whitelist.networks[256]: "10.0.0.256": expected ${NETWORK}`,
  );
  for (const host of ["a".repeat(255) + "!", "a.".repeat(127) + "!"]) {
    assertEquals(isHostPattern(host), false);
  }
  assertEquals(isHostPattern("a".repeat(100_000)), false);
  assertEquals(isHostPattern("a.".repeat(127) + "a"), true);
});

Deno.test("config: mistakes that the editor marks", () => {
  // The point is that these lines do not compile without the directives.
  const wrong: Config[] = [
    // @ts-expect-error baseDir is missing
    {},
    // @ts-expect-error misspelt
    { ...BASE, timeout: {} },
    // @ts-expect-error misspelt, in a section
    { ...BASE, timeouts: { dealy: "1m" } },
    // @ts-expect-error no such unit
    { ...BASE, timeouts: { delay: "1w" } },
    // @ts-expect-error no unit
    { ...BASE, timeouts: { delay: "60" } },
    // @ts-expect-error a relative path
    { baseDir: "greylist" },
    // @ts-expect-error a relative path
    { ...BASE, controlDir: "control" },
    // @ts-expect-error a relative path in a list
    { ...BASE, whitelist: { files: ["whitelist"] } },
    // @ts-expect-error a number as text
    { ...BASE, match: { ipv4: "24" } },
    // @ts-expect-error a port as text
    { ...BASE, whitelist: { localPorts: ["465"] } },
    // @ts-expect-error no list
    { ...BASE, whitelist: { networks: "127.0.0.1" } },
    // @ts-expect-error no such place
    { ...BASE, deferral: { at: "mail" } },
    // @ts-expect-error no function
    { ...BASE, deferral: { message: "Later" } },
    // @ts-expect-error no text
    { ...BASE, deferral: { message: () => 5 } },
    // @ts-expect-error no such field in what it is told
    { ...BASE, deferral: { message: (d) => `${d.minutes}` } },
    // @ts-expect-error no such way
    { ...BASE, onError: "reject" },
    // @ts-expect-error neither a word nor an absolute path
    { ...BASE, log: { target: "greylist.log" } },
    // @ts-expect-error lower case
    { ...BASE, log: { level: "info" } },
    // @ts-expect-error no such facility
    { ...BASE, log: { facility: "kern" } },
    // @ts-expect-error null is no way to say never
    { ...BASE, prune: { every: null } },
  ];
  // The program refuses them as well.
  for (const config of wrong) {
    const reads = config.deferral?.message?.toString().includes("minutes");
    if (!reads) fault(config);
  }
});
