/**
 * The text of a file of networks: a whitelist, or the members of a pool.
 *
 * @module
 */

import { formatNetwork } from "../../address.ts";
import type { Sourced } from "../../spf/networks.ts";
import type { DomainNetworks } from "./look_up.ts";

/** The facts in the comments at the head of a file. */
export interface Header {
  /** The command that made the file. */
  readonly made: string;
  readonly now: Date;
  /** The field of the configuration that has to name the file. */
  readonly field: string;
}

/**
 * Writes the networks, one a line, with the terms that they come from.
 *
 * @param networks those of the domains, merged
 */
export function formatList(
  domains: readonly DomainNetworks[],
  networks: readonly Sourced[],
  { made, now, field }: Header,
): string {
  const header = [
    `Made by "${made}"`,
    `on ${now.toISOString().replace(/\.\d+/, "")}. Do not edit: make it again.`,
    `It counts when ${field} in greylist.config.ts names it.`,
    ...domains.map(summary),
    `In all: ${countNetworks(networks)}`,
    ...warningsOf(domains),
  ];
  const lines = networks.map(({ network, origins }) =>
    `${formatNetwork(network)}  # ${origins.join("; ")}`
  );
  return [...header.map((line) => `# ${line}`), ...lines, ""].join("\n");
}

/** Whether a text is empty or has the first line of {@linkcode formatList}. */
export function isList(text: string): boolean {
  return text === "" || text.startsWith('# Made by "deno task ');
}

/** The warnings about all domains, a line each. */
export function warningsOf(domains: readonly DomainNetworks[]): string[] {
  return domains.flatMap(({ domain, warnings }) =>
    warnings.map((warning) => `${domain}: ${warning}`)
  );
}

/** One line about a domain. */
export function summary({ domain, networks, lookups }: DomainNetworks): string {
  return `${domain}: ${countNetworks(networks)} (${lookups} of 10 look-ups)`;
}

/** The number of networks as text, such as `1 network`. */
export function countNetworks({ length }: readonly unknown[]): string {
  return `${length} network${length === 1 ? "" : "s"}`;
}

/** Tells whether the texts of two files differ in nothing but the time. */
export function isSameList(one: string, other: string): boolean {
  const timeless = (text: string) => text.replace(/^# on .*$/m, "");
  return timeless(one) === timeless(other);
}

/** The networks in the text of a file. */
export function networksIn(text: string): string[] {
  return text.split("\n").map((line) => line.split("#", 1)[0].trim())
    .filter((network) => network !== "");
}
