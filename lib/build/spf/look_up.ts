/**
 * Asks the DNS for the networks of a domain, merges those of several domains, and
 * turns errors into exit codes.
 *
 * @module
 */

import { formatNetwork } from "../../address.ts";
import { EXIT, TemporaryError, UsageError } from "../../commands/command.ts";
import { DnsResolver, parseServer, systemServers } from "../../spf/dns.ts";
import { expand, PermError } from "../../spf/expand.ts";
import { excess, minimal, type Sourced } from "../../spf/networks.ts";
import { printable } from "../../spf/record.ts";
import { type Resolver, TempError } from "../../spf/resolver.ts";

/** How long a DNS server may take, in milliseconds; resolvers give up earlier. */
const TIMEOUT = 10_000;

/** The networks of one domain, and the warnings about them. */
export interface DomainNetworks {
  readonly domain: string;
  readonly networks: readonly Sourced[];
  /** How many look-ups its record takes, of 10. */
  readonly lookups: number;
  readonly warnings: readonly string[];
}

/**
 * The resolver that asks a server, or those in /etc/resolv.conf.
 *
 * @param server the value of `--server`
 * @throws {UsageError} if the value is not a server
 */
export function resolverOf(server: string | undefined): Resolver {
  if (server === undefined) {
    return new DnsResolver(systemServers(resolvConf()), TIMEOUT);
  }
  const parsed = parseServer(server);
  if (parsed !== undefined) return new DnsResolver([parsed], TIMEOUT);
  throw new UsageError(
    `--server: ${printable(server)}: expected HOST, HOST:PORT or [IPV6]:PORT`,
  );
}

function resolvConf(): string {
  try {
    return Deno.readTextFileSync("/etc/resolv.conf");
  } catch {
    return "";
  }
}

/**
 * Looks up a domain's SPF record with all that it refers to.
 *
 * @throws {PermError} if the record is missing or wrong, or covers too much of
 * the Internet
 * @throws {TempError} if the DNS did not answer
 */
export async function lookUp(
  domain: string,
  resolver: Resolver,
): Promise<DomainNetworks> {
  const { networks, lookups, warnings } = await expand(domain, resolver);
  return { domain, networks: merge(networks), lookups, warnings };
}

/**
 * The networks of several domains, merged and sorted.
 *
 * @throws {PermError} if they cover too much of the Internet
 */
export function together(domains: readonly DomainNetworks[]): Sourced[] {
  return merge(domains.flatMap(({ networks }) => networks));
}

function merge(list: readonly Sourced[]): Sourced[] {
  const networks = minimal(list);
  const widest = excess(networks);
  if (widest === undefined) return networks;
  const { network, origins } = widest;
  const most = network.family === 4 ? "an IPv4 /8" : "an IPv6 /16";
  throw new PermError(
    `would whitelist too much of the Internet: more addresses than ${most} ` +
      `has; the widest network is ${formatNetwork(network)} (${origins[0]})`,
  );
}

/** Errors that another try does not cure, and errors that it may. */
const LASTING = [PermError, UsageError];
const PASSING = [TempError, TemporaryError];

/**
 * Tells whether an error is about one domain or one file. The others go on all the
 * same.
 */
export function isFailure(error: unknown): error is Error {
  return [...LASTING, ...PASSING].some((kind) => error instanceof kind);
}

/** The exit code after failures; the same command helps only if all are temporary. */
export function exitCodeOf(failures: readonly Error[]): number {
  if (failures.length === 0) return EXIT.done;
  const lasts = failures.some((failure) =>
    LASTING.some((kind) => failure instanceof kind)
  );
  return lasts ? EXIT.wrong : EXIT.temporary;
}

/**
 * Runs `deno task spf` or `deno task pools`.
 *
 * @param complain writes a line to standard error
 * @returns the exit code; every error has been written to standard error
 */
export async function runTask(
  task: () => Promise<number>,
  complain: (message: string) => void,
): Promise<number> {
  try {
    return await task();
  } catch (error) {
    complain((error as Error).message);
    return error instanceof UsageError ? EXIT.wrong : EXIT.temporary;
  }
}
