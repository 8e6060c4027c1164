/**
 * What tcp-environ(5) says that a program finds in its environment, and for a
 * client over IPv6 what tcpserver's IPv6 build adds to that.
 *
 * @module
 */

import { type Address, formatAddress } from "../address.ts";

/** One end of a connection. */
export interface End {
  readonly address: Address;
  readonly port: number;
}

/** What is known about a connection. */
export interface Ends {
  readonly peer: End;
  readonly local: End;
  /** The client's name, where one was found that maps back to its address. */
  readonly host?: string;
  /** What this machine calls itself. */
  readonly localHost?: string;
}

/** The variables; undefined is one that must not be there. */
export function tcpEnvironment(
  { peer, local, host, localHost }: Ends,
): Record<string, string | undefined> {
  const remoteIp = formatAddress(peer.address);
  const remotePort = String(peer.port);
  const localIp = formatAddress(local.address);
  const localPort = String(local.port);
  const six = peer.address.family === 6;
  return {
    PROTO: six ? "TCP6" : "TCP",
    TCPREMOTEIP: remoteIp,
    TCPREMOTEPORT: remotePort,
    TCPREMOTEHOST: host,
    // Nobody is asked who the client's user is (RFC 1413).
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
