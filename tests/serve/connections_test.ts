import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import type { Config } from "../../lib/config.ts";
import { resolveConfig } from "../../lib/config/resolve.ts";
import { Lists } from "../../lib/lists.ts";
import {
  Connections,
  type ConnectionsOptions,
} from "../../lib/serve/connections.ts";
import { resolveServe } from "../../lib/serve/config.ts";
import { roomFor } from "../../lib/serve/descriptors.ts";
import { type Pair, pair } from "../harness/pair.ts";
import { waitFor } from "../harness/process.ts";

/** Connections, the entries that the store was asked about, and the log. */
function connectionsOf(config: Partial<Config>, maxDescriptors: number) {
  const resolved = resolveConfig({ baseDir: "/x", ...config });
  const asked: string[] = [];
  const logged: string[] = [];
  const log = { info: logged.push.bind(logged), warn() {}, error() {} };
  const options = {
    config: resolved,
    serve: resolveServe(config),
    epoll: { wake() {} },
    children: { starting: 0, descriptors: 0, waiting: 0, shutDown() {} },
    files: {
      log,
      hostname: "mx.example",
      lists: new Lists(resolved, () => false),
    },
    store: { ask: (entry: string) => asked.push(entry) },
    maxDescriptors,
  };
  const connections = new Connections(options as unknown as ConnectionsOptions);
  return { connections, asked, logged };
}

/** Lets a client connect from an address. */
async function connect(connections: Connections, ip: string): Promise<Pair> {
  const client = await pair();
  const peer = { address: parseAddress(ip)!, port: 1 };
  connections.add({ fd: client.fd, peer });
  return client;
}

/** Questions to the DNS, none of which is ever answered. */
function silentDns(): Disposable & { readonly questions: string[] } {
  const real = Deno.resolveDns;
  const questions: string[] = [];
  Deno.resolveDns = ((name: string) => {
    questions.push(name);
    return new Promise(() => {});
  }) as typeof Deno.resolveDns;
  return { questions, [Symbol.dispose]: () => Deno.resolveDns = real };
}

Deno.test("connections: look-ups use a quarter of the descriptors, three each", async () => {
  using dns = silentDns();
  const { questions } = dns;
  using clients = new DisposableStack();
  const most = 48;
  const { connections, asked, logged } = connectionsOf(
    { serve: { nameLookup: true, limit: 1 } },
    most,
  );
  const all: Pair[] = [];
  for (let i = 1; i <= 10; i++) {
    all.push(clients.use(await connect(connections, `192.0.${i}.1`)));
  }
  assertEquals(questions.length, most / 4 / 3);
  // The others are served without a name.
  assertEquals(asked.length, 10 - questions.length);
  assertEquals(connections.descriptors, 10 + 2 * questions.length);
  connections.stop();
  // One line for each, whatever it has waited for.
  assertEquals(
    logged.toSorted(),
    all.map((_, i) =>
      `busy ip=192.0.${i + 1}.1 net=192.0.${i + 1}.0/24 reason=stopping`
    ).toSorted(),
  );
  for (const client of all) {
    assertMatch(await client.rest(), /^421 4\.3\.2 Shutting down/);
  }
});

Deno.test("connections: one network has an eighth of the look-ups, and a client without one is a suspect", async () => {
  using dns = silentDns();
  using clients = new DisposableStack();
  // 240 for look-ups of three each; 30 of them for one network.
  const { connections, asked } = connectionsOf({
    only: { hosts: ["/dsl/"] },
    serve: { nameLookup: true, limit: 1 },
  }, 960);
  const come = async (ip: string) =>
    clients.use(await connect(connections, ip));
  for (let i = 1; i <= 12; i++) await come(`192.0.2.${i}`);
  assertEquals(dns.questions.length, 10);
  // They are not let in although no rule of `only` can name them.
  assertEquals(asked, ["192.0.2.0_24", "192.0.2.0_24"]);
  await come("198.51.100.1");
  assertEquals([dns.questions.length, asked.length], [11, 2]);
  connections.stop();
});

