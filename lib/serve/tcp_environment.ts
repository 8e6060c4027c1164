/**
 * The environment of a child process as tcp-environ(5) has it, and for a client
 * over IPv6 the variables that tcpserver's IPv6 build adds.
 *
 * @module
 */

import { formatAddress } from "../address.ts";
import { ADDRESS_VARIABLES } from "../peer.ts";
import type { SocketName } from "../system/socket.ts";

/** What is known about a connection. */
export interface ConnectionEnds {
  readonly peer: SocketName;
  readonly local: SocketName;
  /** The client's host name, if it was looked up and has the client's address. */
  readonly host?: string;
  /** This machine's name. */
  readonly localHost?: string;
}

/** The variables; undefined is one that must not be set. */
export function tcpEnvironment(
  { peer, local, host, localHost }: ConnectionEnds,
): Record<string, string | undefined> {
  const remoteIp = formatAddress(peer.address);
  const remotePort = String(peer.port);
  const localIp = formatAddress(local.address);
  const localPort = String(local.port);
  const six = peer.address.family === 6;
  return {
    // What a super-server above `serve` has left is about no client of `serve`.
    ...Object.fromEntries(ADDRESS_VARIABLES.map((name) => [name, undefined])),
    PROTO: six ? "TCP6" : "TCP",
    TCPREMOTEIP: remoteIp,
    TCPREMOTEPORT: remotePort,
    TCPREMOTEHOST: host,
    // The client's user is not asked for (RFC 1413).
    TCPREMOTEINFO: undefined,
    TCPLOCALIP: localIp,
    TCPLOCALPORT: localPort,
    TCPLOCALHOST: localHost,
    TCP6REMOTEIP: six ? remoteIp : undefined,
    TCP6REMOTEPORT: six ? remotePort : undefined,
    TCP6REMOTEHOST: six ? host : undefined,
    TCP6LOCALIP: six ? localIp : undefined,
    TCP6LOCALPORT: six ? localPort : undefined,
    TCP6LOCALHOST: six ? localHost : undefined,
    TCP6INTERFACE: undefined,
  };
}
