import { assertEquals } from "@std/assert";
import { networkOf, parseAddress } from "../../lib/address.ts";
import type { Connection } from "../../lib/serve/connection.ts";
import { Lookups } from "../../lib/serve/lookups.ts";

function connectionFrom(ip: string, fd: number): Connection {
  const address = parseAddress(ip)!;
  return {
    fd,
    peer: { address, port: 1025 },
    client: { ip },
    network: networkOf(address, address.family === 4 ? 24 : 64),
    env: {},
    release() {},
  };
}

/** How many milliseconds no look-up begins after answers with so many records. */
async function pauseAfter(records: number, times = 1): Promise<number> {
  const { now } = performance;
  let time = 5000;
  performance.now = () => time;
  try {
    const lookups = new Lookups(
      1000,
      () => {},
      (_, type) =>
        Promise.resolve(
          type === "PTR" ? ["a.example"] : Array(records).fill("192.0.2.1"),
        ),
    );
    for (let i = 0; i < times; i++) {
      await lookups.add(connectionFrom("198.51.100.7", 5), () => {});
    }
    const other = connectionFrom("2001:db8::7", 6);
    const begin = time;
    while (!lookups.mayAdd(other)) time++;
    return time - begin;
  } finally {
    performance.now = now;
  }
}

Deno.test("lookups: none begins for a while after many large answers", async () => {
  assertEquals(await pauseAfter(64, 1000), 0);
  assertEquals(await pauseAfter(4000, 12), 0);
  assertEquals(await pauseAfter(4000, 13), 40);
  assertEquals(await pauseAfter(4000, 100), 7000);
});
