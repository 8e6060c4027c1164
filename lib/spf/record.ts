/**
 * The text of an SPF record, parsed: RFC 7208 sections 4.5, 4.6, 5, 6 and 12.
 *
 * @module
 */

import { type Network, networkOf, parseAddress } from "../address.ts";

/** The result for a client that matches: pass, fail, softfail, neutral. */
export type Qualifier = "+" | "-" | "~" | "?";

/** One mechanism with its arguments. */
export type Mechanism =
  | { readonly kind: "all" }
  | { readonly kind: "include"; readonly domain: string }
  | { readonly kind: "exists"; readonly domain: string }
  | {
    readonly kind: "a" | "mx";
    /** If absent, the domain that the record belongs to. */
    readonly domain?: string;
    readonly prefix4: number;
    readonly prefix6: number;
  }
  | { readonly kind: "ptr"; readonly domain?: string }
  | {
    readonly kind: "ip4" | "ip6";
    /**
     * Absent for an IPv4-mapped IPv6 address, which matches no client: RFC 7208
     * section 5 lists IPv4 clients under `ip4` only.
     */
    readonly network?: Network;
  };

/** A mechanism, and the result for a client that matches it. */
export interface Directive {
  readonly qualifier: Qualifier;
  readonly mechanism: Mechanism;
  /** The term as it stands in the record. */
  readonly text: string;
}

/** A parsed record, its terms in their order. */
export interface SpfRecord {
  readonly directives: readonly Directive[];
  /** The domain of `redirect=`, if any. */
  readonly redirect?: string;
}

/** The record breaks the grammar of RFC 7208 section 12. */
export class RecordError extends Error {
  override name = "RecordError";
}

/** Tells whether a TXT record's text is an SPF record (RFC 7208, 4.5). */
export function isSpf(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text);
}

/**
 * Expands the macros in a domain (RFC 7208 section 7).
 *
 * @param text the domain of a term, in lower case
 * @param current the domain whose record has the term
 * @returns undefined if a macro has another meaning for each message: all have but
 * `%{d}`, `%%`, `%_` and `%-`
 */
export function expandMacros(
  text: string,
  current: string,
): string | undefined {
  let isFixed = true;
  const name = text.replaceAll(
    MACROS,
    (_, sign, letter, digits, r, delimiters) => {
      if (sign !== undefined) return SIGNS[sign];
      if (letter !== "d" || Number(digits) === 0 && digits !== "") {
        isFixed = false;
      }
      const within = (delimiters || ".").replaceAll(/./g, "\\$&");
      const parts = current.split(new RegExp(`[${within}]`));
      if (r === "r") parts.reverse();
      return parts.slice(digits === "" ? 0 : -Number(digits)).join(".");
    },
  );
  if (!isFixed) return undefined;
  if (name.length <= 253) return name;
  // What is too long loses labels on its left side (section 7.3).
  const end = name.slice(-254);
  return end.slice(end.indexOf(".") + 1);
}

/**
 * Parses a record. A term that is broken makes the whole record an error,
 * wherever it stands (section 4.6).
 *
 * @param text the record, of which `isSpf` holds
 * @throws {RecordError} naming the term
 */
export function parseRecord(text: string): SpfRecord {
  const directives: Directive[] = [];
  const modifiers = new Map<string, string>();
  for (const term of text.split(" ").slice(1)) {
    if (term === "") continue;
    const modifier = /^([a-z][a-z0-9._-]*)=(.*)$/is.exec(term);
    if (modifier === null) {
      directives.push(parseDirective(term));
      continue;
    }
    const [, name, value] = [...modifier].map((part) => part.toLowerCase());
    if (name === "redirect" || name === "exp") {
      if (modifiers.has(name)) throw broken(term, "a second one");
      modifiers.set(name, domainSpec(value, term));
    } else if (!MACRO_STRING.test(value)) {
      throw broken(term, "not a macro string");
    }
  }
  const redirect = modifiers.get("redirect");
  return redirect === undefined ? { directives } : { directives, redirect };
}

function parseDirective(term: string): Directive {
  const [, sign, name, rest] = /^([-+~?]?)([^:/]*)(.*)$/s.exec(term)!;
  const qualifier = (sign || "+") as Qualifier;
  return { qualifier, mechanism: parseMechanism(name, rest, term), text: term };
}

