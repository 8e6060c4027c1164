import { assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { e2e } from "../harness/need.ts";
import { connectionsTo, waitFor } from "../harness/process.ts";
import { writeFile } from "../harness/root.ts";
import { lines, logged, serving, untilAccepted } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";

/** The balancer; clients are let in if they are of 192.0.2.0/24 or 2001:db8::. */
const BALANCER = "127.0.9.1";
const CONFIG: Partial<Config> = {
  whitelist: { networks: ["192.0.2.0/24", "2001:db8::/32"] },
  serve: { proxy: ["127.0.9.0/24"], limitPerNetwork: 1 },
};

/** Says the environment of the client, then repeats all that it reads. */
function teller(): string[] {
  const path = writeFile(
    "teller",
    `#!/bin/sh
printf '220 %s %s %s %s %s %s\\r\\n' "$PROTO" "$TCPREMOTEIP" "$TCPREMOTEPORT" \\
  "$TCPLOCALIP" "$TCPLOCALPORT" "\${TCP6REMOTEIP-none}"
exec cat
`,
    0o755,
  );
  return [path];
}

const V1 = "PROXY TCP4 192.0.2.7 203.0.113.9 56324 25\r\n";
const TOLD = "220 TCP 192.0.2.7 56324 203.0.113.9 25 none";

const V2 = Uint8Array.of(
  ...[13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x21, 0x21, 0, 36 + 4],
  ...[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  ...[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
  ...[0xdc, 0x04, 0, 25],
  // A TLV: the balancer's own use.
  ...[0xea, 0, 1, 13],
);
const TOLD_V2 = "220 TCP6 2001:db8::1 56324 2001:db8::2 25 2001:db8::1";

function balancer(port: number): Promise<Client> {
  return Client.connectFrom(port, { from: BALANCER });
}

e2e(
  "serve proxy: PROGRAM gets the client's ends, and every byte behind the header",
  {},
  async () => {
    await using server = await serving(CONFIG, { next: teller() });
    const { port } = server;
    const late = "EHLO client.example\r\n";
    const whole = (header: string | Uint8Array, told: string) => async () => {
      using client = await balancer(port);
      const bytes = typeof header === "string"
        ? new TextEncoder().encode(header)
        : header;
      await client.send(
        Uint8Array.of(...bytes, ...new TextEncoder().encode(late)),
      );
      await client.half();
      assertEquals(await client.rest(), `${told}\r\n${late}`);
      await waitFor("its end", () => connectionsTo(port) === 0);
    };
    await whole(V1, TOLD)();
    await whole(V2, TOLD_V2)();

    // In pieces, with a look at each.
    for (
      const [header, told] of [
        [new TextEncoder().encode(V1), TOLD],
        [V2, TOLD_V2],
      ] as const
    ) {
      using client = await balancer(port);
      for (const at of [0, 1, 5, 17, header.length - 1]) {
        const next = { 0: 1, 1: 5, 5: 17, 17: header.length - 1 }[at];
        await client.send(header.slice(at, next));
        await new Promise((done) => setTimeout(done, 20));
      }
      assertEquals(await client.reply(), told);
      await client.send(late);
      await client.half();
      assertEquals(await client.rest(), late);
    }
  },
);

e2e(
  "serve proxy: the check is about the client, and its limits are the client's",
  {},
  async () => {
    await using server = await serving({
      whitelist: { localPorts: [587] },
      serve: {
        ...CONFIG.serve,
        rules: [{ networks: ["203.0.113.7"], deny: true }],
      },
    }, { next: teller() });
    const { port } = server;
    using denied = await balancer(port);
    await denied.send("PROXY TCP4 203.0.113.7 203.0.113.9 1 587\r\n");
    assertEquals(await denied.rest(), "");
    await logged(/ deny ip=203\.0\.113\.7 rule=rules\[0\]$/);
    using exempt = await balancer(port);
    await exempt.send("PROXY TCP4 203.0.113.8 203.0.113.9 1 587\r\n");
    assertEquals(
      await exempt.reply(),
      "220 TCP 203.0.113.8 1 203.0.113.9 587 none",
    );
    await logged(/ pass ip=203\.0\.113\.8 .* rule=localPorts:587$/);
    const clients: Client[] = [];
    for (const i of [1, 2, 3]) {
      const client = await balancer(port);
      await client.send(`PROXY TCP4 198.51.${i}.7 203.0.113.9 1 25\r\n`);
      assertMatch((await client.reply())!, /^220 mx\.example /);
      clients.push(client);
    }
    using second = await balancer(port);
    await second.send("PROXY TCP4 198.51.1.8 203.0.113.9 1 25\r\n");
    assertMatch((await second.reply())!, /^421 4\.3\.2 Too many/);
    await logged(
      / busy ip=198\.51\.1\.8 net=198\.51\.1\.0\/24 reason=limitPerNetwork$/,
    );
    for (const client of clients) {
      await client.send("QUIT\r\n");
      await client.rest();
      client[Symbol.dispose]();
    }
    await logged(/ defer ip=198\.51\.3\.7 net=198\.51\.3\.0\/24 reason=new /);
  },
);

e2e("serve proxy: UNKNOWN and LOCAL are the balancer itself", {}, async () => {
  const networks = [BALANCER];
  await using server = await serving({
    whitelist: { networks },
    serve: { proxy: networks },
  }, { next: teller() });
  const local = Uint8Array.of(...V2.slice(0, 12), 0x20, 0, 0, 0);
  for (const header of ["PROXY UNKNOWN\r\n", local]) {
    using client = await balancer(server.port);
    await client.send(header);
    assertMatch(
      (await client.reply())!,
      new RegExp(`^220 TCP ${BALANCER} \\d+ 127\\.0\\.0\\.1 ${server.port} `),
    );
  }
});

e2e(
  "serve proxy: a balancer that sends no header is closed, with one line",
  {},
  async () => {
    await using server = await serving(
      { ...CONFIG, deferral: { idleTimeout: "5s" } },
      { next: teller() },
    );
    const { port } = server;
    const long = V2.slice(0, 16);
    new DataView(long.buffer).setUint16(14, 2048 - 16 + 1);
    for (
      const garbage of [
        "EHLO client.example\r\n",
        "\r\n\r\n\0\r\nQUIX",
        long,
      ]
    ) {
      using client = await balancer(port);
      await client.send(garbage);
      assertEquals(await client.rest(), "");
    }
    // One that hangs up in the middle of a header.
    {
      using client = await balancer(port);
      await client.send("PROXY TCP4 192.0.2.7 ");
      await client.half();
      assertEquals(await client.rest(), "");
    }
    // Nor is a header that never ends, or that breaks off.
    const begin = async (begun: string) => {
      using client = await balancer(port);
      await client.send(begun);
      assertEquals(await client.rest(), "");
    };
    await Promise.all(["", "PROXY TCP4 192.0.2.7 "].map(begin));
    // A balancer that only connects checks that serve runs.
    {
      using client = await balancer(port);
      await client.half();
      assertEquals(await client.rest(), "");
    }
    const start = `warn proxy client=${BALANCER} what=`;
    const expected = [
      `${start}"expected a PROXY header"`,
      `${start}"expected a PROXY header"`,
      `${start}"a PROXY header of more than 2048 bytes"`,
      `${start}"hung up in the middle of a PROXY header"`,
      `${start}"no PROXY header within idleTimeout"`,
      `${start}"no PROXY header within idleTimeout"`,
    ];
    await waitFor("the lines", () => lines().length >= expected.length);
    assertEquals(lines(), expected);
    // No client was held up, and no connection is left.
    assertEquals(connectionsTo(port), 0);
  },
);

e2e(
  "serve proxy: the header of a client that is no balancer is a 421",
  {},
  async () => {
    await using server = await serving(CONFIG, { next: teller() });
    for (const [i, header] of [V1, V2].entries()) {
      const from = `127.0.8${i}.1`;
      using client = await Client.connectFrom(server.port, { from });
      assertMatch((await client.reply())!, /^220 mx\.example /);
      await client.send(header);
      assertMatch(
        (await client.reply())!,
        /^421 4\.3\.0 mx\.example no PROXY /,
      );
      assertEquals(await client.rest(), "");
      assertEquals(
        (await logged(new RegExp(` ip=${from} `))).replace(/^\S+Z /, ""),
        `defer ip=${from} net=127.0.8${i}.0/24 reason=new wait=60 ` +
          'what="a PROXY header or an empty line: expected its balancer in ' +
          'serve.proxy"',
      );
    }
    assertEquals(lines().length, 2);
  },
);

e2e("serve proxy: TERM does not wait for a header", {}, async () => {
  await using server = await serving(CONFIG, { next: teller() });
  using client = await untilAccepted(server.pid, () => balancer(server.port));
  Deno.kill(server.pid, "SIGTERM");
  assertMatch((await client.reply())!, /^421 4\.3\.2 Shutting down/);
  assertEquals(await server.code, 0);
});
