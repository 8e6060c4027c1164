import { assertEquals } from "@std/assert";
import { serveNetworks } from "../../../lib/commands/check/serve_networks.ts";
import type { Config } from "../../../lib/config.ts";
import { resolveServe } from "../../../lib/serve/config.ts";

/** Findings as `kind text`, for a section `serve`. */
function look(serve: Config["serve"]): string[] {
  return serveNetworks(resolveServe({ serve })).map(({ kind, text }) =>
    `${kind} ${text}`
  );
}

const RELAY = { RELAYCLIENT: "" };

Deno.test("check serve networks: nothing to say", () => {
  assertEquals(look(undefined), []);
  assertEquals(
    look({
      rules: [
        { networks: ["127.0.0.0/8", "10.0.0.0/8", "::1"], env: RELAY },
        { networks: ["fc00::/7"], env: RELAY },
        // One of its networks is new.
        { networks: ["10.1.0.0/16", "192.0.2.0/24"], deny: true },
        { networks: ["0.0.0.0/0", "::/0"], env: { GREETING: "x" } },
      ],
      proxy: ["10.0.0.0/28", "fd00::/8"],
    }),
    [],
  );
});

Deno.test("check serve networks: a rule that no client can reach", () => {
  const warning = (rule: string, all: string) => [
    `warn ${rule}: rules before it cover all of its networks, and the first ` +
    `match counts, not the most specific: is that meant? (${all} like that in all)`,
  ];
  const hidden = (...rules: string[][]) =>
    look({ rules: rules.map((networks) => ({ networks })) });
  assertEquals(
    hidden(["192.0.2.0/24"], ["192.0.2.7"]),
    warning("serve.rules[1]", "1 rule"),
  );
  // As tcprules may have them.
  assertEquals(
    hidden(["0.0.0.0/0"], ["192.0.2.7"], ["::1"], ["10.0.0.0/8"]),
    warning("serve.rules[1]", "2 rules"),
  );
  // Each network by another rule.
  assertEquals(
    hidden(["192.0.2.0/24"], ["2001:db8::/32"], ["2001:db8::1", "192.0.2.7"]),
    warning("serve.rules[2]", "1 rule"),
  );
  assertEquals(hidden(["::1"], ["::1"]), warning("serve.rules[1]", "1 rule"));
  assertEquals(hidden(["192.0.2.7"], ["192.0.2.0/24"], ["::/0"]), []);
  // A rule's own networks do not hide it.
  assertEquals(hidden(["192.0.2.0/24", "192.0.2.7"]), []);
});

Deno.test("check serve networks: an open relay", () => {
  const rules = [
    { networks: ["192.0.2.0/24"], env: RELAY },
    { networks: ["10.0.0.0/8", "0.0.0.0/0", "::/0"], env: RELAY },
  ];
  assertEquals(look({ rules }), [
    'warn serve.rules[1].networks[1]: "0.0.0.0/0": gives RELAYCLIENT to ' +
    "0.0.0.0/0, more than a /8, and qmail-smtpd relays for all of it: is that " +
    "meant? (2 networks like that in all)",
  ]);
  assertEquals(look({ rules: rules.map((r) => ({ ...r, deny: true })) }), []);
});

Deno.test("check serve networks: a proxy that anybody may be", () => {
  assertEquals(look({ proxy: ["192.0.2.7", "0.0.0.0/0"] }), [
    'warn serve.proxy[1]: "0.0.0.0/0": takes PROXY headers from 0.0.0.0/0, ' +
    "more than a /8, and any client there may claim any address: is that " +
    "meant? (1 network like that in all)",
  ]);
});
