/**
 * `greylist check`: networks in `serve.rules` and `serve.proxy` that are probably a
 * mistake.
 *
 * @module
 */

import { covers, type Network } from "../../address.ts";
import { quote } from "../../log/line.ts";
import type { ServeConfig } from "../../serve/config.ts";
import type { Rule } from "../../serve/rules.ts";
import { doubt, type Finding } from "./finding.ts";
import { tooWideNetwork } from "./too_wide.ts";

/** The findings about rules and load balancers; none if nothing is wrong. */
export function serveNetworks(
  { rules, proxy }: Pick<ServeConfig, "rules" | "proxy">,
): Finding[] {
  return [
    ...unreached(rules),
    ...tooWide(
      rules.flatMap(({ networks, deny, env }, i) =>
        Object.hasOwn(env, "RELAYCLIENT") && !deny
          ? named(`serve.rules[${i}].networks`, networks)
          : []
      ),
      (whom) =>
        `gives RELAYCLIENT to ${whom}, and qmail-smtpd relays for all of it`,
    ),
    ...tooWide(
      named("serve.proxy", proxy),
      (whom) =>
        `takes PROXY headers from ${whom}, and any client there may claim any ` +
        "address",
    ),
  ];
}

/**
 * One warning about the rules that no client can reach. The most specific rule of
 * tcprules(1) counts, so a database of tcprules may have a wide rule first.
 */
function unreached(rules: readonly Rule[]): Finding[] {
  const earlier: Network[] = [];
  const found: string[] = [];
  rules.forEach(({ networks }, i) => {
    const own = networks.map(({ network }) => network);
    const isHidden = own.every((network) =>
      earlier.some((outer) => covers(outer, network))
    );
    if (isHidden) {
      found.push(
        `serve.rules[${i}]: rules before it cover all of its networks, and the ` +
          "first match counts, not the most specific",
      );
    }
    earlier.push(...own);
  });
  return doubt("rule", found);
}

/** A network, and the place that a message names. */
type Named = Rule["networks"][number] & { readonly at: string };

function named(field: string, networks: Rule["networks"]): Named[] {
  return networks.map((each, i) => ({ ...each, at: `${field}[${i}]` }));
}

/**
 * One warning about those of the networks that are too wide.
 *
 * @param effect says what this means for the clients of a network
 */
function tooWide(
  networks: readonly Named[],
  effect: (whom: string) => string,
): Finding[] {
  return doubt(
    "network",
    networks.flatMap(({ at, text, network }) => {
      const whom = tooWideNetwork(network);
      return whom === undefined
        ? []
        : [`${at}: ${quote(text)}: ${effect(whom)}`];
    }),
  );
}
