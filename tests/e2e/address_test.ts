import { assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import {
  age,
  clean,
  clientLines,
  compile,
  entries,
} from "../harness/binary.ts";
import { begin } from "../harness/begin.ts";
import { bothWays } from "../harness/both_ways.ts";
import { e2e } from "../harness/need.ts";
import { exim, EXIM_PROGRAMS, greeter, NEXT } from "../harness/next_program.ts";
import { freePort, gone, waitFor } from "../harness/process.ts";
import { BASE, writeFile } from "../harness/root.ts";
import { ATTEMPT, burst, burstFrom, talk } from "../harness/smtp.ts";
import {
  inetd,
  serve,
  systemd,
  tcpserver,
  TCPSERVER_IPV6,
  xinetd,
} from "../harness/way_in.ts";

const needs = { programs: ["tcpserver"] };
const ENTRY = `${BASE}/127.0.0.0_24`;

/** Each address counts for itself. */
const WHOLE: Partial<Config> = { match: { ipv4: 32, ipv6: 128 } };

for (
  const { config, prefix, entry, net } of [
    { config: {}, prefix: 64, entry: "::_64", net: "::/64" },
    { config: WHOLE, prefix: 128, entry: "::1", net: "::1/128" },
  ]
) {
  for (const way of [tcpserver, inetd, xinetd, systemd, serve]) {
    e2e(`${way.name}: IPv6 with match.ipv6 ${prefix}`, {
      ...way,
      programs: [
        ...way.programs,
        ...way === tcpserver ? [TCPSERVER_IPV6] : [],
        ...EXIM_PROGRAMS,
      ],
      root: true,
    }, async () => {
      clean();
      const binary = await compile(config);
      const mta = await exim();
      await using server = await way.start({
        binary,
        next: mta.command,
        hostname: "::1",
      });
      const send = (text: string) =>
        talk(server.port, [
          ...ATTEMPT.slice(0, 3),
          "DATA",
          `Subject: ${text}\r\n\r\n${text}\r\n.`,
          "QUIT",
        ], "::1");
      assertMatch((await send("first"))[3], /^451 4\.7\.1 /);
      await server.idle();
      assertEquals(entries(), { [entry]: 0 });
      age(entry, 100);
      assertMatch((await send("over IPv6"))[5], /^250 OK id=/);
      await mta.arrival("over IPv6");
      assertEquals(entries(), { [entry]: 1 });
      const [deferred, passed] = clientLines();
      assertMatch(deferred, new RegExp(` defer ip=::1 net=${net} reason=new `));
      assertMatch(
        passed,
        new RegExp(` pass ip=::1 net=${net} reason=retried `),
      );
    });
  }
}

// tcpserver gives the client's address, and `env` can change it.
e2e("every address has the entry of its network", needs, async (t) => {
  const binary = await compile();
  const cases: [string, string][] = [
    ["192.0.2.17", "192.0.2.0_24"],
    ["::ffff:192.0.2.17", "192.0.2.0_24"],
    ["::ffff:c000:211", "192.0.2.0_24"],
    ["2001:db8:0:1::17", "2001:db8:0:1::_64"],
    ["2001:0DB8:0000:0001:ffff:ffff:ffff:ffff", "2001:db8:0:1::_64"],
    ["255.255.255.255", "255.255.255.0_24"],
  ];
  for (const [address, entry] of cases) {
    await t.step(address, async () => {
      clean();
      const before = ["/usr/bin/env", `TCPREMOTEIP=${address}`];
      const next = greeter();
      await using server = await tcpserver.start({ binary, before, next });
      await talk(server.port);
      assertEquals(entries(), { [entry]: 0 });
    });
  }
});

bothWays(
  "whole addresses have entries as qgreylist makes them",
  {},
  async (way) => {
    clean();
    const binary = await compile(WHOLE);
    await using server = await way.start({ binary, next: greeter() });
    await talk(server.port);
    assertEquals(entries(), { "127.0.0.1": 0 });
  },
);

bothWays("a network may be of any size", {}, async (way) => {
  await using server = await begin(way, { match: { ipv4: 19 } });
  await burstFrom("127.0.113.200", server.port, "QUIT\r\n");
  assertEquals(entries(), { "127.0.96.0_19": 0 });
});

e2e("serve: both kinds of addresses on several ports", serve, async () => {
  clean();
  const binary = await compile();
  // Without a host name it is every address.
  const port = freePort();
  const options = [String(port)];
  await using server = await serve.start({ binary, options, next: greeter() });
  await talk(server.port);
  assertEquals(entries(), { "127.0.0.0_24": 0 });
  await burstFrom("127.0.1.1", port, "QUIT\r\n");
  assertEquals(entries(), { "127.0.0.0_24": 0, "127.0.1.0_24": 0 });
  await talk(port, ["QUIT"], "::1");
  assertEquals(entries(), {
    "127.0.0.0_24": 0,
    "127.0.1.0_24": 0,
    "::_64": 0,
  });
});

e2e(
  "REMOTE_ADDR, as systemd sets it, is the client's address",
  systemd,
  async () => {
    clean();
    const binary = await compile();
    await using server = await systemd.start({
      binary,
      options: ["--setenv=REMOTE_ADDR=198.51.100.9"],
      next: ["/bin/sh", "-c", 'printf "220 %s\\r\\n" "$TCPREMOTEIP"'],
    });
    await burst(server.port, ATTEMPT.join("\r\n") + "\r\n");
    await gone(binary);
    assertEquals(entries(), { "198.51.100.0_24": 0 });
    age("198.51.100.0_24", 100);
    assertEquals(await burst(server.port, ""), "220 198.51.100.9\r\n");
  },
);

for (
  const [name, set, entry] of [
    // notqmail's tcp-env has this for every client on an IPv6 socket.
    ["0.0.0.0", ["TCPREMOTEIP=0.0.0.0"], "127.0.0.0_24"],
    ["unknown", ["TCPREMOTEIP=unknown"], "127.0.0.0_24"],
    [
      "0.0.0.0, and REMOTE_ADDR",
      ["TCPREMOTEIP=0.0.0.0", "REMOTE_ADDR=198.51.100.9"],
      "198.51.100.0_24",
    ],
    [
      "nothing, and SSLREMOTEIP",
      ["TCPREMOTEIP=", "SSLREMOTEIP=198.51.100.9"],
      "198.51.100.0_24",
    ],
    [
      "nothing, and NCAT_REMOTE_ADDR",
      ["TCPREMOTEIP=", "NCAT_REMOTE_ADDR=2001:db8::9"],
      "2001:db8::_64",
    ],
    [
      "nothing, and socat's brackets",
      ["TCPREMOTEIP=", "SOCAT_PEERADDR=[2001:0db8:0:0:0:0:0:9]"],
      "2001:db8::_64",
    ],
  ] as const
) {
  e2e(`TCPREMOTEIP is ${name}`, needs, async () => {
    clean();
    const binary = await compile();
    // tcpserver's IPv6 build sets that one for every client.
    const before = ["/usr/bin/env", "-u", "TCP6REMOTEIP", ...set];
    const next = ["/bin/sh", "-c", 'printf "%s\\r\\n" "$TCPREMOTEIP"'];
    await using server = await tcpserver.start({ binary, before, next });
    await burst(server.port, "QUIT\r\n");
    await server.idle();
    assertEquals(entries(), { [entry]: 0 });
    // PROGRAM is told the address that was found.
    age(entry, 100);
    const told = (await burst(server.port, "")).trimEnd();
    assertEquals(
      told,
      set.length === 1 ? "127.0.0.1" : set[1].split("=")[1]
        .replace("[2001:0db8:0:0:0:0:0:9]", "2001:db8::9"),
    );
  });
}

e2e("TCPREMOTEIP counts before REMOTE_ADDR", needs, async () => {
  clean();
  const binary = await compile();
  const before = ["/usr/bin/env", "REMOTE_ADDR=198.51.100.9"];
  const next = greeter();
  await using server = await tcpserver.start({ binary, before, next });
  await talk(server.port);
  assertEquals(entries(), { "127.0.0.0_24": 0 });
});

bothWays(
  "the rows of the verdict table that need a long time",
  {},
  async (way, t) => {
    // A pruning serve would remove what is forgotten before the client comes.
    const binary = await compile({ prune: { every: 0 } });
    const DAY = 86400;
    const grey = (seconds: number) => ({ accepted: 0, seconds });
    const known = (seconds: number) => ({ accepted: 3, seconds });
    const cases = [
      { entry: grey(10), reason: "early", accepted: 0, kept: true },
      { entry: grey(100), reason: "retried", accepted: 1 },
      { entry: grey(DAY - 100), reason: "retried", accepted: 1 },
      { entry: grey(DAY + 100), reason: "stale", accepted: 0 },
      { entry: known(0), reason: "known", accepted: 4 },
      { entry: known(36 * DAY - 100), reason: "known", accepted: 4 },
      { entry: known(36 * DAY + 100), reason: "expired", accepted: 0 },
      // A clock that went back: known stays known, grey does not wait for ever.
      { entry: known(-1000), reason: "known", accepted: 4 },
      { entry: grey(-30), reason: "early", accepted: 0, kept: true },
      { entry: grey(-DAY), reason: "early", accepted: 0 },
    ];
    for (const { entry, reason, accepted, kept } of cases) {
      const name =
        `${entry.accepted} accepted, ${entry.seconds} s old: ${reason}`;
      await t.step(name, async () => {
        clean();
        const next = greeter();
        await using server = await way.start({ binary, next });
        await talk(server.port);
        await server.idle();
        const path = ENTRY;
        Deno.truncateSync(path, entry.accepted);
        const now = Date.now() / 1000;
        Deno.utimeSync(path, now - entry.seconds, now - entry.seconds);
        const text = await burst(server.port, ATTEMPT.join("\r\n") + "\r\n");
        await server.idle();
        const passes = ["retried", "known"].includes(reason);
        assertEquals(text.split("\r\n")[0] === NEXT, passes);
        assertMatch(clientLines()[1], new RegExp(` reason=${reason} `));
        const { size, mtime } = Deno.statSync(path);
        assertEquals(size, accepted);
        const written = mtime!.getTime() / 1000 >= now - 1 &&
          mtime!.getTime() / 1000 <= Date.now() / 1000 + 1;
        assertEquals(written, !kept);
      });
    }
  },
);

bothWays("a client that really waits is let in", {}, async (way) => {
  clean();
  const binary = await compile({ timeouts: { delay: "2s" } });
  await using server = await way.start({ binary, next: greeter() });
  assertMatch((await talk(server.port))[3], /^451 4\.7\.1 .* 2 seconds$/);
  await new Promise((done) => setTimeout(done, 1800));
  await waitFor(
    "the end of the delay",
    async () => (await talk(server.port, ["QUIT"]))[0] === NEXT,
  );
  assertEquals(entries(), { "127.0.0.0_24": 1 });
});

bothWays("entries are private whatever the umask", {}, async (way) => {
  clean();
  const binary = await compile();
  for (const umask of ["000", "777"]) {
    clean();
    const script = writeFile("umask.sh", `umask ${umask}; exec "$@"\n`);
    const before = ["/bin/sh", script];
    const next = greeter();
    await using server = await way.start({ binary, before, next });
    await talk(server.port);
    assertEquals(Deno.statSync(ENTRY).mode! & 0o7777, 0o600);
  }
});
