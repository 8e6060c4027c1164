import { assertEquals } from "@std/assert";
import { checkTimeouts } from "../../../lib/commands/check/timeouts.ts";
import type { Config } from "../../../lib/config.ts";
import { resolveConfig } from "../../../lib/config/resolve.ts";

const HOUR = 3600;
const DAY = 86400;

/** Findings as `kind text`, for some timeouts beside the defaults. */
function look(
  timeouts: { delay?: number; retryWindow?: number; expireAfter?: number },
  others: Partial<Config> = {},
): string[] {
  const config = resolveConfig({ baseDir: "/x", timeouts, ...others });
  return checkTimeouts(config).map(({ kind, text }) => `${kind} ${text}`);
}

Deno.test("check timeouts: the defaults, and the shortest that are not questioned", () => {
  assertEquals(look({}), [
    "ok timeouts: a new client is let in from 60 s to 24 h after its first " +
    "mail, and known for 36 d",
  ]);
  assertEquals(
    look({ delay: 60, retryWindow: 4 * HOUR + 60, expireAfter: 7 * DAY }),
    [
      "ok timeouts: a new client is let in from 60 s to 4 h after its first " +
      "mail, and known for 7 d",
    ],
  );
});

Deno.test("check timeouts: little time for the retry", () => {
  const warning = (window: string, left: string) => [
    `warn timeouts.retryWindow ${window}: a new client has only ${left} after ` +
    "timeouts.delay to come back, and many servers retry every two or three " +
    "hours: is that meant? (at least 4 h are safe)",
  ];
  // Minutes were meant.
  assertEquals(look({ retryWindow: 1440 }), warning("24 min", "23 min"));
  assertEquals(look({ retryWindow: 4 * HOUR }), warning("4 h", "3 h"));
  assertEquals(look({ delay: 23 * HOUR }), [
    ...warning("24 h", "60 min"),
    "warn timeouts.delay 23 h: mail from a new client arrives no sooner than " +
    "that: is that meant? (at most 60 min is usual)",
  ]);
});

Deno.test("check timeouts: known clients that are forgotten soon", () => {
  const warning = (time: string) => [
    `warn timeouts.expireAfter ${time}: a known client that sends less often ` +
    "is deferred each time: is that meant? (at least 7 d are safe)",
  ];
  // Days were meant.
  assertEquals(look({ expireAfter: 36 }), warning("36 s"));
  assertEquals(look({ expireAfter: 7 * DAY - 1 }), warning("6 d"));
  // A warning for each.
  assertEquals(look({ retryWindow: 1440, expireAfter: 36 }).length, 2);
});

Deno.test("check timeouts: milliseconds, which count as seconds", () => {
  // The defaults.
  assertEquals(
    look({ delay: 60_000 }, {
      storeTimeout: 2_000,
      deferral: { idleTimeout: 60_000, sessionTimeout: 300_000 },
    }),
    [
      "warn timeouts.delay 16 h: mail from a new client arrives no sooner than " +
      "that: is that meant? (at most 60 min is usual)",
      "warn storeTimeout 33 min: each client waits that long while baseDir " +
      "hangs: is that meant? (at most 60 s is usual)",
      "warn deferral.idleTimeout 16 h: a deferred client that is silent stays " +
      "connected that long: is that meant? (at most 10 min is usual)",
      "warn deferral.sessionTimeout 3 d: a deferred client may stay connected " +
      "that long: is that meant? (at most 60 min is usual)",
    ],
  );
  // The longest that are not questioned.
  assertEquals(
    look({ delay: HOUR }, {
      storeTimeout: 60,
      deferral: { idleTimeout: 600, sessionTimeout: HOUR },
    }).map((line) => line.slice(0, 12)),
    ["ok timeouts:"],
  );
});
