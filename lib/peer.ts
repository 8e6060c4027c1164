/**
 * The address, the name and the local port of a client.
 *
 * @module
 */

import { type Address, parseAddress } from "./address.ts";

/**
 * The variables that hold the client's address, in the order in which they are
 * asked. TCPREMOTEIP comes first: a proxy or a tcprules(1) database sets it on
 * purpose, and qmail-smtpd reads it as well. Each of the last three is set by one
 * super-server, which sets none of those before.
 */
export const ADDRESS_VARIABLES = [
  // tcp-environ(5): tcpserver, tcpsvd, s6-tcpserver, tcp-env, sslserver -e.
  "TCPREMOTEIP",
  // tcpserver's IPv6 builds.
  "TCP6REMOTEIP",
  // sslserver(1) without -e.
  "SSLREMOTEIP",
  // systemd.exec(5), with Accept=yes.
  "REMOTE_ADDR",
  // ncat(1) with --exec.
  "NCAT_REMOTE_ADDR",
  // socat(1).
  "SOCAT_PEERADDR",
] as const;

/**
 * The variables that hold the port of this machine, in the order in which they are
 * asked. Each of the last three is set by one super-server, which may hand over a
 * pipe: then no socket has the port.
 */
export const PORT_VARIABLES = [
  // tcp-environ(5): tcpserver, tcpsvd, s6-tcpserver, tcp-env, sslserver -e.
  "TCPLOCALPORT",
  // sslserver(1) without -e.
  "SSLLOCALPORT",
  // ncat(1) with --exec.
  "NCAT_LOCAL_PORT",
  // socat(1).
  "SOCAT_SOCKPORT",
] as const;

/** The environment variables that this module reads. */
export const PEER_VARIABLES = [
  ...ADDRESS_VARIABLES,
  "TCPREMOTEHOST",
  ...PORT_VARIABLES,
  "TCPLOCALHOST",
] as const;

/** Reads an environment variable; undefined if it is not set. */
export type Environment = (name: string) => string | undefined;

/** What is known about the connection. */
export interface Peer {
  readonly address: Address;
  /** Where the address was found. */
  readonly source: typeof ADDRESS_VARIABLES[number] | "socket";
}

/** No client address could be found; the message is one line. */
export class PeerError extends Error {
  override name = "PeerError";
}

/**
 * Finds the client's address: the first of {@linkcode ADDRESS_VARIABLES} that
 * holds one, else the socket's other end. The socket comes last since behind a
 * proxy it is the proxy's.
 *
 * A variable that is empty, `unknown` or an address of zeros counts as missing.
 * Any other text that is no address is an error: the socket may be a proxy's, so
 * its address must not count instead.
 *
 * @param socketPeer the address of the other end of standard input
 * @throws {PeerError} if no address is found, or a variable holds another text
 */
export function findPeer(
  env: Environment,
  socketPeer: () => Address | undefined,
): Peer {
  for (const source of ADDRESS_VARIABLES) {
    const text = env(source);
    if (text === undefined || text === "" || text === "unknown") continue;
    const address = parseAddress(bare(text));
    if (address === undefined) {
      throw new PeerError(
        `${source}: ${
          JSON.stringify(text.slice(0, 60))
        }: expected an IP address`,
      );
    }
    // notqmail's tcp-env has 0.0.0.0 for each client on an IPv6 socket.
    if (address.value !== 0n) return { address, source };
  }
  const address = socketPeer();
  if (address !== undefined) return { address, source: "socket" };
  throw new PeerError(
    `no client address: none in ${
      ADDRESS_VARIABLES.join(", ")
    }, and standard ` +
      "input is no TCP connection",
  );
}

/**
 * The address without what some super-servers write around it: the zone of a
 * link-local address (RFC 4007), which names a link and no host, and socat's
 * brackets around an IPv6 address.
 */
function bare(text: string): string {
  if (text.startsWith("[") && text.endsWith("]")) text = text.slice(1, -1);
  return text.includes("%")
    ? text.replace(/^(fe[89ab][0-9a-f]:.*)%.*$/i, "$1")
    : text;
}

/** What qmail's tcp-env has for a client whose look-up failed for the moment. */
const NO_ANSWER = "softdnserror";

/**
 * The client's host name, as the super-server looked it up: TCPREMOTEHOST, in
 * lower case, without a final dot.
 */
export function findHost(env: Environment): string | undefined {
  const name = env("TCPREMOTEHOST")?.toLowerCase().replace(/\.$/, "");
  return name === "" || name === NO_ANSWER ? undefined : name;
}

/**
 * The port of this machine that the client is connected to: the first of
 * {@linkcode PORT_VARIABLES} that holds a number, else that of the socket.
 *
 * @param socketPort the port of this end of standard input
 */
export function findLocalPort(
  env: Environment,
  socketPort: () => number | undefined,
): number | undefined {
  for (const name of PORT_VARIABLES) {
    const text = env(name) ?? "";
    if (/^[0-9]{1,5}$/.test(text)) return Number(text);
  }
  return socketPort();
}
