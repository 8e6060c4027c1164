/**
 * Which clients may connect, and with which environment: what tcprules(1) is to
 * tcpserver.
 *
 * @module
 */

import { type Address, contains, type Network } from "../address.ts";

/** A rule as the configuration gives it. */
export interface Rule {
  readonly networks: readonly {
    readonly text: string;
    readonly network: Network;
  }[];
  readonly deny: boolean;
  readonly env: Readonly<Record<string, string>>;
}

/** What holds for a client. */
export interface Admission {
  /** The rule as the log names it, such as `rules[0]`; undefined if none matches. */
  readonly rule?: string;
  readonly deny: boolean;
  readonly env: Readonly<Record<string, string>>;
}

/** A client that no rule is for may connect, as under tcpserver(1). */
const ANYBODY: Admission = { deny: false, env: {} };

/** What the first rule says that is for an address. */
export function admit(rules: readonly Rule[], address: Address): Admission {
  const index = rules.findIndex(({ networks }) =>
    networks.some(({ network }) => contains(network, address))
  );
  if (index < 0) return ANYBODY;
  const { deny, env } = rules[index];
  return { rule: `rules[${index}]`, deny, env };
}
