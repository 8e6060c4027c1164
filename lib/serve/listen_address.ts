/**
 * The address and port to listen on, as the command line has them:
 * `[HOST:]PORT`.
 *
 * @module
 */

import { type Address, parseAddress } from "../address.ts";

/** An address and a port to listen on. */
export interface ListenAddress {
  /** Undefined is every address of this machine. */
  readonly address: Address | undefined;
  readonly port: number;
}

/** Ports by name, as in services(5). */
const SERVICES: Readonly<Record<string, number>> = {
  smtp: 25,
  submission: 587,
};

/**
 * Parses `PORT`, `192.0.2.1:PORT`, `[2001:db8::1]:PORT`, or `0:PORT` for every
 * IPv4 address as tcpserver(1) has it. PORT is a number, `smtp` or `submission`.
 *
 * @returns undefined if the text is none of these
 */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:(?:\[([^[\]]+)\]|([^:[\]]+)):)?([a-z0-9]+)$/.exec(text);
  if (match === null) return undefined;
  const [, six, four, name] = match;
  const port = Object.hasOwn(SERVICES, name)
    ? SERVICES[name]
    : /^[1-9][0-9]{0,4}$/.test(name)
    ? Number(name)
    : 0;
  if (port < 1 || port > 65535) return undefined;
  const host = six ?? (four === "0" ? "0.0.0.0" : four);
  if (host === undefined) return { address: undefined, port };
  const address = parseAddress(host);
  const good = address?.family === (six === undefined ? 4 : 6);
  return good ? { address, port } : undefined;
}
