/**
 * A name server with a handful of names, for the look-ups of tcpserver and of
 * `serve`.
 *
 * @module
 */

import { writeFile } from "./root.ts";

/**
 * The address that the server listens on, for tcpserver's DNSCACHEIP; the port is
 * always 53. Each test file has an address of its own, because two may run at the
 * same time.
 */
export const DNS_ADDRESS = `127.53.${Deno.pid >> 8 & 0xff}.${Deno.pid & 0xff}`;

/**
 * An address of this machine that is no loopback address: Deno knows the names of
 * those without a query.
 */
export function ownAddress(): string | undefined {
  return Deno.networkInterfaces().find(({ family, address }) =>
    family === "IPv4" && !address.startsWith("127.")
  )?.address;
}

/** The command in front of a program that is to query this server; needs root. */
export function asking(): string[] {
  const server = writeFile("dns/resolv.conf", `nameserver ${DNS_ADDRESS}\n`);
  const hosts = writeFile("dns/hosts", "127.0.0.1 localhost\n");
  const script = 'mount --bind "$0" /etc/resolv.conf && ' +
    'mount --bind "$1" /etc/hosts && shift && exec "$@"';
  return ["unshare", "--mount", "sh", "-c", script, server, hosts];
}

const PTR = 12;
const A = 1;

/**
 * Answers PTR and A queries; all other names do not exist. Needs root.
 *
 * @param ptr names of IPv4 addresses
 * @param a addresses of names
 * @param mute called with each name; if it returns true, there is no answer
 */
export function openDns(
  ptr: Record<string, string>,
  a: Record<string, string>,
  mute: (name: string) => boolean = () => false,
): AsyncDisposable {
  const socket = Deno.listenDatagram({
    transport: "udp",
    hostname: DNS_ADDRESS,
    port: 53,
  });
  const serving = (async () => {
    for await (const [query, from] of socket) {
      const { name, type, end } = question(query);
      if (mute(name)) continue;
      const address = name.replace(/\.in-addr\.arpa$/, "").split(".").reverse()
        .join(".");
      const data = type === PTR && ptr[address] !== undefined
        ? labels(ptr[address])
        : type === A && a[name] !== undefined
        ? a[name].split(".").map(Number)
        : undefined;
      const message = answer(query, end, type, data);
      // What anybody can send: the answer to another question.
      const forged = Uint8Array.from(message);
      forged[0] ^= 1;
      await socket.send(forged, from);
      await socket.send(message, from);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      socket.close();
      await serving;
    },
  };
}

/** The first question of a message (RFC 1035 section 4.1.2). */
function question(query: Uint8Array) {
  const parts: string[] = [];
  let at = 12;
  while (query[at] > 0) {
    const label = query.subarray(at + 1, at + 1 + query[at]);
    parts.push(new TextDecoder().decode(label).toLowerCase());
    at += 1 + query[at];
  }
  const type = query[at + 1] << 8 | query[at + 2];
  return { name: parts.join("."), type, end: at + 5 };
}

function labels(name: string): number[] {
  const bytes = name.split(".").flatMap((label) => [
    label.length,
    ...new TextEncoder().encode(label),
  ]);
  return [...bytes, 0];
}

/** A message with one record or, without data, NXDOMAIN. */
function answer(
  query: Uint8Array,
  end: number,
  type: number,
  data: number[] | undefined,
): Uint8Array {
  const flags = data === undefined ? [0x84, 0x03] : [0x84, 0x00];
  const counts = [0, 1, 0, data === undefined ? 0 : 1, 0, 0, 0, 0];
  const record = data === undefined
    ? []
    : [0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length, ...data];
  return Uint8Array.from([
    ...query.subarray(0, 2),
    ...flags,
    ...counts,
    ...query.subarray(12, end),
    ...record,
  ]);
}
