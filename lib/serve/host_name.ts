/**
 * The name of a client: what its address is called, if that name leads back to
 * the address, as with tcpserver's option -p. Anybody can claim any name for an
 * address of his own.
 *
 * @module
 */

import { type Address, formatAddress, parseAddress } from "../address.ts";

/** How long both questions may take together, in milliseconds. */
const PATIENCE = 10_000;

/** How many of the names of one address are looked at. */
const MOST = 5;

/** Asks the DNS; an error is an answer that nothing was found. */
export type Ask = (
  name: string,
  type: "PTR" | "A" | "AAAA",
  signal: AbortSignal,
) => Promise<string[]>;

function ask(name: string, type: "PTR" | "A" | "AAAA", signal: AbortSignal) {
  return Deno.resolveDns(name, type, { signal });
}

/**
 * Finds the name of an address, in lower case.
 *
 * @returns undefined where there is none that leads back
 */
export async function hostOf(
  address: Address,
  resolve: Ask = ask,
): Promise<string | undefined> {
  const signal = AbortSignal.timeout(PATIENCE);
  const find = async (name: string, type: "PTR" | "A" | "AAAA") => {
    try {
      return await resolve(name, type, signal);
    } catch {
      return [];
    }
  };
  const own = formatAddress(address);
  const type = address.family === 4 ? "A" : "AAAA";
  const names = await find(reverseName(address), "PTR");
  for (const name of names.slice(0, MOST)) {
    const host = name.toLowerCase().replace(/\.$/, "");
    if (!isHostName(host)) continue;
    // With the dot at the end, resolv.conf's domains are not tried behind it.
    const addresses = await find(`${host}.`, type);
    const leadsBack = addresses.some((text) => {
      const back = parseAddress(text);
      return back !== undefined && formatAddress(back) === own;
    });
    if (leadsBack) return host;
  }
  return undefined;
}

/** Whatever the DNS may say, an environment variable and a log line get this. */
function isHostName(text: string): boolean {
  return text.length <= 255 && /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(text);
}

/** `7.2.0.192.in-addr.arpa.` (RFC 1035, 3.5), or its ip6.arpa (RFC 3596). */
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
