/**
 * Whether a listener grows with the number of clients that it has served.
 *
 * @module
 */

import { bytesIn } from "../../lib/build/bench/proc.ts";
import { makeEntry } from "./entry.ts";
import {
  childrenOf,
  descriptorsOf,
  freePort,
  hungUp,
  waitFor,
} from "./process.ts";
import { HELPER_LIFE, serving } from "./serving.ts";
import { ATTEMPT, burst } from "./smtp.ts";
import type { Listener } from "./way_in.ts";

/** The resources of a server while no client is connected. */
interface Size {
  /** Its resident memory, in bytes. */
  readonly memory: number;
  readonly descriptors: number;
  readonly children: number;
}

/** The resources that a server still has when all its clients have gone. */
async function sizeOf(
  { port, pid }: Listener,
  before = Infinity,
): Promise<Size> {
  await hungUp(port);
  await waitFor("the end of programs", () => childrenOf(pid).length === 0);
  await waitFor(
    "the descriptors of before",
    () => descriptorsOf(pid).length <= before,
    HELPER_LIFE,
  );
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return {
    memory: bytesIn(status, "VmRSS"),
    descriptors: descriptorsOf(pid).length,
    children: childrenOf(pid).length,
  };
}

/** How many clients there are at once. */
const AT_ONCE = 20;

/** One client in this many is let in. */
const LET_IN = 10;

/**
 * Sends clients over IPv6, which are deferred, and over IPv4, which are let in.
 *
 * @throws {Error} if a client gets anything else
 */
async function sessions(
  count: number,
  four: number,
  six: number,
): Promise<void> {
  makeEntry("127.0.0.0_24", 1, 60);
  const commands = ATTEMPT.join("\r\n") + "\r\n";
  let begun = 0;
  const one = async () => {
    while (begun < count) {
      const number = ++begun;
      const isLetIn = number % LET_IN === 0;
      const text = isLetIn
        ? await burst(four, commands)
        : await burst(six, commands, "::1");
      const good = isLetIn
        ? text.startsWith("220 next program")
        : text.includes("\r\n451 4.7.1 ");
      if (!good) throw new Error(`client ${number}: ${JSON.stringify(text)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/**
 * Serves a number of clients.
 *
 * @returns what the server held before and after
 */
export async function growth(
  count: number,
): Promise<{ before: Size; after: Size }> {
  const six = freePort();
  // No deferred client may be let in meanwhile.
  // Pruning has a thread of its own, with descriptors of its own.
  const config = { timeouts: { delay: "1h" }, prune: { every: 0 } } as const;
  await using server = await serving(config, {
    options: [`[::1]:${six}`],
    life: 240 + count / 20,
  });
  // The first clients cause the allocations that are made only once, and bring
  // both heaps, that of the event loop and that of the worker, to their size.
  await sessions(Math.max(400, count / 10), server.port, six);
  const before = await sizeOf(server);
  await sessions(count, server.port, six);
  return { before, after: await sizeOf(server, before.descriptors) };
}
