/**
 * A whitelist file: one network, address, host, `.suffix` or `/regex/` a line;
 * `#` starts a comment. The client lists of postgrey are such files.
 *
 * @module
 */

import { type Address, contains, parseNetwork } from "./address.ts";
import { isHostPattern } from "./config.ts";

/** One line's rule, and whether it exempts a caller. */
export type Rule = (
  address: Address | undefined,
  host: string | undefined,
) => boolean;

/**
 * Parses one line without its comment.
 *
 * A host exempts itself and, as in postgrey, every name below; a `.suffix` only
 * the names below; a `/regex/` any host name that it matches, in either case.
 * Two or three numbers of an IPv4 address are its network.
 *
 * @returns undefined where the line means nothing
 */
export function parseRule(text: string): Rule | undefined {
  const partial = /^(\d{1,3}\.\d{1,3})(\.\d{1,3})?\.?$/.exec(text);
  const network = parseNetwork(
    partial === null
      ? text
      : partial[1] + (partial[2] ? `${partial[2]}.0/24` : ".0.0/16"),
  );
  if (network !== undefined) {
    return (address) => address !== undefined && contains(network, address);
  }
  if (text.length > 2 && text.startsWith("/") && text.endsWith("/")) {
    try {
      const regex = new RegExp(text.slice(1, -1), "i");
      return (_, host) => host !== undefined && regex.test(host);
    } catch {
      return undefined;
    }
  }
  if (!isHostPattern(text)) return undefined;
  const name = text.toLowerCase();
  const suffix = name.startsWith(".") ? name : `.${name}`;
  return (_, host) =>
    host !== undefined && (host === name || host.endsWith(suffix));
}

/** What a file says about a caller. Lines count from 1. */
export interface Found {
  /** The line of the first rule that exempts the caller. */
  readonly line: number | undefined;
  /** The lines that mean nothing, up to that one. */
  readonly bad: readonly {
    readonly number: number;
    readonly content: string;
  }[];
}

/** The lines that say something, without comments. They count from 1. */
function* linesOf(text: string) {
  let number = 0;
  for (const whole of text.split("\n")) {
    number++;
    const content = whole.split("#", 1)[0].trim();
    if (content !== "") yield { number, content };
  }
}

/** Looks through a whitelist file's text for a caller. */
export function searchFile(
  text: string,
  caller: { address: Address | undefined; host: string | undefined },
): Found {
  const bad: { number: number; content: string }[] = [];
  for (const { number, content } of linesOf(text)) {
    const rule = parseRule(content);
    if (rule === undefined) bad.push({ number, content });
    else if (rule(caller.address, caller.host)) return { line: number, bad };
  }
  return { line: undefined, bad };
}

/** All rules of a file with their lines, and the lines that mean nothing. */
export function parseLines(text: string) {
  const rules: { number: number; rule: Rule }[] = [];
  const bad: { number: number; content: string }[] = [];
  for (const { number, content } of linesOf(text)) {
    const rule = parseRule(content);
    if (rule === undefined) bad.push({ number, content });
    else rules.push({ number, rule });
  }
  return { rules, bad };
}
