import { assertEquals, assertMatch } from "@std/assert";
import { parseAddress, parseNetwork } from "../../lib/address.ts";
import type { Config } from "../../lib/config.ts";
import { admit, type Rule } from "../../lib/serve/rules.ts";
import { entries } from "../harness/binary.ts";
import { makeEntry } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { waitFor } from "../harness/process.ts";
import { writeFile } from "../harness/root.ts";
import { lines, logged, serving } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";

function rule(networks: string[], more: Partial<Rule> = {}): Rule {
  return {
    networks: networks.map((text) => ({ text, network: parseNetwork(text)! })),
    deny: false,
    env: {},
    ...more,
  };
}

const RULES = [
  rule(["192.0.2.7", "2001:db8:1::/48"], { env: { A: "first" } }),
  rule(["192.0.2.0/24", "2001:db8::/32"], { deny: true }),
  rule(["0.0.0.0/0"], { env: { A: "last" } }),
];

Deno.test("serve rules: the first that matches counts", () => {
  for (
    const [address, index] of [
      ["192.0.2.7", 0],
      ["::ffff:192.0.2.7", 0],
      ["192.0.2.8", 1],
      ["192.0.3.0", 2],
      ["2001:db8:1::5", 0],
      ["2001:db8:2::5", 1],
      ["2001:db9::", -1],
      ["::1", -1],
    ] as const
  ) {
    const { rule, deny, env } = admit(RULES, parseAddress(address)!);
    assertEquals(rule, index < 0 ? undefined : `rules[${index}]`, address);
    assertEquals(deny, index === 1, address);
    assertEquals(env, index < 0 ? {} : RULES[index].env, address);
  }
});

Deno.test("serve rules: without rules, any client may connect", () => {
  const address = parseAddress("192.0.2.1")!;
  assertEquals(admit([], address), { deny: false, env: {} });
});

const VARIABLES = ["RELAYCLIENT", "GREETING", "WHO"];

/** A program that greets with the variables that rules may give. */
function printer(): string[] {
  const print = VARIABLES.map((name) => `${name}=\${${name}-unset}`);
  const path = writeFile(
    "printer",
    `#!/bin/sh\nprintf '220 %s\\r\\n' "${print.join(" ")}"\nread -r line\n`,
    0o755,
  );
  return [path];
}

e2e(
  "serve rules: denied clients, exempt clients, and the variables of PROGRAM",
  {},
  async () => {
    const config: Partial<Config> = {
      serve: {
        rules: [
          { networks: ["127.0.1.1"], env: { RELAYCLIENT: "", WHO: "first" } },
          { networks: ["127.0.1.0/24"], deny: true },
          { networks: ["127.0.2.0/24"], env: { GREETING: "a b=c", WHO: "it" } },
          { networks: ["127.0.3.0/24", "127.0.1.1"], deny: true },
        ],
      },
    };
    await using server = await serving(config, {
      next: printer(),
      env: { WHO: "inherited", GREETING: "inherited" },
    });
    const { port } = server;
    const banner = async (from: string) => {
      using client = await Client.connectFrom(port, { from });
      return await client.reply();
    };

    // The variables of whitelist.env come from the rule alone.
    assertEquals(
      await banner("127.0.1.1"),
      "220 RELAYCLIENT= GREETING=inherited WHO=first",
    );
    assertEquals(await banner("127.0.1.2"), undefined);
    assertEquals(await banner("127.0.3.9"), undefined);
    assertMatch((await banner("127.0.2.1"))!, /^220 mx\.example /);
    makeEntry("127.0.2.0_24", 1, 60);
    assertEquals(
      await banner("127.0.2.1"),
      "220 RELAYCLIENT=unset GREETING=a b=c WHO=it",
    );
    makeEntry("127.0.4.0_24", 1, 60);
    assertEquals(
      await banner("127.0.4.1"),
      "220 RELAYCLIENT=unset GREETING=inherited WHO=inherited",
    );
    await waitFor(
      "all lines",
      () => lines().filter((line) => !line.startsWith("end ")).length === 6,
    );
    assertEquals(
      lines().filter((line) => !line.startsWith("end "))
        .map((line) => line.replace(/ (age|accepted|wait)=\d+/g, ""))
        // A deferred client's line comes when it has gone.
        .sort(),
      [
        "pass ip=127.0.1.1 net=127.0.1.0/24 reason=whitelisted rule=env:RELAYCLIENT",
        "deny ip=127.0.1.2 rule=rules[1]",
        "deny ip=127.0.3.9 rule=rules[3]",
        "defer ip=127.0.2.1 net=127.0.2.0/24 reason=new",
        "pass ip=127.0.2.1 net=127.0.2.0/24 reason=known",
        "pass ip=127.0.4.1 net=127.0.4.0/24 reason=known",
      ].sort(),
    );
    // A client that is denied leaves no entry.
    assertEquals(entries(), { "127.0.2.0_24": 2, "127.0.4.0_24": 2 });
  },
);

e2e("serve rules: a client over IPv6", {}, async () => {
  await using server = await serving({
    serve: {
      rules: [
        { networks: ["::1"], env: { RELAYCLIENT: "@x", WHO: "six" } },
        { networks: ["::/0", "127.0.0.0/8"], deny: true },
      ],
    },
  }, { next: printer(), hostname: "::1" });
  using client = await Client.connect(server.port, "::1");
  assertEquals(
    await client.reply(),
    "220 RELAYCLIENT=@x GREETING=unset WHO=six",
  );
  await logged(/ pass ip=::1 /);
  assertEquals(lines(), [
    "pass ip=::1 net=::/64 reason=whitelisted rule=env:RELAYCLIENT",
  ]);
});
