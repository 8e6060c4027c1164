/**
 * A load client in a process of its own. It uses sockets and epoll(7) through the C
 * library, as `serve` does, so that the client is not the limit.
 *
 * Run with a {@linkcode Order} as JSON, it prints a {@linkcode Flood} as JSON.
 *
 * @module
 */

import { isSupported } from "../../system/constants.ts";
import { close } from "../../system/descriptor.ts";
import { Epoll, READABLE } from "../../system/epoll.ts";
import { receive, send } from "../../system/transfer.ts";
import { Dialer, type Site } from "./dial.ts";
import { processorTime } from "./processor_time.ts";

/** The parameters of a flood. */
export interface Order {
  readonly port: number;
  /** How many clients there are at a time. */
  readonly clients: number;
  /** For how long new ones come. */
  readonly seconds: number;
  /** What each says when it has read the banner; nothing if there is none. */
  readonly script: string;
  /** What it must have been told at the end: a regular expression. */
  readonly reply: string;
  /** Whether each line of it waits for the reply to the one before. */
  readonly oneByOne?: boolean;
  /** Each client comes from a network of its own, from this one on. */
  readonly strangers?: number;
  /** Without it, clients and server are on the loopback. */
  readonly site?: Site;
}

/** The figures of a flood of clients. */
export interface Flood {
  readonly sessions: number;
  /** From the first connection to the end of the last session. */
  readonly seconds: number;
  /** How long the slowest of a hundred sessions took, in milliseconds. */
  readonly p99: number;
  /** How long the slowest session of all took, in milliseconds. */
  readonly slowest: number;
  /** How much of one processor's time this client took: 1 is all of it. */
  readonly busy: number;
  /** The server's text in a session that did not go as it should. */
  readonly failed?: string;
}

/** How long a session may take, in milliseconds. */
const PATIENCE = 30_000;

interface Client {
  readonly start: number;
  /** How many pieces of the script it has said. */
  spoken: number;
  /** What the server said, to its end. */
  said: string;
}

/** Holds sessions with a server on this machine. */
async function flood(order: Order): Promise<Flood> {
  if (!isSupported(Deno.build)) {
    throw new Error("not supported on this machine");
  }
  const poll = new Epoll();
  const dialer = new Dialer(order.port, order.strangers, order.site);
  const from = order.strangers === undefined ? undefined : "new";
  const script = order.oneByOne
    ? order.script.split(/(?<=\n)/)
    : [order.script];
  const reply = new RegExp(order.reply, "m");
  const decoder = new TextDecoder();
  const open = new Map<number, Client>();
  const times: number[] = [];
  let failed: string | undefined;
  const before = processorTime("self");
  const start = performance.now();
  const end = start + order.seconds * 1000;

  const begin = () => {
    const fd = dialer.dial(from);
    poll.add(fd, READABLE);
    open.set(fd, { start: performance.now(), spoken: 0, said: "" });
  };
  const finish = (fd: number, { start, said }: Client) => {
    close(fd);
    open.delete(fd);
    const now = performance.now();
    times.push(now - start);
    if (!reply.test(said)) failed ??= said;
    if (now < end) begin();
  };
  const hear = (fd: number, client: Client) => {
    const bytes = receive(fd);
    if (bytes === undefined) return;
    if (bytes === "gone") return finish(fd, client);
    client.said += decoder.decode(bytes);
    if (client.spoken === script.length) return;
    // The last line of a reply has a blank behind its code (RFC 5321 4.2.1).
    if (client.spoken > 0 && !/(^|\n)\d{3} .*\r\n$/.test(client.said)) return;
    // It is far less than a socket's buffer takes.
    send(fd, script[client.spoken++]);
  };

  for (let i = 0; i < order.clients; i++) begin();
  while (open.size > 0) {
    const count = poll.look(1) || await poll.wait(1000);
    for (let i = 0; i < count; i++) {
      const event = poll.event(i);
      const client = event && open.get(event.fd);
      if (client !== undefined) hear(event!.fd, client);
    }
    if (count > 0) continue;
    const now = performance.now();
    for (const [fd, client] of open) {
      if (now - client.start > PATIENCE) finish(fd, client);
    }
  }
  const seconds = (performance.now() - start) / 1000;
  const busy = (processorTime("self") - before) / seconds;
  const sorted = times.sort((a, b) => a - b);
  const p99 = sorted[Math.ceil(times.length * 0.99) - 1];
  const slowest = sorted.at(-1) ?? 0;
  return { sessions: times.length, seconds, p99, slowest, busy, failed };
}

if (import.meta.main) {
  console.log(JSON.stringify(await flood(JSON.parse(Deno.args[0]))));
  // The pending wait would keep the process alive.
  Deno.exit(0);
}