Deno.test("connections: clients of one address share a look-up", async () => {
  const questions: string[] = [];
  const real = Deno.resolveDns;
  let answer = (_names: string[]) => {};
  Deno.resolveDns = ((name: string) => {
    questions.push(name);
    return new Promise((resolve) => answer = resolve);
  }) as typeof Deno.resolveDns;
  using _dns = { [Symbol.dispose]: () => Deno.resolveDns = real };
  using clients = new DisposableStack();
  const { connections, asked } = connectionsOf(
    { serve: { nameLookup: true, limit: 1 } },
    960,
  );
  for (let i = 1; i <= 20; i++) {
    clients.use(await connect(connections, "192.0.2.1"));
  }
  assertEquals([questions.length, asked.length], [1, 0]);
  assertEquals(connections.descriptors, 20 + 2);
  answer([]);
  await waitFor("all answers", () => asked.length === 20);
  assertEquals(connections.descriptors, 20);
  // What was found is not kept for later.
  clients.use(await connect(connections, "192.0.2.1"));
  assertEquals(questions.length, 2);
  connections.stop();
  // The queries of a look-up that nobody waits for still use descriptors.
  assertEquals(connections.descriptors, 2);
});

Deno.test("connections: clients that share a look-up use their part of the descriptors too", async () => {
  using dns = silentDns();
  using clients = new DisposableStack();
  // 48 for look-ups with their clients; 6 of them for one network.
  const { connections, asked } = connectionsOf(
    { serve: { nameLookup: true, limit: 1 } },
    192,
  );
  for (let i = 1; i <= 9; i++) {
    for (let j = 1; j <= 5; j++) {
      clients.use(await connect(connections, `192.0.${i}.1`));
    }
    if (i > 1) continue;
    assertEquals([dns.questions.length, asked], [1, ["192.0.1.0_24"]]);
  }
  assertEquals(dns.questions.length, 8);
  assertEquals(asked.length, 8 + 5);
  assertEquals(connections.descriptors - asked.length, 48);
  connections.stop();
});

Deno.test("connections: a client counts for its network also while its name is looked up", async () => {
  using dns = silentDns();
  const { connections, logged } = connectionsOf(
    { serve: { nameLookup: true, limitPerNetwork: 1 } },
    960,
  );
  using _one = await connect(connections, "192.0.2.1");
  using two = await connect(connections, "192.0.2.2");
  assertEquals(dns.questions.length, 1);
  assertMatch(await two.rest(), /^421 4\.3\.2 Too many/);
  assertEquals(logged, [
    "busy ip=192.0.2.2 net=192.0.2.0/24 reason=limitPerNetwork",
  ]);
  connections.stop();
});

Deno.test("connections: without room no name is looked up, then no entry", async () => {
  using dns = silentDns();
  using clients = new DisposableStack();
  const most = 48;
  const room = roomFor(most, 1);
  const { connections, asked, logged } = connectionsOf(
    { serve: { nameLookup: true, limit: 1, limitPerNetwork: 0 } },
    most,
  );
  const come = async (ip: string) =>
    clients.use(await connect(connections, ip));
  // One of them is looked up.
  while (connections.descriptors < room.held) await come("192.0.2.1");
  assertEquals(dns.questions.length, 1);
  await come("198.51.100.1");
  assertEquals([dns.questions.length, asked.at(-1)], [1, "198.51.100.0_24"]);
  while (connections.descriptors < room.asked) await come("192.0.2.1");
  const count = asked.length;
  const last = await come("203.0.113.1");
  assertEquals([asked.length, logged], [count, [
    "busy ip=203.0.113.1 net=203.0.113.0/24 reason=descriptors",
  ]]);
  assertMatch(await last.rest(), /^421 4\.3\.2 Too many/);
  assert(connections.descriptors < most);
  connections.stop();
});

Deno.test("connections: limitPerNetwork counts networks, not their pool", async () => {
  const networks = ["192.0.2.0/24", "198.51.100.0/24"];
  const { connections, asked } = connectionsOf({
    pools: [{ name: "p", networks }],
    serve: { limitPerNetwork: 1 },
  }, 100);
  using _one = await connect(connections, "192.0.2.1");
  using _two = await connect(connections, "198.51.100.1");
  assertEquals(asked, ["@p", "@p"]);
  using three = await connect(connections, "192.0.2.2");
  assertMatch(await three.rest(), /^421 4\.3\.2 Too many/);
  assertEquals(asked.length, 2);
  connections.stop();
});
