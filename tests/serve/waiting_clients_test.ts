import { assert, assertEquals } from "@std/assert";
import { WaitingClients } from "../../lib/serve/waiting_clients.ts";
import { close } from "../../lib/system/descriptor.ts";
import { Epoll } from "../../lib/system/epoll.ts";
import { localOf } from "../../lib/system/socket.ts";
import { type Pair, pair } from "../harness/pair.ts";

const PATIENCE = 5000;

function clientOf({ fd }: Pair) {
  const client = { fd, gone: 0, hungUp: () => void client.gone++ };
  return client;
}

/** Handles the next events. */
async function handle(
  epoll: Epoll,
  waiting: WaitingClients<ReturnType<typeof clientOf>>,
): Promise<void> {
  const count = await epoll.wait(10_000);
  assert(count > 0);
  for (let i = 0; i < count; i++) waiting.ready(epoll.event(i)!.fd);
}

Deno.test("clients that wait are taken in the order in which they came", async () => {
  const waiting = new WaitingClients(new Epoll(), PATIENCE, 2);
  using one = await pair();
  using two = await pair();
  using three = await pair();
  const clients = [one, two, three].map(clientOf);
  assertEquals(clients.map((client) => waiting.add(client, 0)), [
    true,
    true,
    false,
  ]);
  assertEquals(waiting.size, 2);
  assertEquals(waiting.takeFirst(), clients[0]);
  assertEquals(waiting.takeFirst(), clients[1]);
  assertEquals(waiting.takeFirst(), undefined);
  assertEquals(waiting.next(), Infinity);
  for (const { fd } of clients) close(fd);
});

Deno.test("a client that cannot be watched does not wait", () => {
  const waiting = new WaitingClients(new Epoll(), PATIENCE, 2);
  assert(!waiting.add({ fd: -1, hungUp: () => {} }, 0));
  assertEquals([waiting.size, waiting.next()], [0, Infinity]);
});

Deno.test("clients that have waited too long are given back, still connected", async () => {
  const waiting = new WaitingClients(new Epoll(), PATIENCE, 2);
  using one = await pair();
  using two = await pair();
  const clients = [one, two].map(clientOf);
  waiting.add(clients[0], 100);
  waiting.add(clients[1], 200);
  assertEquals(waiting.next(), 100 + PATIENCE);
  assertEquals([...waiting.expired(99 + PATIENCE)], []);
  assertEquals([...waiting.expired(100 + PATIENCE)], [clients[0]]);
  assert(localOf(one.fd) !== undefined);
  assertEquals([...waiting.expired(Infinity)], [clients[1]]);
  assertEquals(waiting.size, 0);
  for (const { fd } of clients) close(fd);
});

Deno.test("a client that closes its side while it waits is told 421", async () => {
  const epoll = new Epoll();
  const waiting = new WaitingClients<ReturnType<typeof clientOf>>(
    epoll,
    PATIENCE,
    2,
  );
  using one = await pair();
  const client = clientOf(one);
  waiting.add(client, 0);
  // What was not read when the connection is closed would turn the end into a reset.
  await one.client.write(new TextEncoder().encode("EHLO a\r\nQUIT\r\n"));
  await one.client.closeWrite();
  await handle(epoll, waiting);
  assertEquals(client.gone, 1);
  assertEquals(waiting.size, 0);
  assertEquals(
    await one.rest(),
    "421 4.3.2 Too many connections, please try again later\r\n",
  );
});
