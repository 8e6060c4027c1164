/**
 * Sends random and mutated command streams to the compiled program, many at a
 * time. Each comes from an address of its own, so its line in the log is known.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Dialogue } from "../../lib/smtp/dialogue.ts";
import { escapeValue } from "../../lib/log/line.ts";
import { clean, compile } from "./binary.ts";
import { type Deferred, deferred } from "./logged.ts";
import { e2e } from "./need.ts";
import { greeter } from "./next_program.ts";
import { hungUp } from "./process.ts";
import { assertOnlySmtp, bytesOf, Client } from "./smtp.ts";
import {
  assertReplies,
  assertSame,
  type Kind,
  randomFrom,
  streamOf,
} from "./streams.ts";
import type { WayIn } from "./way_in.ts";

/** The inputs that once failed; they are tried first. Add each that fails. */
const FOUND: [kind: Kind, seed: number][] = [];

const STREAMS: Record<Kind, number> = {
  bytes: 300,
  commands: 700,
  mutated: 850,
  long: 150,
};

/** The fuzzer of the dialogue alone uses the seeds below this one. */
const FIRST_SEED = 1_000_000;

const AT_ONCE = 20;

/** How long all streams of a kind may take, in seconds. */
const LIFE = 1800;

const HOST = "mx.example";
const TEXT = "Greylisted";
const DEFERRAL = `451 4.7.1 ${TEXT}`;
const BANNER = `220 ${HOST} ESMTP\r\n`;

/** The log line that a client leaves; undefined if it depends on a race. */
type Expected = Pick<Deferred, "helo" | "from" | "to"> | undefined;

/** Registers the tests for one way in. */
export function fuzzSuite(way: WayIn): void {
  const kinds = Object.entries(STREAMS) as [Kind, number][];
  for (const [kind, count] of kinds) {
    const seeds = [
      ...FOUND.filter((found) => found[0] === kind).map(([, seed]) => seed),
      ...Array.from({ length: count }, (_, i) => FIRST_SEED + i),
    ];
    e2e(`${way.name}: ${count} random streams: ${kind}`, way, async () => {
      clean();
      const binary = await compile({
        timeouts: { delay: "1h" },
        deferral: { message: () => "Greylisted" },
      });
      await using server = await way.start({
        binary,
        next: greeter(),
        clients: 2 * AT_ONCE,
        life: LIFE,
      });
      const expected = new Map<string, { seed: number; said: Expected }>();
      await side(AT_ONCE, seeds, async (seed, i) => {
        const from = `127.${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
        try {
          const said = await attack(server.port, from, kind, seed);
          expected.set(from, { seed, said });
        } catch (error) {
          throw blame(kind, seed, error);
        }
      });
      await hungUp(server.port);
      for (const { ip, helo, from, to } of await deferred(seeds.length)) {
        const { seed, said } = expected.get(ip)!;
        // No address has two lines.
        expected.delete(ip);
        try {
          if (said) assertEquals({ helo, from, to }, said);
        } catch (error) {
          throw blame(kind, seed, error);
        }
      }
      assertEquals(server.stderr(), "");
    });
  }
}

function blame(kind: Kind, seed: number, error: unknown): Error {
  const what = error instanceof Error ? error.message : String(error);
  return new Error(`["${kind}", ${seed}]: ${what}`, { cause: error });
}

/** Works on a number of streams at a time. The first failure stops all. */
async function side<T>(
  width: number,
  all: readonly T[],
  work: (one: T, index: number) => Promise<void>,
): Promise<void> {
  const rest = all.entries();
  let failed = false;
  await Promise.all(Array.from({ length: width }, async () => {
    for (const [index, one] of rest) {
      if (failed) return;
      try {
        await work(one, index);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  }));
}

/**
 * One client. It waits for the banner or not, sends its stream at once or in
 * pieces, and then half-closes the connection, hangs up or resets it.
 */
async function attack(
  port: number,
  from: string,
  kind: Kind,
  seed: number,
): Promise<Expected> {
  const random = randomFrom(seed);
  const input = streamOf(kind, random);
  const dialogue = new Dialogue({ hostname: HOST, deferral: DEFERRAL });
  const replies = dialogue.receive(bytesOf(input));
  const waits = random(2) === 0;
  // The server closes soon after the end of a session, so a client must not send
  // in pieces then.
  const inPieces = !dialogue.done && random(3) === 0;
  const end = random(10);

  using client = await Client.connectFrom(port, { from, patience: 120 });
  let received = waits ? await client.reply() + "\r\n" : "";
  const data = bytesOf(input);
  for (let at = 0; at < data.length;) {
    const size = inPieces ? 1 + random(data.length) : data.length;
    await client.send(data.subarray(at, at + size));
    at += size;
    if (inPieces) await new Promise((done) => setTimeout(done, random(20)));
  }
  if (end === 0) {
    client.reset();
    return undefined;
  }
  if (end === 1) return undefined;
  await client.half();
  received += await client.rest();
  assert(!client.wasReset, "no clean close");
  assertOnlySmtp(received);
  assertSame(received.slice(0, BANNER.length), BANNER, "banner");
  const output = received.slice(BANNER.length);
  assertSame(assertReplies(input, output, DEFERRAL).done, dialogue.done, "end");
  assertSame(output, replies, "replies");
  const { helo, from: sender, to } = dialogue.envelope;
  return {
    helo: helo && escapeValue(helo),
    from: sender && escapeValue(sender),
    to: to && escapeValue(to),
  };
}
