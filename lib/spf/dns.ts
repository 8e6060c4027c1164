/**
 * Asks a DNS server. `Deno.resolveDns` and `node:dns` report SERVFAIL, REFUSED,
 * NXDOMAIN and an empty answer all as the same "not found", and SPF has to tell
 * a domain without a record from a server in trouble.
 *
 * Every question goes over TCP, which every server has to offer (RFC 7766). No
 * answer is cut at 512 bytes. Nobody can forge an answer by guessing a port, which
 * matters for a list of clients that are let in.
 *
 * @module
 */

import { type Address, parseAddress } from "../address.ts";
import {
  type Answer,
  decodeReply,
  encodeQuery,
  isName,
  MessageError,
  type Reply,
  TYPE,
  type TypeName,
} from "./message.ts";
import { type Found, type Resolver, TempError } from "./resolver.ts";

/** The address at which a DNS server listens. */
export interface Server {
  readonly host: string;
  readonly port: number;
}

/**
 * Parses `HOST:PORT`. The port is 53 if left out; an IPv6 address stands in
 * brackets if a port follows.
 *
 * @returns undefined if the text is not a server
 */
export function parseServer(text: string): Server | undefined {
  if (parseAddress(text) !== undefined) return { host: text, port: 53 };
  const match = /^(?:\[(.*)\]|([^:[\]]+))(?::([1-9][0-9]{0,4}))?$/.exec(text);
  if (match === null) return undefined;
  const [, bracketed, plain, digits = "53"] = match;
  const host = bracketed ?? plain;
  const port = Number(digits);
  const good = bracketed !== undefined
    ? host.includes(":") && parseAddress(host) !== undefined
    : parseAddress(host) !== undefined || /^[a-z][a-z0-9.-]*$/i.test(host);
  return good && port <= 65535 ? { host, port } : undefined;
}

/**
 * The servers that resolv.conf(5) names, in their order. If it names none, the
 * server is this machine.
 *
 * @param text the content of /etc/resolv.conf
 */
export function systemServers(text: string): Server[] {
  const servers = [...text.matchAll(/^nameserver[ \t]+(\S+)/gm)]
    .map(([, host]) => ({ host, port: 53 }));
  return servers.length > 0 ? servers : [{ host: "127.0.0.1", port: 53 }];
}

/**
 * Asks the first of some servers, and the next if one does not answer. The server that
 * answered last comes first: one that is down costs its time-out once.
 */
export class DnsResolver implements Resolver {
  readonly #servers: Server[];
  readonly #timeout: number;

  /** @param timeout how long one server may take to answer, in milliseconds */
  constructor(servers: readonly Server[], timeout: number) {
    this.#servers = [...servers];
    this.#timeout = timeout;
  }

  async txt(name: string): Promise<Found<string>> {
    return await this.#find(
      name,
      "TXT",
      (a) => a.type === "TXT" ? [a.text] : [],
    );
  }

  async addresses(name: string, family: 4 | 6): Promise<Found<Address>> {
    return family === 4
      ? await this.#find(name, "A", (a) => a.type === "A" ? [a.address] : [])
      : await this.#find(
        name,
        "AAAA",
        (a) => a.type === "AAAA" ? [a.address] : [],
      );
  }

  async mx(name: string): Promise<Found<string>> {
    return await this.#find(
      name,
      "MX",
      (a) => a.type === "MX" ? [a.exchange] : [],
    );
  }

  /** @param pick gives the wanted values of a record, none of other types */
  async #find<T>(
    name: string,
    type: TypeName,
    pick: (answer: Answer) => T[],
  ): Promise<Found<T>> {
    if (!isName(name)) return { exists: false, records: [] };
    const { code, answers } = await this.#ask(name, type);
    return { exists: code === 0, records: answers.flatMap(pick) };
  }

  async #ask(name: string, type: TypeName): Promise<Reply> {
    let trouble: unknown;
    for (const server of [...this.#servers]) {
      try {
        const reply = await ask(server, name, type, this.#timeout);
        this.#servers.splice(this.#servers.indexOf(server), 1);
        this.#servers.unshift(server);
        return reply;
      } catch (error) {
        if (!(error instanceof TempError)) throw error;
        trouble = error;
      }
    }
    throw trouble;
  }
}

/**
 * Asks one server one question.
 *
 * @throws {TempError} if the server gave no answer to it
 */
async function ask(
  server: Server,
  name: string,
  type: TypeName,
  timeout: number,
): Promise<Reply> {
  const fail = (what: string) => {
    const host = server.host.includes(":") ? `[${server.host}]` : server.host;
    return new TempError(`${name} ${type}: ${host}:${server.port}: ${what}`);
  };
  const id = crypto.getRandomValues(new Uint16Array(1))[0];
  let reply: Reply;
  try {
    const query = encodeQuery(id, name, type);
    reply = decodeReply(await exchange(server, query, timeout));
  } catch (error) {
    throw fail(describe(error, timeout));
  }
  if (
    reply.id !== id || reply.name !== name.toLowerCase() ||
    reply.type !== TYPE[type] || reply.truncated
  ) throw fail("its answer is not to what was asked");
  if (reply.code !== 0 && reply.code !== 3) {
    throw fail(CODES[reply.code] ?? `response code ${reply.code}`);
  }
  // A referral: the reply names other servers and says nothing about the name.
  if (!reply.authoritative && !reply.recursive && reply.answers.length === 0) {
    throw fail("does not resolve names of others");
  }
  return reply;
}

const CODES: Record<number, string> = {
  1: "FORMERR",
  2: "SERVFAIL",
  4: "NOTIMP",
  5: "REFUSED",
};

/** Sends a message over TCP and reads the reply. */
async function exchange(
  { host, port }: Server,
  message: Uint8Array,
  timeout: number,
): Promise<Uint8Array> {
  const signal = AbortSignal.timeout(timeout);
  try {
    using connection = await Deno.connect({ hostname: host, port, signal });
    const late = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
    return await Promise.race([late, converse(connection, message)]);
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}

async function converse(
  connection: Deno.Conn,
  message: Uint8Array,
): Promise<Uint8Array> {
  // Over TCP, two bytes with the length go before a message (RFC 1035, 4.2.2).
  const length = message.length;
  let rest = Uint8Array.from([length >> 8, length & 0xff, ...message]);
  while (rest.length > 0) rest = rest.subarray(await connection.write(rest));
  const [high, low] = await read(connection, 2);
  return await read(connection, high * 256 + low);
}

async function read(connection: Deno.Conn, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  for (let have = 0; have < count;) {
    const more = await connection.read(bytes.subarray(have));
    if (more === null) throw new Error("it closed the connection");
    have += more;
  }
  return bytes;
}

function describe(error: unknown, timeout: number): string {
  if ((error as Error).name === "TimeoutError") {
    return `no answer in ${timeout / 1000} s`;
  }
  if (error instanceof MessageError) {
    return `its answer cannot be read: ${error.message}`;
  }
  if (error instanceof Deno.errors.ConnectionRefused) {
    return "connection refused";
  }
  return (error as Error).message;
}
