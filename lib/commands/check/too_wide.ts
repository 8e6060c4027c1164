/**
 * `greylist check`: networks and rules that are so wide that they are probably a
 * mistake.
 *
 * @module
 */

import {
  covers,
  formatNetwork,
  type Network,
  parseNetwork,
} from "../../address.ts";
import type { Rule } from "../../whitelist/file.ts";

/** The widest networks that are probably meant: an RIR allocates no wider ones. */
const WIDEST = { 4: 8, 6: 16 } as const;

/**
 * Wider networks, with no host of the Internet in them: unique local (RFC 4193 section
 * 3.1) and link-local addresses (RFC 4291 section 2.5.6).
 */
const LOCAL = ["fc00::/7", "fe80::/10"].map((text) => parseNetwork(text)!);

/**
 * Names that no client has (RFC 6761 sections 6.2 and 6.4), and that have nothing in
 * common. An expression that matches both of them matches almost every name.
 */
const STRANGERS = ["a.invalid", "x1.test"];

/**
 * Says which network a text means, if that network is probably a mistake.
 *
 * @returns words such as `0.0.0.0/7, more than a /8`
 */
export function tooWideNetwork(network: Network): string | undefined {
  const widest = WIDEST[network.family];
  const isLocal = LOCAL.some((local) => covers(local, network));
  if (network.prefix >= widest || isLocal) return undefined;
  return `${formatNetwork(network)}, more than a /${widest}`;
}

/**
 * Says which clients a rule has, if the rule is probably a mistake.
 *
 * @returns words such as `every name that ends in .com`
 */
export function tooWide(rule: Rule): string | undefined {
  if ("network" in rule) return tooWideNetwork(rule.network);
  if ("expression" in rule) {
    if (!STRANGERS.every((name) => rule.expression.test(name))) {
      return undefined;
    }
    return `almost every name, even ${STRANGERS.join(" and ")}`;
  }
  const name = rule.name.replace(/^\./, "");
  // RFC 6761 section 6.3: no host of the Internet has this name.
  if (name.includes(".") || name === "localhost") return undefined;
  return `every name that ends in .${name}`;
}
