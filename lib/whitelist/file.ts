/**
 * A whitelist file: one network, address, host, `.suffix` or `/regex/` a line;
 * `#` starts a comment. The client lists of postgrey are such files.
 *
 * @module
 */

import {
  type Address,
  contains,
  type Network,
  parseNetworkRule,
} from "../address.ts";
import { compileExpression, ExpressionError } from "./expression.ts";
import { isHostPattern } from "./host_pattern.ts";

/** The clients that one line exempts. */
export type Rule =
  | { readonly network: Network }
  /** In lower case; with a dot in front, only the names below. */
  | { readonly name: string }
  | { readonly expression: RegExp };

/** Why a line is no rule. */
export interface Fault {
  readonly fault: string;
}

/** The fault of most lines that are no rule. */
export const NO_RULE: Fault = {
  fault: "expected a network, an address, a host, .suffix or /regex/",
};

/** The client that a file is searched for. */
export interface Client {
  readonly address: Address | undefined;
  /** The host name in lower case. */
  readonly host: string | undefined;
}

/**
 * Parses one line without its comment.
 *
 * A host exempts itself and, as in postgrey, every name below. A `.suffix`, also
 * written `*.suffix`, exempts only the names below. A `/regex/` exempts every host
 * name that it matches, in either case.
 *
 * @returns a fault if the line is no rule
 */
export function parseRule(text: string): Rule | Fault {
  const network = parseNetworkRule(text);
  if (network !== undefined) return { network };
  if (text.length > 2 && text.startsWith("/") && text.endsWith("/")) {
    try {
      return { expression: compileExpression(text.slice(1, -1)) };
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      return { fault: error.message };
    }
  }
  // sqlgrey writes `*.example.org` for the names below.
  const name = text.replace(/^\*\./, ".");
  return isHostPattern(name) ? { name: name.toLowerCase() } : NO_RULE;
}

/** Tells whether a rule exempts a client. */
export function exempts(rule: Rule, { address, host }: Client): boolean {
  if ("network" in rule) {
    return address !== undefined && contains(rule.network, address);
  }
  if (host === undefined) return false;
  if ("expression" in rule) return rule.expression.test(host);
  return matchesName(rule.name, host);
}

/**
 * Tells whether a host name matches a pattern: `example.org` matches that name and
 * every name below it, `.example.org` only the names below. Both arguments are in
 * lower case.
 */
export function matchesName(pattern: string, host: string): boolean {
  return host === pattern ||
    host.endsWith(pattern.startsWith(".") ? pattern : `.${pattern}`);
}

/** A line that is no rule. */
export interface BadLine {
  readonly number: number;
  readonly content: string;
  /** The reason, unless it is {@linkcode NO_RULE}. */
  readonly fault?: string;
}

/** The result of a search. Lines count from 1. */
export interface Found {
  /** The line of the first rule that exempts the client. */
  readonly line: number | undefined;
  /** The lines that are no rule, up to `line`. */
  readonly bad: readonly BadLine[];
}

/**
 * Parses a whitelist file's text line by line. Comments and empty lines are
 * skipped.
 *
 * @param each is given the rule or the fault of each line; if it returns true,
 * the rest is not parsed
 */
export function eachRule(
  text: string,
  each: (
    rule: Rule | Fault,
    number: number,
    content: string,
  ) => boolean | void,
): void {
  // Not split() over the whole text: all lines of a large file would be in memory.
  let number = 0;
  let start = 0;
  while (start <= text.length) {
    const found = text.indexOf("\n", start);
    const end = found < 0 ? text.length : found;
    const content = text.slice(start, end).split("#", 1)[0].trim();
    start = end + 1;
    number++;
    if (content === "") continue;
    if (each(parseRule(content), number, content)) return;
  }
}

/** A line that is no rule, in the form that {@linkcode Found} has. */
export function badLine(
  { fault }: Fault,
  number: number,
  content: string,
): BadLine {
  return fault === NO_RULE.fault
    ? { number, content }
    : { number, content, fault };
}

/** Looks through a whitelist file's text for a client. */
export function searchFile(text: string, client: Client): Found {
  const bad: BadLine[] = [];
  let line: number | undefined;
  eachRule(text, (rule, number, content) => {
    if ("fault" in rule) bad.push(badLine(rule, number, content));
    else if (exempts(rule, client)) line = number;
    return line !== undefined;
  });
  return { line, bad };
}
