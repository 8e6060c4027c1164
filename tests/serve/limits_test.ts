import { assert, assertEquals, assertMatch } from "@std/assert";
import { logLines } from "../harness/binary.ts";
import { makeEntry } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { NEXT } from "../harness/next_program.ts";
import {
  childrenOf,
  connectionsTo,
  freePort,
  hungUp,
  waitFor,
} from "../harness/process.ts";
import { lines, logged, serving } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";
import { denying } from "../harness/strace.ts";

const BUSY = "421 4.3.2 Too many connections, please try again later";

/** A client whose connection the server has accepted. */
async function arrive(port: number, from?: string): Promise<Client> {
  const before = connectionsTo(port);
  const client = from === undefined
    ? await Client.connect(port)
    : await Client.connectFrom(port, { from });
  await waitFor("the connection", () => connectionsTo(port) > before);
  return client;
}

/** Hangs up as a well-behaved client. */
async function quit(client: Client): Promise<void> {
  await client.send("QUIT\r\n");
  await client.rest();
  client[Symbol.dispose]();
}

e2e(
  "serve limits: a client above the limit waits for a place",
  {},
  async () => {
    await using server = await serving({
      whitelist: { networks: ["127.0.0.0/8"] },
      serve: { limit: 2 },
    });
    const { port, pid } = server;
    const [a, b] = [await arrive(port), await arrive(port)];
    assertEquals(await a.reply(), NEXT);
    assertEquals(await b.reply(), NEXT);
    const [c, d, e] = [
      await arrive(port, "127.0.0.3"),
      await arrive(port, "127.0.0.4"),
      await arrive(port, "127.0.0.5"),
    ];
    // The program gets what the client sends meanwhile.
    await c.send("early\r\n");
    d.reset();
    await logged(/ busy ip=127\.0\.0\.4 net=127\.0\.0\.0\/24 reason=left$/);
    assertEquals(childrenOf(pid).length, 2);
    assertEquals(lines().filter((line) => /^pass /.test(line)).length, 2);

    await quit(a);
    assertEquals(await c.reply(), NEXT);
    assertEquals(await c.reply(), "250 early");
    assertEquals(childrenOf(pid).length, 2);
    await quit(b);
    assertEquals(await e.reply(), NEXT);
    await quit(c);
    await quit(e);
    await waitFor(
      "the end of all programs",
      () => childrenOf(pid).length === 0,
    );
    await hungUp(port);
    const order = lines().filter((line) => /^pass /.test(line))
      .map((line) => /ip=(\S+)/.exec(line)![1]);
    assertEquals(order, ["127.0.0.1", "127.0.0.1", "127.0.0.3", "127.0.0.5"]);
  },
);

e2e("serve limits: the same on a kernel that has no pidfd_open", {
  programs: ["strace"],
}, async () => {
  await using server = await serving({
    whitelist: { networks: ["127.0.0.0/8"] },
    serve: { limit: 1 },
  }, { before: denying("pidfd_open", "ENOSYS") });
  const { port } = server;
  for (let i = 0; i < 3; i++) {
    const [a, b] = [await arrive(port), await arrive(port)];
    assertEquals(await a.reply(), NEXT);
    await quit(a);
    assertEquals(await b.reply(), NEXT);
    await quit(b);
    const ends = 2 * (i + 1);
    const ended = (line: string) =>
      /^end ip=127\.0\.0\.1 .* code=0$/.test(line);
    await waitFor("the ends", () => lines().filter(ended).length === ends);
  }
});

e2e(
  "serve limits: clients that wait leave descriptors to others",
  {},
  async () => {
    // 64 are reserved, and half of the others are for clients that wait.
    const descriptors = 200;
    const waiting = (descriptors - 64) / 2;
    await using server = await serving({
      whitelist: { networks: ["127.8.0.0/16"] },
      serve: { limit: 1, limitPerNetwork: 0 },
    }, {
      before: ["sh", "-c", `ulimit -n ${descriptors}; exec "$@"`, "sh"],
    });
    const { port } = server;
    const clients = [await arrive(port, "127.8.0.1")];
    assertEquals(await clients[0].reply(), NEXT);
    for (let i = 0; i < waiting; i++) {
      clients.push(await arrive(port, "127.8.0.1"));
    }
    // Not `arrive`: the connection may be closed before it is seen.
    using further = await Client.connectFrom(port, { from: "127.8.0.2" });
    assertEquals(await further.reply(), BUSY);
    await logged(/ busy ip=127\.8\.0\.2 net=127\.8\.0\.0\/24 reason=limit$/);
    using other = await arrive(port, "127.9.0.1");
    assertMatch(await other.reply() ?? "none", /^220 mx\.example /);

    // The first of them has its turn.
    await quit(clients[0]);
    assertEquals(await clients[1].reply(), NEXT);
    for (const client of clients) client[Symbol.dispose]();
  },
);

