import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { parseNetwork } from "../../lib/address.ts";
import { ConfigError } from "../../lib/config/fields.ts";
import { resolveServe } from "../../lib/serve/config.ts";

const DEFAULTS = {
  limit: 40,
  deferredLimit: 1000,
  limitPerNetwork: 50,
  backlog: 4096,
  nameLookup: false,
  user: undefined,
  group: undefined,
  rules: [],
  proxy: [],
};

Deno.test("serve config: defaults", () => {
  const nothing = { configured: false, ...DEFAULTS };
  assertEquals(resolveServe({}), nothing);
  assertEquals(resolveServe({ serve: undefined }), nothing);
  assertEquals(resolveServe({ serve: {} }), { ...nothing, configured: true });
  const none = Object.fromEntries(
    Object.keys(DEFAULTS).map((field) => [field, undefined]),
  );
  assertEquals(resolveServe({ serve: none }), {
    ...nothing,
    configured: true,
  });
});

Deno.test("serve config: everything given", () => {
  const text = "2001:db8::/32";
  const env = { RELAYCLIENT: "", _x1: "ü = %" };
  const serve = {
    limit: 1,
    deferredLimit: 1_000_000,
    limitPerNetwork: 3,
    backlog: 128,
    nameLookup: true,
    user: "qmaild",
    group: "nofiles",
    rules: [{ networks: [text], deny: true, env }, { networks: ["::1"] }],
    proxy: [text],
  };
  assertEquals(resolveServe({ serve }), {
    configured: true,
    ...serve,
    rules: [
      { networks: [{ text, network: parseNetwork(text)! }], deny: true, env },
      {
        networks: [{ text: "::1", network: parseNetwork("::1")! }],
        deny: false,
        env: {},
      },
    ],
    proxy: [{ text, network: parseNetwork(text)! }],
  });
});

const COUNT = "expected a whole number from 1 to 1000000";
const FLAG = "expected one of true, false";
const USER = "expected the name of a user";
const GROUP = "expected the name of a group";
const NETWORK = 'expected an address or a network such as "192.0.2.0/24"';
const VARIABLES = 'expected variables such as { RELAYCLIENT: "" }, without NUL';

/** A section in which only the variables of a rule are wrong. */
function withEnv(env: unknown) {
  return { rules: [{ networks: ["::1"] }, { networks: ["::/0"], env }] };
}

