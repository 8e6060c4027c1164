/**
 * Many clients that come to `greylist serve` at once, and wait there.
 *
 * @module
 */

import { TemporaryError } from "../../commands/command.ts";
import { close } from "../../system/descriptor.ts";
import { Epoll, READABLE } from "../../system/epoll.ts";
import {
  descriptorLimit,
  setDescriptorLimit,
} from "../../system/resource_limit.ts";
import { receive, send } from "../../system/transfer.ts";
import type { Binaries } from "./binaries.ts";
import { Dialer, resentOn } from "./dial.ts";
import { memoryOf, UNFINISHED } from "./memory.ts";
import { type Bench, expectQuiet, logOf } from "./plan.ts";
import { type Server, startServe, stopServers } from "./servers.ts";
import type { Section } from "./table.ts";

/** How long all clients together may take, in milliseconds. */
const PATIENCE = 60_000;

/** Descriptors besides those of the clients. */
const RESERVE = 100;

/** Measures what a crowd costs, and whether all of its clients are served. */
export async function measureCrowd(
  bench: Bench,
  binaries: Binaries,
): Promise<Section> {
  const { crowd } = bench.plan;
  const all = crowd.toLocaleString("en-US");
  bench.say(`serve: ${all} clients at once`);
  const before = descriptorLimit();
  const wanted = BigInt(crowd + RESERVE);
  const servers: Server[] = [];
  let values: Record<string, number>;
  try {
    if (before.soft < wanted) {
      const { hard } = before;
      setDescriptorLimit({ soft: wanted < hard ? wanted : hard, hard });
    }
    const server = await startServe(bench, binaries.serve, {}, ["true"]);
    servers.push(server);
    values = await crowdAt(bench, server);
  } finally {
    await stopServers(servers);
    setDescriptorLimit(before);
  }
  await expectQuiet(logOf(bench));
  return {
    key: "crowd",
    title: `${all} CLIENTS AT ONCE`,
    columns: [
      { key: "answered", heading: "answered", digits: 0 },
      { key: "resent", heading: "resent", digits: 0 },
      { key: "slowest", heading: "slowest ms", digits: 0 },
      { key: "pss", heading: "PSS MB", digits: 1 },
      { key: "ended", heading: "ended", digits: 0 },
    ],
    rows: [{ key: "serve", text: "greylist serve, all deferred", values }],
  };
}

/** A client of the crowd. */
interface Client {
  greeted: boolean;
  said: string;
}

async function crowdAt(bench: Bench, { process, port }: Server) {
  const poll = new Epoll();
  const dialer = new Dialer(port);
  const open = new Map<number, Client>();
  const gone = new Set<number>();
  const decoder = new TextDecoder();
  const end = performance.now() + PATIENCE;
  let answered = 0;
  let slowest = 0;
  let ended = 0;

  const start = performance.now();
  const hear = (fd: number, client: Client) => {
    const bytes = receive(fd);
    if (bytes === undefined) return;
    if (bytes === "gone") {
      poll.remove(fd);
      gone.add(fd);
      if (/^221 /m.test(client.said)) ended++;
      return;
    }
    const before = /^451 /m.test(client.said);
    client.said += decoder.decode(bytes);
    if (!client.greeted) {
      client.greeted = true;
      slowest = performance.now() - start;
      send(fd, UNFINISHED);
    } else if (!before && /^451 /m.test(client.said)) {
      answered++;
    }
  };
  const hearUntil = async (done: () => boolean) => {
    while (!done()) {
      bench.signal.throwIfAborted();
      if (performance.now() > end) {
        throw new TemporaryError(
          `of ${open.size} clients ${answered} were answered, ` +
            `${ended} got to their end`,
        );
      }
      const count = await poll.wait(100);
      for (let i = 0; i < count; i++) {
        const event = poll.event(i);
        const client = event && open.get(event.fd);
        if (client !== undefined) hear(event!.fd, client);
      }
    }
  };
  try {
    for (let i = 0; i < bench.plan.crowd; i++) {
      const fd = dialer.dial("new");
      open.set(fd, { greeted: false, said: "" });
      poll.add(fd, READABLE);
    }
    await hearUntil(() => answered + gone.size >= open.size);
    const pss = memoryOf(process.pid).pss / 1e6;
    let resent = 0;
    for (const fd of open.keys()) {
      resent += resentOn(fd);
      send(fd, "QUIT\r\n");
    }
    await hearUntil(() => gone.size >= open.size);
    return { answered, resent, slowest, pss, ended };
  } finally {
    for (const fd of open.keys()) close(fd);
  }
}
