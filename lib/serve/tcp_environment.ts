/**
 * The environment of a child process: the variables of tcp-environ(5), and for a
 * client over IPv6 those that tcpserver's IPv6 build adds.
 *
 * @module
 */

import { formatAddress } from "../address.ts";
import { ADDRESS_VARIABLES } from "../peer.ts";
import type { SocketName } from "../system/socket.ts";

/** The two ends of a connection, and their names. */
export interface ConnectionEnds {
  readonly peer: SocketName;
  readonly local: SocketName;
  /** The client's host name, if it was looked up and has the client's address. */
  readonly host?: string;
  /** This machine's name. */
  readonly localHost?: string;
}

/** The variables of a child; a variable with the value undefined is removed. */
export function tcpEnvironment(
  { peer, local, host, localHost }: ConnectionEnds,
): Record<string, string | undefined> {
  const remoteIp = formatAddress(peer.address);
  const remotePort = String(peer.port);
  const localIp = formatAddress(local.address);
  const localPort = String(local.port);
  const six = peer.address.family === 6;
  return {
    // A super-server that started `serve` may have set them, but not for the clients
    // of `serve`.
    ...Object.fromEntries(ADDRESS_VARIABLES.map((name) => [name, undefined])),
    PROTO: six ? "TCP6" : "TCP",
    TCPREMOTEIP: remoteIp,
    TCPREMOTEPORT: remotePort,
    TCPREMOTEHOST: host,
    // `serve` makes no ident query (RFC 1413).
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
