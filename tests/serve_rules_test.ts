import { assertEquals } from "@std/assert";
import { parseAddress, parseNetwork } from "../lib/address.ts";
import { admit, type Rule } from "../lib/serve/rules.ts";

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

Deno.test("serve rules: the first that fits counts", () => {
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

Deno.test("serve rules: without any, anybody may connect", () => {
  const address = parseAddress("192.0.2.1")!;
  assertEquals(admit([], address), { deny: false, env: {} });
});
