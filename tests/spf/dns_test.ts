import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { DnsResolver, parseServer, systemServers } from "../../lib/spf/dns.ts";
import { TempError } from "../../lib/spf/resolver.ts";
import { e2e } from "../harness/need.ts";
import { freePort } from "../harness/process.ts";
import { NEEDS, SPECIAL, ZONE } from "../harness/spf_task.ts";
import { startUnbound } from "../harness/unbound.ts";

Deno.test("spf: --server's forms", () => {
  const cases: [string, string, number][] = [
    ["192.0.2.1", "192.0.2.1", 53],
    ["192.0.2.1:5353", "192.0.2.1", 5353],
    ["::1", "::1", 53],
    ["[::1]", "::1", 53],
    ["[2001:db8::1]:65535", "2001:db8::1", 65535],
    ["localhost:53", "localhost", 53],
  ];
  for (const [text, host, port] of cases) {
    assertEquals(parseServer(text), { host, port }, text);
  }
  for (
    const text of [
      "",
      ":53",
      "host:",
      "host:0",
      "host:65536",
      "host:053",
      "[::1",
      "[192.0.2.1]:53",
      "[host]:53",
      "1.2.3:53",
      "192.0.2.x",
      "::1:x",
    ]
  ) assertEquals(parseServer(text), undefined, text);
});

Deno.test("spf: resolv.conf's servers", () => {
  const text = "# nameserver 192.0.2.9\nsearch example\n" +
    "nameserver 192.0.2.1\nnameserver\t2001:db8::1 \noptions rotate\n";
  assertEquals(systemServers(text), [
    { host: "192.0.2.1", port: 53 },
    { host: "2001:db8::1", port: 53 },
  ]);
  assertEquals(systemServers("options rotate\n"), [
    { host: "127.0.0.1", port: 53 },
  ]);
});

e2e(
  "spf: if a server does not answer, the next is asked",
  NEEDS,
  async () => {
    await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
    using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const servers = [silent.addr.port, freePort(), dns.port]
      .map((port) => ({ host: "127.0.0.1", port }));
    const name = "pool.spf.example";

    const found = await new DnsResolver(servers, 5000).txt(name);
    assertMatch(found.records.join(), /^v=spf1 ip4:192\.0\.2\.0\/25 /);
    // NXDOMAIN is an answer, so no other server is asked.
    const none = await new DnsResolver(servers.reverse(), 5000)
      .txt("nowhere.spf.example");
    assertEquals(none, { exists: false, records: [] });
    assertEquals(await new DnsResolver([], 500).txt("a..example"), none);

    const alone = new DnsResolver([servers[2]], 100);
    const error = await assertRejects(() => alone.txt(name), TempError);
    const { port } = silent.addr;
    assertEquals(
      error.message,
      `${name} TXT: 127.0.0.1:${port}: no answer in 0.1 s`,
    );
  },
);

Deno.test("spf: the server that answered is asked first from then on", async () => {
  using dead = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using first = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const servers = [dead, first]
    .map(({ addr: { port } }) => ({ host: "127.0.0.1", port }));
  const resolver = new DnsResolver(servers, 200);
  // No record, from a server that resolves names of others.
  const none = (query: Uint8Array) => [
    ...query.slice(0, 2),
    0x81,
    0x80,
    ...query.slice(4),
  ];
  let askedInVain = 0;
  const refusing = (async () => {
    for await (const connection of dead) {
      askedInVain++;
      connection.close();
    }
  })();
  for (const name of ["a.example", "b.example", "c.example"]) {
    const served = answer(first, none);
    assertEquals(await resolver.txt(name), { exists: true, records: [] });
    await served;
  }
  assertEquals(askedInVain, 1);
  // If it goes away, the others are asked again.
  first.close();
  await assertRejects(() => resolver.txt("d.example"), TempError);
  assertEquals(askedInVain, 2);
  dead.close();
  await refusing;
});

/** Serves one connection: a reply made from the query's bytes. */
async function answer(
  listener: Deno.TcpListener,
  reply: (query: Uint8Array) => number[],
): Promise<void> {
  using connection = await listener.accept();
  const bytes = new Uint8Array(512);
  const length = await connection.read(bytes) ?? 0;
  const message = reply(bytes.slice(2, length));
  const framed = [message.length >> 8, message.length & 0xff, ...message];
  await connection.write(Uint8Array.from(framed));
}

Deno.test("spf: a reply to another question is no answer", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const server = { host: "127.0.0.1", port: listener.addr.port };
  const resolver = new DnsResolver([server], 5000);
  const flags = (query: Uint8Array, high: number, low: number) => [
    ...query.slice(0, 2),
    high,
    low,
    ...query.slice(4),
  ];
  const other = "its answer is not to what was asked";
  const cases: [(query: Uint8Array) => number[], string][] = [
    [(q) => [q[0] ^ 1, ...flags(q, 0x81, 0x80).slice(1)], other],
    [(q) => flags(q, 0x81, 0x80).with(13, 0x62), other],
    [(q) => flags(q, 0x81, 0x80).with(q.length - 3, 1), other],
    [(q) => flags(q, 0x83, 0x80), other],
    [(q) => flags(q, 0x81, 0x00), "does not resolve names of others"],
    [(q) => flags(q, 0x81, 0x81), "FORMERR"],
    [(q) => flags(q, 0x81, 0x89), "response code 9"],
    [(q) => [...q], "its answer cannot be read: a query, not a reply"],
    [() => [], "its answer cannot be read: cut short"],
  ];
  for (const [reply, message] of cases) {
    const served = answer(listener, reply);
    const error = await assertRejects(
      () => resolver.txt("a.example"),
      TempError,
    );
    await served;
    const { host, port } = server;
    assertEquals(error.message, `a.example TXT: ${host}:${port}: ${message}`);
  }
  const served = answer(listener, (q) => flags(q, 0x81, 0x80));
  assertEquals(await resolver.txt("A.example"), { exists: true, records: [] });
  await served;
});
