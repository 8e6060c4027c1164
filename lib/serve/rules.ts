/**
 * The rules that say which clients may connect, and with which environment, like
 * those of tcprules(1) for tcpserver.
 *
 * @module
 */

import { type Address, contains } from "../address.ts";
import type { Whitelist } from "../whitelist/exemption.ts";

/** A rule as the configuration gives it. */
export interface Rule extends Pick<Whitelist, "networks"> {
  readonly deny: boolean;
  readonly env: Readonly<Record<string, string>>;
}

/** The effect of the rules on a client. */
export interface Admission {
  /** The rule as the log names it, such as `rules[0]`; undefined if none matches. */
  readonly rule?: string;
  readonly deny: boolean;
  readonly env: Readonly<Record<string, string>>;
}

/** A client that no rule covers may connect, as under tcpserver(1). */
const ANYBODY: Admission = { deny: false, env: {} };

/** Applies the first rule whose networks have the address. */
export function admit(rules: readonly Rule[], address: Address): Admission {
  const index = rules.findIndex(({ networks }) =>
    networks.some(({ network }) => contains(network, address))
  );
  if (index < 0) return ANYBODY;
  const { deny, env } = rules[index];
  return { rule: `rules[${index}]`, deny, env };
}