/** @param rest what follows the name: `:` and an argument, `/` and a prefix */
function parseMechanism(name: string, rest: string, term: string): Mechanism {
  const argument = rest.startsWith(":") ? rest.slice(1) : undefined;
  const kind = name.toLowerCase();
  switch (kind) {
    case "all":
      if (rest !== "") throw broken(term, "all takes no argument");
      return { kind };
    case "include":
    case "exists":
      if (argument === undefined) throw broken(term, "the domain is missing");
      return { kind, domain: domainSpec(argument, term) };
    case "ptr":
      if (argument !== undefined) {
        return { kind, domain: domainSpec(argument, term) };
      }
      if (rest !== "") throw broken(term, "ptr takes no prefix length");
      return { kind };
    case "a":
    case "mx":
      return { kind, ...parseHosts(rest, term) };
    case "ip4":
    case "ip6":
      return { kind, ...parseLiteral(kind, argument, term) };
    default:
      throw broken(term, "unknown mechanism");
  }
}

/** `[":" domain-spec] ["/" prefix of IPv4] ["//" prefix of IPv6]` */
function parseHosts(rest: string, term: string) {
  const [, before, four, six] =
    /^(.*?)(?:\/(0|[1-9][0-9]?))?(?:\/\/(0|[1-9][0-9]{0,2}))?$/s.exec(rest)!;
  const prefix4 = Number(four ?? 32);
  const prefix6 = Number(six ?? 128);
  if (prefix4 > 32 || prefix6 > 128) {
    throw broken(term, "the prefix length is too long");
  }
  if (before === "") return { prefix4, prefix6 };
  if (!before.startsWith(":")) throw broken(term, "not a prefix length");
  return { domain: domainSpec(before.slice(1), term), prefix4, prefix6 };
}

/** The network of `ip4:` or `ip6:`. Host bits may be set: they do not count. */
function parseLiteral(
  kind: "ip4" | "ip6",
  argument: string | undefined,
  term: string,
): { network?: Network } {
  if (argument === undefined) throw broken(term, "the address is missing");
  const slash = argument.indexOf("/");
  const text = slash < 0 ? argument : argument.slice(0, slash);
  const address = parseAddress(text);
  if (address === undefined || text.includes(":") !== (kind === "ip6")) {
    throw broken(term, `not an ${kind === "ip4" ? "IPv4" : "IPv6"} address`);
  }
  const bits = kind === "ip4" ? 32 : 128;
  const digits = slash < 0 ? String(bits) : argument.slice(slash + 1);
  const prefix = Number(digits);
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(digits) || prefix > bits) {
    throw broken(term, `not a prefix length of 0 to ${bits}`);
  }
  if (kind === "ip6" && address.family === 4) return {};
  return { network: networkOf(address, prefix) };
}

const EXPAND = String.raw`%\{[slodiphv][0-9]*r?[-.+,/_=]*\}|%%|%_|%-`;
/** Visible ASCII in which `%` only begins a macro (section 7.1). */
const MACRO_STRING = new RegExp(`^(?:${EXPAND}|[!-$&-~])*$`, "i");
const MACROS = /%(?:([%_-])|\{([a-z])([0-9]*)(r?)([-.+,/_=]*)\})/g;
const SIGNS: Record<string, string> = { "%": "%", "_": " ", "-": "%20" };
const MACRO_END = new RegExp(`(?:${EXPAND})$`, "i");

/** @returns the domain in lower case, without a dot at the end */
function domainSpec(text: string, term: string): string {
  const domain = text.toLowerCase().replace(/\.$/, "");
  const dot = domain.lastIndexOf(".");
  const named = dot >= 0 && isTopLabel(domain.slice(dot + 1));
  if (!MACRO_STRING.test(text) || !(named || MACRO_END.test(text))) {
    throw broken(term, "not a domain");
  }
  return domain;
}

/** Letters, digits and inner hyphens, not digits alone (section 7.1). */
function isTopLabel(label: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(label) &&
    !/^[0-9]+$/.test(label);
}

function broken(term: string, why: string): RecordError {
  // Any domain can publish a record. Its bytes may be terminal sequences, and a term
  // can be as long as a TXT record.
  const shown = term.length > 60 ? `${term.slice(0, 60)}...` : term;
  return new RecordError(`${printable(shown)}: ${why}`);
}

/** Writes all but visible ASCII and spaces as `\DDD` (RFC 1035, 5.1). */
export function printable(text: string): string {
  return text.replace(
    /[^ -~]/g,
    (c) => `\\${String(c.charCodeAt(0)).padStart(3, "0")}`,
  );
}