e2e(
  "serve limits: clients that are silent keep no other client from its answer",
  {},
  async () => {
    const descriptors = 200;
    await using server = await serving({
      whitelist: { networks: ["127.8.0.0/16"] },
      serve: { limit: 2 },
    }, {
      before: ["sh", "-c", `ulimit -n ${descriptors}; exec "$@"`, "sh"],
    });
    const { port } = server;
    const a = await arrive(port, "127.8.0.1");
    const b = await arrive(port, "127.8.0.2");
    for (const client of [a, b]) assertEquals(await client.reply(), NEXT);
    const waiting = await arrive(port, "127.8.0.3");

    // Each is of a network of its own. Together they are more than there are
    // descriptors.
    const silent: Client[] = [];
    for (let i = 0; i < descriptors; i++) {
      const from = `127.1.${i}.1`;
      const client = await Client.connectFrom(port, { from });
      const banner = await client.reply() ?? "none";
      if (banner.startsWith("220 ")) silent.push(client);
      else {
        assertMatch(banner, /^421 4\.7\.1 Greylisted/);
        client[Symbol.dispose]();
      }
    }
    // Room for them is what the reserve and the two places leave.
    assert(silent.length > 64 && silent.length < 136, `${silent.length}`);
    const count = (word: string) =>
      lines().filter((line) => line.startsWith(`${word} `)).length;
    await waitFor(
      "the log",
      () => count("defer") === descriptors - silent.length,
    );

    // A client that would have to wait is told so at once.
    using exempt = await Client.connectFrom(port, { from: "127.8.0.4" });
    assertEquals(await exempt.reply(), BUSY);
    makeEntry("127.9.0.0_24", 3, 60);
    using early = await Client.connectFrom(port, { from: "127.9.0.1" });
    assertEquals(await early.reply(), BUSY);
    // One that waited before is not, and a known client gets a free place.
    await quit(a);
    assertEquals(await waiting.reply(), NEXT);
    await quit(b);
    await waitFor("the end", () => count("end") === 2);
    const known = await Client.connectFrom(port, { from: "127.9.0.2" });
    assertEquals(await known.reply(), NEXT);

    for (const client of [waiting, known]) await quit(client);
    for (const client of silent) client[Symbol.dispose]();
    const errors = logLines().filter((line) => / error /.test(line));
    assertEquals(errors, []);
  },
);

e2e(
  "serve limits: a client that waits too long is answered 421",
  {},
  async () => {
    await using server = await serving({
      whitelist: { networks: ["127.0.0.1"] },
      deferral: { idleTimeout: "1s", sessionTimeout: "1s" },
      serve: { limit: 1 },
    });
    using a = await Client.connect(server.port);
    assertEquals(await a.reply(), NEXT);
    using b = await Client.connect(server.port);
    assertEquals(await b.reply(), BUSY);
    assertEquals(await b.rest(), "");
    assertMatch(
      await logged(/ busy /),
      / busy ip=127\.0\.0\.1 net=127\.0\.0\.0\/24 reason=limit$/,
    );
    // A client that has its program has no time limit.
    await a.send("still here\r\n");
    assertEquals(await a.reply(), "250 still here");
  },
);

e2e(
  "serve limits: deferred clients above deferredLimit get a 421, known ones do not",
  {},
  async () => {
    await using server = await serving({ serve: { deferredLimit: 2 } });
    const { port } = server;
    const a = await Client.connectFrom(port, { from: "127.0.1.1" });
    const b = await Client.connectFrom(port, { from: "127.0.2.1" });
    for (const client of [a, b]) {
      assertMatch((await client.reply())!, /^220 mx\.example /);
    }
    using c = await Client.connectFrom(port, { from: "127.0.3.1" });
    const told = "421 4.7.1 Greylisted, please try again in 60 seconds";
    assertEquals(await c.reply(), told);
    assertEquals(await c.rest(), "");
    c[Symbol.dispose]();
    await logged(/ defer ip=127\.0\.3\.1 .* reason=new wait=60$/);

    makeEntry("127.0.4.0_24", 3, 60);
    const known = await Client.connectFrom(port, { from: "127.0.4.1" });
    assertEquals(await known.reply(), NEXT);
    await quit(known);

    // A place is free again when one has gone.
    await quit(a);
    await waitFor("a place", async () => {
      using again = await Client.connect(port);
      return (await again.reply())!.startsWith("220 mx.example ");
    });
    await quit(b);
    await hungUp(port);
  },
);

e2e(
  "serve limits: a network above limitPerNetwork gets a 421",
  {},
  async () => {
    const exempt = freePort();
    await using server = await serving({
      whitelist: { localPorts: [exempt] },
      serve: { limitPerNetwork: 2 },
    }, { options: [`127.0.0.1:${exempt}`] });
    const { port } = server;
    const a = await Client.connectFrom(port, { from: "127.0.1.1" });
    const b = await Client.connectFrom(port, { from: "127.0.1.2" });
    for (const client of [a, b]) {
      assertMatch((await client.reply())!, /^220 mx\.example /);
    }
    using c = await Client.connectFrom(port, { from: "127.0.1.3" });
    assertEquals(await c.reply(), BUSY);
    assertEquals(await c.rest(), "");
    await logged(
      / busy ip=127\.0\.1\.3 net=127\.0\.1\.0\/24 reason=limitPerNetwork$/,
    );

    // Other networks are served, and so are exempt clients.
    using other = await Client.connectFrom(port, { from: "127.0.2.1" });
    assertMatch((await other.reply())!, /^220 mx\.example /);
    const spared = await Client.connectFrom(exempt, { from: "127.0.1.4" });
    assertEquals(await spared.reply(), NEXT);
    await quit(spared);

    // A known client gets no place either, until another client has gone.
    makeEntry("127.0.1.0_24", 3, 60);
    using known = await Client.connectFrom(port, { from: "127.0.1.5" });
    assertEquals(await known.reply(), BUSY);
    await quit(a);
    await waitFor("a place", async () => {
      using again = await Client.connectFrom(port, { from: "127.0.1.6" });
      return await again.reply() === NEXT;
    });
    await quit(b);
  },
);
