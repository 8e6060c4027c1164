import { assertEquals, assertMatch } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import type { Config } from "../../lib/config.ts";
import { resolveConfig } from "../../lib/config/resolve.ts";
import { Lists } from "../../lib/lists.ts";
import {
  Connections,
  type ConnectionsOptions,
} from "../../lib/serve/connections.ts";
import { resolveServe } from "../../lib/serve/config.ts";
import { type Pair, pair } from "../harness/pair.ts";

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
    children: { starting: 0, descriptors: 0, shutDown() {} },
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

Deno.test("connections: look-ups use a quarter of the descriptors, three each", async () => {
  const real = Deno.resolveDns;
  const questions: string[] = [];
  // No answer ever comes.
  Deno.resolveDns = ((name: string) => {
    questions.push(name);
    return new Promise(() => {});
  }) as typeof Deno.resolveDns;
  using clients = new DisposableStack();
  try {
    const most = 48;
    const { connections, asked, logged } = connectionsOf(
      { serve: { nameLookup: true, limitPerNetwork: 0 } },
      most,
    );
    const all: Pair[] = [];
    for (let i = 1; i <= 10; i++) {
      all.push(clients.use(await connect(connections, `192.0.2.${i}`)));
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
        `busy ip=192.0.2.${i + 1} net=192.0.2.0/24 reason=stopping`
      ).toSorted(),
    );
    for (const client of all) {
      assertMatch(await client.rest(), /^421 4\.3\.2 Shutting down/);
    }
  } finally {
    Deno.resolveDns = real;
  }
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