const FAULTS: readonly (readonly [unknown, string, string])[] = [
  [null, "serve: null:", "expected an object"],
  ["25", 'serve: "25":', "expected an object"],
  [[], "serve: []:", "expected an object"],
  [{ limits: 3 }, "serve.limits: 3:", "expected one of the fields limit, "],
  [{ limit: 0 }, "serve.limit: 0:", COUNT],
  [{ limit: -1 }, "serve.limit: -1:", COUNT],
  [{ limit: 1.5 }, "serve.limit: 1.5:", COUNT],
  [{ limit: NaN }, "serve.limit: NaN:", COUNT],
  [{ limit: "40" }, 'serve.limit: "40":', COUNT],
  [{ limit: null }, "serve.limit: null:", COUNT],
  [{ limit: 1_000_001 }, "serve.limit: 1000001:", COUNT],
  [{ deferredLimit: 0 }, "serve.deferredLimit: 0:", COUNT],
  [{ deferredLimit: Infinity }, "serve.deferredLimit: Infinity:", COUNT],
  [
    { limitPerNetwork: -1 },
    "serve.limitPerNetwork: -1:",
    "expected a whole number from 0 to 1000000",
  ],
  [{ backlog: 0 }, "serve.backlog: 0:", COUNT],
  [{ nameLookup: 1 }, "serve.nameLookup: 1:", FLAG],
  [{ nameLookup: "yes" }, 'serve.nameLookup: "yes":', FLAG],
  [{ user: "" }, 'serve.user: "":', USER],
  [{ user: "a b" }, 'serve.user: "a b":', USER],
  [{ user: "a\0b" }, "serve.user: ", USER],
  [{ user: "a\nb" }, "serve.user: ", USER],
  [{ user: "qmaild:nofiles" }, 'serve.user: "qmaild:nofiles":', USER],
  [{ user: 82 }, "serve.user: 82:", USER],
  [{ user: null }, "serve.user: null:", USER],
  [{ user: "a", group: "" }, 'serve.group: "":', GROUP],
  [{ user: "a", group: 81 }, "serve.group: 81:", GROUP],
  [{ group: "a" }, "serve.user: ", `${USER}, since serve.group is given`],
  [{ rules: {} }, "serve.rules: {}:", "expected a list of objects"],
  [{ rules: ["::1"] }, 'serve.rules[0]: "::1":', "expected an object"],
  [
    { rules: [{ networks: ["::1"] }, {}] },
    "serve.rules[1].networks: ",
    "expected at least one network",
  ],
  [
    { rules: [{ networks: [] }] },
    "serve.rules[0].networks: []:",
    "expected at least one network",
  ],
  [
    { rules: [{ networks: "::1" }] },
    'serve.rules[0].networks: "::1":',
    `expected a list, each ${NETWORK.slice("expected ".length)}`,
  ],
  [
    { rules: [{ networks: ["::1", "192.0.2.1/24"] }] },
    'serve.rules[0].networks[1]: "192.0.2.1/24":',
    NETWORK,
  ],
  [
    { proxy: "10.0.0.0/8" },
    'serve.proxy: "10.0.0.0/8":',
    `expected a list, each ${NETWORK.slice("expected ".length)}`,
  ],
  [{ proxy: ["10.0.0.1/8"] }, 'serve.proxy[0]: "10.0.0.1/8":', NETWORK],
  // The short forms of whitelists.
  ...["203.0.113", "10.9.", "10."].flatMap((text) =>
    [
      [
        { rules: [{ networks: [text] }] },
        `serve.rules[0].networks[0]: "${text}":`,
        NETWORK,
      ],
      [{ proxy: [text] }, `serve.proxy[0]: "${text}":`, NETWORK],
    ] as const
  ),
  [
    { rules: [{ networks: ["::1"], deny: "no" }] },
    'serve.rules[0].deny: "no":',
    FLAG,
  ],
  [
    { rules: [{ network: ["::1"] }] },
    "serve.rules[0].network: ",
    "expected one of the fields networks, deny, env",
  ],
  [withEnv("RELAYCLIENT"), "serve.rules[1].env: ", VARIABLES],
  [withEnv(null), "serve.rules[1].env: null:", VARIABLES],
  [withEnv(["RELAYCLIENT"]), "serve.rules[1].env: ", VARIABLES],
  [withEnv([]), "serve.rules[1].env: []:", VARIABLES],
  [withEnv(new Map([["A", "b"]])), "serve.rules[1].env: ", VARIABLES],
  [withEnv({ A: 1 }), "serve.rules[1].env: ", VARIABLES],
  [withEnv({ A: undefined }), "serve.rules[1].env: ", VARIABLES],
  [withEnv({ A: "a\0b" }), "serve.rules[1].env: ", VARIABLES],
  [withEnv({ "A=B": "" }), "serve.rules[1].env: ", VARIABLES],
  [withEnv({ "": "" }), "serve.rules[1].env: ", VARIABLES],
  [withEnv({ "1A": "" }), "serve.rules[1].env: ", VARIABLES],
];

Deno.test("serve config: each mistake is one clear line", () => {
  for (const [serve, where, expected] of FAULTS) {
    const { message } = assertThrows(
      () => resolveServe({ serve }),
      ConfigError,
      undefined,
      Deno.inspect(serve, { depth: 9 }),
    );
    assertEquals(message.includes("\n"), false, message);
    assertEquals(message.slice(0, where.length), where);
    assertStringIncludes(message, expected);
  }
});
