/**
 * The host name of a client: the name in the PTR record of its address, if that
 * name has the address in turn, as with tcpserver's option -p. Without the second
 * query the owner of an address could claim any name.
 *
 * @module
 */

import { type Address, isSameAddress, parseAddress } from "../address.ts";

/** How long both queries may take together, in milliseconds. */
const TIMEOUT = 10_000;

/**
 * How many descriptors a look-up takes besides the client's: two for queries, since
 * Deno asks two name servers at once. Uncounted they would leave none for the store,
 * and onError would decide about every client that comes then.
 */
export const QUERY_DESCRIPTORS = 2;

/** How many names of one address are checked. */
const MAX_NAMES = 5;

/**
 * How many addresses of a name are looked at. The owner of a name chooses how many it
 * has: 4,000 fit into an answer.
 */
export const MAX_ADDRESSES = 64;

/** Queries the DNS; an error means that nothing was found. */
export type Query = (
  name: string,
  type: "PTR" | "A" | "AAAA",
  signal: AbortSignal,
) => Promise<string[]>;

function query(name: string, type: "PTR" | "A" | "AAAA", signal: AbortSignal) {
  return Deno.resolveDns(name, type, { signal });
}

/** What is called in the course of a look-up. */
export interface LookUpEvents {
  /**
   * An error is about this machine and not about the name, such as a resolv.conf that
   * cannot be read.
   */
  failed(error: unknown): void;
  /** An answer has so many records. */
  answered(records: number): void;
}

/**
 * Finds the host name of an address, in lower case.
 *
 * @returns undefined if no name has the address in turn
 */
export async function lookUpHostName(
  address: Address,
  { failed, answered }: LookUpEvents,
  resolve: Query = query,
): Promise<string | undefined> {
  const signal = AbortSignal.timeout(TIMEOUT);
  const find = async (name: string, type: "PTR" | "A" | "AAAA") => {
    try {
      const records = await resolve(name, type, signal);
      answered(records.length);
      return records;
    } catch (error) {
      if (!signal.aborted && !isAboutName(error)) failed(error);
      return [];
    }
  };
  const type = address.family === 4 ? "A" : "AAAA";
  const names = await find(reverseName(address), "PTR");
  for (const name of names.slice(0, MAX_NAMES)) {
    const host = hostOf(name);
    if (host === undefined) continue;
    // With a dot at the end, resolv.conf's search domains are not tried.
    const addresses = await find(`${host}.`, type);
    const matches = addresses.slice(0, MAX_ADDRESSES).some((text) =>
      isSameAddress(parseAddress(text), address)
    );
    if (matches) return host;
    if (addresses.length > MAX_ADDRESSES) return undefined;
  }
  return undefined;
}

/**
 * Whether an error is about the name: there is no such name, no answer, or a label that
 * Deno's resolver refuses to ask for.
 */
function isAboutName(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.TimedOut ||
    error instanceof Error && error.message.includes("Label contains invalid");
}

/**
 * The host name in a PTR record.
 *
 * @returns undefined if it is none
 */
function hostOf(name: string): string | undefined {
  const host = ascii(name).toLowerCase().replace(/\.$/, "");
  return isHostName(host) ? host : undefined;
}

/**
 * Deno shows a name of ASCII, `xn--mnchen-3ya.example`, as what it stands for
 * (`münchen.example`). Whitelists and PROGRAM have the first form.
 */
function ascii(name: string): string {
  const isOther = /[^ -~]/.test(name) && /^[\p{L}\p{M}\p{N}._-]+$/u.test(name);
  return isOther ? URL.parse(`http://${name}`)?.hostname ?? name : name;
}

/** Whether a name from the DNS is safe in an environment variable and a log. */
function isHostName(text: string): boolean {
  return text.length <= 255 && /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(text);
}

/**
 * The name of the PTR record: `7.2.0.192.in-addr.arpa.` (RFC 1035 section 3.5), or
 * one below ip6.arpa (RFC 3596 section 2.5).
 */
export function reverseName({ family, value }: Address): string {
  const [bits, count, radix, zone] = family === 4
    ? [8n, 4, 10, "in-addr"] as const
    : [4n, 32, 16, "ip6"] as const;
  const labels = Array.from({ length: count }, (_, i) => {
    const part = value >> (BigInt(i) * bits) & ((1n << bits) - 1n);
    return part.toString(radix);
  });
  return `${labels.join(".")}.${zone}.arpa.`;
}
