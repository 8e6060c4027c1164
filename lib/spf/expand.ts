/**
 * Turns a domain's SPF record, with all records that it refers to, into a list
 * of networks. This is the evaluation of RFC 7208 sections 4 to 6, done for
 * every client at once.
 *
 * @module
 */

import { isMapped, type Network, networkOf } from "../address.ts";
import type { Sourced } from "./networks.ts";
import {
  type Directive,
  expandMacros,
  isSpf,
  parseRecord,
  printable,
  RecordError,
  type SpfRecord,
} from "./record.ts";
import { exceptionsTo, type Refusal, type Step } from "./refusals.ts";
import type { Resolver } from "./resolver.ts";

/** The result of expanding a domain's record. */
export interface Expansion {
  /** The networks that pass, in the order of the record, not yet merged. */
  readonly networks: readonly Sourced[];
  /** How many of the 10 DNS look-ups that a record may cause were used. */
  readonly lookups: number;
  /** One line for each term that `networks` does not reflect, with the reason. */
  readonly warnings: readonly string[];
}

/** The record is wrong or missing. Another try does not help. */
export class PermError extends Error {
  override name = "PermError";
}

// RFC 7208 section 4.6.4.
const MAX_LOOKUPS = 10;
const MAX_VOID = 2;
const MAX_EXCHANGERS = 10;

/**
 * Expands a domain's SPF record.
 *
 * A term that refuses (`-`, `~`, `?`) gives no networks. The domain that it
 * names is not looked up, but the term counts as a look-up. If it is no `ip4` or
 * `ip6` term, the clients that it refuses are unknown: the networks listed after
 * it name it as an exception, and a warning says so.
 *
 * @param domain the domain in lower case, without a dot at the end
 * @throws {PermError} if there is no record, or RFC 7208 calls it an error
 * @throws {TempError} if the DNS did not answer
 */
export async function expand(
  domain: string,
  resolver: Resolver,
): Promise<Expansion> {
  const walk = new Walk(resolver);
  await walk.domain([{ domain, term: domain }], []);
  return walk;
}

class Walk implements Expansion {
  readonly networks: Sourced[] = [];
  readonly warnings: string[] = [];
  lookups = 0;
  #voids = 0;
  readonly #warned = new Set<Refusal>();
  readonly #resolver: Resolver;

  constructor(resolver: Resolver) {
    this.#resolver = resolver;
  }

  /**
   * @param path the steps from the domain that was asked for to this one
   * @param refusals the terms that a client has to get past before this record
   * is asked; the refusing terms of this record are added
   */
  async domain(path: readonly Step[], refusals: Refusal[]): Promise<void> {
    const record = await this.#record(path);
    for (const directive of record.directives) {
      const { mechanism, qualifier } = directive;
      if (qualifier === "+") {
        await this.#pass(directive, path, refusals);
      } else {
        this.#refuse(directive, path, refusals);
      }
      // No term after `all` is ever asked, redirect included (section 5.1).
      if (mechanism.kind === "all") return;
    }
    if (record.redirect !== undefined) {
      await this.#follow("redirect", record.redirect, path, refusals);
    }
  }

