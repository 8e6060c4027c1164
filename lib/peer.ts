/**
 * Who is calling.
 *
 * @module
 */

import { type Address, parseAddress } from "./address.ts";

/** The environment variables that this module reads. */
export const PEER_VARIABLES = [
  "TCPREMOTEIP",
  "REMOTE_ADDR",
  "TCPREMOTEHOST",
  "TCPLOCALPORT",
  "TCPLOCALHOST",
] as const;

/** Reads an environment variable, undefined where it is not set. */
export type Environment = (name: string) => string | undefined;

/** What is known about the connection. */
export interface Peer {
  readonly address: Address;
  /** Where the address was found. */
  readonly source: "TCPREMOTEIP" | "REMOTE_ADDR" | "socket";
}

/** No client address could be found; the message is one line. */
export class PeerError extends Error {
  override name = "PeerError";
}

/**
 * Finds the client's address: TCPREMOTEIP (tcp-environ(5)), else REMOTE_ADDR
 * (systemd.exec(5)), else the socket's other end. A variable that is set to
 * nothing counts as missing; one that holds something else than an address is an
 * error, since what stands behind it may be a proxy.
 *
 * @param socketPeer the address of the other end of standard input
 * @throws {PeerError} where there is none
 */
export function findPeer(
  env: Environment,
  socketPeer: () => Address | undefined,
): Peer {
  for (const source of ["TCPREMOTEIP", "REMOTE_ADDR"] as const) {
    const text = env(source);
    if (!text) continue;
    // The zone of a link-local address (RFC 4007) names a link, not a host.
    const zoneless = text.includes("%")
      ? text.replace(/^(fe80:.*)%.*$/i, "$1")
      : text;
    const address = parseAddress(zoneless);
    if (address !== undefined) return { address, source };
    throw new PeerError(
      `${source}: ${JSON.stringify(text.slice(0, 60))}: expected an IP address`,
    );
  }
  const address = socketPeer();
  if (address !== undefined) return { address, source: "socket" };
  throw new PeerError(
    "no client address: TCPREMOTEIP and REMOTE_ADDR are not set and standard " +
      "input is no TCP connection",
  );
}

/**
 * The client's host name, as the super-server looked it up: TCPREMOTEHOST, in
 * lower case, without a final dot.
 */
export function findHost(env: Environment): string | undefined {
  return env("TCPREMOTEHOST")?.toLowerCase().replace(/\.$/, "") || undefined;
}

/**
 * The port of this machine that the client is connected to: TCPLOCALPORT, else
 * that of the socket.
 *
 * @param socketPort the port of this end of standard input
 */
export function findLocalPort(
  env: Environment,
  socketPort: () => number | undefined,
): number | undefined {
  const text = env("TCPLOCALPORT") ?? "";
  return /^[0-9]{1,5}$/.test(text) ? Number(text) : socketPort();
}
