/**
 * `only`: the clients that are greylisted at all. If the configuration has it,
 * no other client waits.
 *
 * @module
 */

import { type Address, isSameAddress, parseBracketed } from "../address.ts";
import {
  type ClientConnection,
  type Files,
  findExemption,
  type Whitelist,
} from "./exemption.ts";
import { exempts, type Fault, parseRule, type Rule } from "./file.ts";

/** The clients that are suspect, as the configuration has them. */
export interface Only extends Omit<Whitelist, "localPorts"> {
  /** Whether a client without a name is suspect. */
  readonly nameless: boolean;
  /** Names, `.suffix` and `/regex/`. */
  readonly hosts: readonly string[];
}

/**
 * Finds the first rule that makes a client suspect.
 *
 * @returns the rule, such as `nameless`, `env:RBL`, `hosts:/dsl/` or
 * `/etc/dialup:12`; undefined if the client is not suspect
 */
export function findSuspicion(
  only: Only,
  connection: ClientConnection,
  files: Files,
): string | undefined {
  if (only.nameless && isNameless(connection)) return "nameless";
  const { host } = connection;
  const text = host && only.hosts.find((text) => {
    const rule = ruleOf(text);
    return !("fault" in rule) && exempts(rule, { address: undefined, host });
  });
  if (text) return `hosts:${text}`;
  // The rest is what a whitelist has, and is named like that.
  return findExemption(
    { ...only, hosts: [], localPorts: [] },
    connection,
    files,
  );
}

/** The parsed rules of `only.hosts`: `serve` needs them at each connection. */
const rules = new Map<string, Rule | Fault>();

function ruleOf(text: string): Rule | Fault {
  let rule = rules.get(text);
  if (rule === undefined) rules.set(text, rule = parseRule(text));
  return rule;
}

/**
 * Whether a client has no name, or only its address as its name: some
 * super-servers and resolvers give an address in place of a name.
 */
export function isNameless(
  { address, host }: { address: Address | undefined; host: string | undefined },
): boolean {
  if (host === undefined) return true;
  return isSameAddress(parseBracketed(host), address);
}