  async #record(path: readonly Step[]): Promise<SpfRecord> {
    const { domain } = path.at(-1)!;
    const found = await this.#resolver.txt(domain);
    if (path.length > 1) this.#countVoid(found.records.length === 0, domain);
    const records = found.records.filter(isSpf);
    if (records.length !== 1) {
      const what = records.length > 1
        ? `${records.length} SPF records, expected one`
        : found.exists
        ? "no SPF record"
        : "no such domain";
      throw new PermError(`${where(path)}${what}`);
    }
    try {
      return parseRecord(records[0]);
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      throw new PermError(`${where(path)}${error.message}`);
    }
  }

  async #pass(
    directive: Directive,
    path: readonly Step[],
    refusals: readonly Refusal[],
  ): Promise<void> {
    const { mechanism, text } = directive;
    const { domain } = path.at(-1)!;
    switch (mechanism.kind) {
      case "all":
        for (const family of [4, 6] as const) {
          const everything = networkOf({ family, value: 0n }, 0);
          this.#add(everything, path, text, refusals);
        }
        return;
      case "ip4":
      case "ip6":
        if (mechanism.network === undefined) {
          this.#warn(path, text, MAPPED);
        } else {
          this.#add(mechanism.network, path, mechanism.kind, refusals);
        }
        return;
      case "include":
        // A term that refuses in an included record only ends that record.
        return await this.#follow("include", mechanism.domain, path, [
          ...refusals,
        ]);
    }
    this.#count(domain);
    if (mechanism.kind === "ptr" || mechanism.kind === "exists") {
      this.#warn(path, text, "cannot be turned into networks");
      return;
    }
    const name = mechanism.domain === undefined
      ? domain
      : expandMacros(mechanism.domain, domain);
    if (name === undefined) {
      this.#warn(path, text, MACRO);
      return;
    }
    if (mechanism.kind === "a") {
      await this.#hosts(name, mechanism, path, text, refusals);
      return;
    }
    const { records } = await this.#resolver.mx(name);
    this.#countVoid(records.length === 0, name);
    if (records.length > MAX_EXCHANGERS) {
      throw new PermError(
        `${where(path)}${text}: ${records.length} mail exchangers, ` +
          `more than ${MAX_EXCHANGERS}`,
      );
    }
    // Servers rotate their answers. Sorted, the same record gives the same list.
    for (const host of [...records].sort()) {
      if (host === "") continue;
      const origin = `${text} (${host})`;
      await this.#hosts(host, mechanism, path, origin, refusals);
    }
  }

  /** The networks around a host's addresses. */
  async #hosts(
    host: string,
    { prefix4, prefix6 }: { prefix4: number; prefix6: number },
    path: readonly Step[],
    origin: string,
    refusals: readonly Refusal[],
  ): Promise<void> {
    let any = false;
    for (const [family, prefix] of [[4, prefix4], [6, prefix6]] as const) {
      const { records } = await this.#resolver.addresses(host, family);
      for (const address of records) {
        any = true;
        // As text its network is one of IPv4: `::ffff:0:0/96` is all of it.
        if (family === 6 && isMapped(address.value)) {
          this.#warn(path, origin, MAPPED);
        } else this.#add(networkOf(address, prefix), path, origin, refusals);
      }
    }
    // A client has one family, so a host that lacks the other one is no void
    // look-up.
    this.#countVoid(!any, host);
  }

  /** Evaluates the record that `include:` or `redirect=` names. */
  async #follow(
    how: "include" | "redirect",
    target: string,
    path: readonly Step[],
    refusals: Refusal[],
  ): Promise<void> {
    const here = path.at(-1)!.domain;
    const term = `${how}${how === "include" ? ":" : "="}${target}`;
    this.#count(here);
    const domain = expandMacros(target, here);
    if (domain === undefined) {
      this.#warn(path, term, MACRO);
      return;
    }
    const next = [...path, { domain, term }];
    if (path.some((step) => step.domain === domain)) {
      const loop = next.map((step) => step.domain).join(" > ");
      throw new PermError(`${printable(loop)}: a loop`);
    }
    await this.domain(next, refusals);
  }

  #refuse(
    { mechanism, text }: Directive,
    path: readonly Step[],
    refusals: Refusal[],
  ): void {
    if (mechanism.kind === "all") return;
    if (mechanism.kind === "ip4" || mechanism.kind === "ip6") {
      const { network } = mechanism;
      if (network !== undefined) refusals.push({ network, text, path });
      return;
    }
    this.#count(path.at(-1)!.domain);
    refusals.push({ text, path });
  }

  #add(
    network: Network,
    path: readonly Step[],
    term: string,
    refusals: readonly Refusal[],
  ): void {
    const origin = [...path.map((step) => step.term), term].join(" > ");
    const exceptions = exceptionsTo(network, refusals);
    if (exceptions === undefined) return;
    for (const refusal of exceptions) this.#warnOfUnknown(refusal);
    const texts = exceptions.map(({ text }) => text);
    const but = texts.length > 0 ? ` (although ${texts.join(" ")})` : "";
    this.networks.push({ network, origins: [printable(origin + but)] });
  }

  /** Warns, once, of a refusing term whose clients are not known. */
  #warnOfUnknown(refusal: Refusal): void {
    if (refusal.network !== undefined || this.#warned.has(refusal)) return;
    this.#warned.add(refusal);
    this.warnings.push(
      `${where(refusal.path)}${printable(refusal.text)}: not looked up: ` +
        "what it refuses may be listed all the same",
    );
  }

  /** Counts one of the look-ups that section 4.6.4 limits. */
  #count(domain: string): void {
    if (++this.lookups <= MAX_LOOKUPS) return;
    throw new PermError(
      `${domain}: more than ${MAX_LOOKUPS} terms that need DNS look-ups`,
    );
  }

  #countVoid(isVoid: boolean, name: string): void {
    if (!isVoid || ++this.#voids <= MAX_VOID) return;
    throw new PermError(
      `${printable(name)}: more than ${MAX_VOID} look-ups that found nothing`,
    );
  }

  #warn(path: readonly Step[], term: string, why: string): void {
    this.warnings.push(`${where(path)}${printable(term)}: left out: ${why}`);
  }
}

const MAPPED = "no client has an IPv4-mapped address";

const MACRO = "a macro stands for something else with each client";

/** Names the record at fault, unless it is the one that was asked for. */
function where(path: readonly Step[]): string {
  return path.length > 1 ? `${printable(path.at(-1)!.domain)}: ` : "";
}
