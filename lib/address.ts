/**
 * IP addresses and networks: parse, canonical text, network of a prefix
 * length, CIDR match. IPv4-mapped IPv6 (`::ffff:192.0.2.1`) is IPv4 here.
 *
 * @module
 */

/** An IPv4 or IPv6 address. */
export interface Address {
  readonly family: 4 | 6;
  /** The address as one number, 32 or 128 bits. */
  readonly value: bigint;
}

/** A CIDR network; the host bits of `value` are 0. */
export interface Network extends Address {
  /** How many leading bits belong to the network: 0 to 32, or 0 to 128. */
  readonly prefix: number;
}

/** The number of bits in an address of the family: 32 or 128. */
export function width(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

/** Whether a value of IPv6 is an IPv4-mapped address (RFC 4291, 2.5.5.2). */
export function isMapped(value: bigint): boolean {
  return value >> 32n === 0xffffn;
}

/**
 * Parses an address that may be in brackets, as some programs write one in place of
 * a name; see {@linkcode parseAddress}.
 */
export function parseBracketed(text: string): Address | undefined {
  return parseAddress(text.replace(/^\[(.*)\]$/, "$1"));
}

/**
 * Parses an address: four decimal numbers without leading zeros (`010` is 8 to
 * some programs and 10 to others, so it is neither here), or any IPv6 text form
 * of RFC 4291 section 2.2, without a zone.
 *
 * @returns the address, or undefined if the text is not one
 */
export function parseAddress(text: string): Address | undefined {
  if (!text.includes(":")) {
    const value = parseIPv4(text);
    return value === undefined ? undefined : { family: 4, value };
  }
  const value = parseIPv6(text);
  if (value === undefined) return undefined;
  return fromIPv6(value);
}

/**
 * The address of 128 bits. An IPv4-mapped one (RFC 4291, section 2.5.5.2) is IPv4.
 */
export function fromIPv6(value: bigint): Address {
  return isMapped(value)
    ? { family: 4, value: value & 0xffffffffn }
    : { family: 6, value };
}

function parseIPv4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    const octet = Number(part);
    // No sign, no blank, no zero in front.
    if (!(octet >= 0 && octet <= 255) || String(octet) !== part) {
      return undefined;
    }
    value = value * 256 + octet;
  }
  return BigInt(value);
}

function parseIPv6(text: string): bigint | undefined {
  // The longest form, eight groups with an IPv4 tail, has 45 characters.
  if (text.length > 45) return undefined;
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0], halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1], true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  // "::" stands for one group or more.
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array(missing).fill(0), ...tail]) {
    value = value << 16n | BigInt(group);
  }
  return value;
}

function parseGroups(text: string, mayEndInIPv4: boolean) {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(parseInt(part, 16));
    } else if (mayEndInIPv4 && i === parts.length - 1) {
      const value = parseIPv4(part);
      if (value === undefined) return undefined;
      groups.push(Number(value >> 16n), Number(value & 0xffffn));
    } else {
      return undefined;
    }
  }
  return groups;
}

/** Whether two addresses are known, and the same one. */
export function isSameAddress(
  one: Address | undefined,
  other: Address | undefined,
): boolean {
  return one !== undefined && one.family === other?.family &&
    one.value === other.value;
}

/** The canonical text of an address; for IPv6 that of RFC 5952 section 4. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) {
    const bits = Number(value);
    return `${bits >>> 24}.${bits >>> 16 & 255}.${bits >>> 8 & 255}.${
      bits & 255
    }`;
  }
  const groups: string[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) {
    groups.push((value >> shift & 0xffffn).toString(16));
  }
  // The longest run of two zero groups or more becomes "::", the first of
  // several that are as long (RFC 5952 section 4.2).
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === "0") end++;
    if (end - i > length) [start, length] = [i, end - i];
    if (end > i) i = end;
  }
  if (start < 0) return groups.join(":");
  return groups.slice(0, start).join(":") + "::" +
    groups.slice(start + length).join(":");
}

/**
 * Parses a network: an address, `/`, a prefix length. An address alone is the
 * network of just that address. A text whose host bits are set, such as
 * `10.0.0.1/8`, is most likely a slip and is not taken.
 *
 * @returns the network, or undefined if the text is not one
 */
export function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const bits = width(address.family);
  if (slash < 0) return { ...address, prefix: bits };
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(digits)) return undefined;
  // A mapped network counts its prefix from the 96 bits before the IPv4 part.
  const mapped = address.family === 4 && text.includes(":");
  const prefix = Number(digits) - (mapped ? 96 : 0);
  if (prefix < 0 || prefix > bits) return undefined;
  const network = networkOf(address, prefix);
  return network.value === address.value ? network : undefined;
}

/**
 * Parses a network as {@linkcode parseNetwork} does, or the first numbers of an
 * IPv4 address as tcprules(1) and postgrey write a network: `192.0.2` and
 * `192.0.2.` are 192.0.2.0/24, `10.9` and `10.9.` are 10.9.0.0/16, and `10.` is
 * 10.0.0.0/8. A number without a dot is no network.
 *
 * @returns the network, or undefined if the text is not one
 */
export function parseNetworkRule(text: string): Network | undefined {
  const short = /^(\d{1,3}\.|\d{1,3}(?:\.\d{1,3}){1,2}\.?)$/.test(text);
  if (!short) return parseNetwork(text);
  const octets = text.split(".").filter((octet) => octet !== "");
  const zeros = Array(4 - octets.length).fill("0");
  return parseNetwork(
    [...octets, ...zeros].join(".") + `/${octets.length * 8}`,
  );
}

/**
 * The network of the given prefix length that an address belongs to.
 *
 * @throws {RangeError} if the prefix length does not fit the family
 */
export function networkOf(address: Address, prefix: number): Network {
  const bits = width(address.family);
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > bits) {
    throw new RangeError(
      `prefix length ${prefix}: expected 0 to ${bits} for IPv${address.family}`,
    );
  }
  const host = BigInt(bits - prefix);
  return {
    family: address.family,
    value: address.value >> host << host,
    prefix,
  };
}

/** The prefix lengths of the networks that each count as one client. */
export interface PrefixLengths {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** The network that counts as one client: its prefix length is configured. */
export function clientNetwork(
  address: Address,
  match: PrefixLengths,
): Network {
  return networkOf(address, address.family === 4 ? match.ipv4 : match.ipv6);
}

/** The canonical text of a network: `192.0.2.0/24`, `2001:db8::/32`. */
export function formatNetwork(network: Network): string {
  return `${formatAddress(network)}/${network.prefix}`;
}

/** Whether all addresses of the inner network belong to the outer one. */
export function covers(outer: Network, inner: Network): boolean {
  return outer.prefix <= inner.prefix && contains(outer, inner);
}

/** Whether the address belongs to the network. */
export function contains(network: Network, address: Address): boolean {
  if (network.family !== address.family) return false;
  const host = BigInt(width(network.family) - network.prefix);
  return network.value >> host === address.value >> host;
}
