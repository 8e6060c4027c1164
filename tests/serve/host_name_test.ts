import { assert, assertEquals, assertMatch } from "@std/assert";
import { formatAddress, parseAddress } from "../../lib/address.ts";
import type { Config } from "../../lib/config.ts";
import {
  type LookUpEvents,
  lookUpHostName,
  type Query,
  reverseName,
} from "../../lib/serve/host_name.ts";
import { entries, logLines } from "../harness/binary.ts";
import { asking, openDns, ownAddress } from "../harness/dns.ts";
import { makeEntry } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { connectionsTo, descriptorsOf, waitFor } from "../harness/process.ts";
import { writeFile } from "../harness/root.ts";
import { lines, logged, serving } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";

/** The records of a DNS, by name and type. */
type Zone = Readonly<Record<string, readonly string[]>>;

const EVENTS: LookUpEvents = {
  failed(error) {
    throw error;
  },
  answered() {},
};

/** The name of an address, and what was asked for it. */
async function look(text: string, zone: Zone) {
  const asked: string[] = [];
  const ask: Query = (name, type, signal) => {
    assertEquals(signal.aborted, false);
    asked.push(`${type} ${name}`);
    const found = zone[`${type} ${name}`];
    return found === undefined
      ? Promise.reject(new Deno.errors.NotFound("no such name"))
      : Promise.resolve([...found]);
  };
  const host = await lookUpHostName(parseAddress(text)!, EVENTS, ask);
  return { host, asked };
}

const PTR4 = "PTR 7.2.0.192.in-addr.arpa.";
const PTR6 = "PTR 7.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0." +
  "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";

Deno.test("host name: a name that leads back", async () => {
  assertEquals(
    await look("192.0.2.7", {
      [PTR4]: ["Mail.Example.COM."],
      "A mail.example.com.": ["192.0.2.6", "192.0.2.7"],
    }),
    { host: "mail.example.com", asked: [PTR4, "A mail.example.com."] },
  );
  assertEquals(
    await look("2001:db8::17", {
      [PTR6]: ["mx.example."],
      // However it is written.
      "AAAA mx.example.": ["2001:DB8:0:0:0:0:0:17"],
    }),
    { host: "mx.example", asked: [PTR6, "AAAA mx.example."] },
  );
});

Deno.test("host name: of many addresses the first 64 are looked at", async () => {
  const addresses = Array.from({ length: 63 }, (_, i) => `198.51.100.${i}`);
  const zone = (...more: string[]) => ({
    [PTR4]: ["a.example"],
    "A a.example.": [...addresses, ...more],
  });
  assertEquals((await look("192.0.2.7", zone("192.0.2.7"))).host, "a.example");
  const late = zone("198.51.100.63", "192.0.2.7");
  assertEquals((await look("192.0.2.7", late)).host, undefined);
  // The other names are not asked for.
  const { asked } = await look("192.0.2.7", {
    ...late,
    [PTR4]: ["a.example", "b.example"],
  });
  assertEquals(asked, [PTR4, "A a.example."]);
});

Deno.test("host name: Deno's form of a name that is not ASCII", async () => {
  const ascii = "xn--mnchen-3ya.example";
  const zone = (name: string) => ({
    [PTR4]: [name],
    [`A ${ascii}.`]: ["192.0.2.7"],
  });
  const found = async (name: string) =>
    (await look("192.0.2.7", zone(name))).host;
  assertEquals(await found("m\u00fcnchen.example."), ascii);
  assertEquals(await found(`${ascii}.`), ascii);
  // What is no host name in a URL does not become one.
  assertEquals(await found("a@m\u00fcnchen.example."), undefined);
  assertEquals(await found("m\u00fcnchen.example/."), undefined);
  assertEquals(await found("m\u00fcnchen.example:25"), undefined);
});

Deno.test("host name: an IPv4 client of an IPv6 socket has its IPv4 name", async () => {
  const zone = { [PTR4]: ["a.example"], "A a.example.": ["192.0.2.7"] };
  assertEquals((await look("::ffff:192.0.2.7", zone)).host, "a.example");
});

Deno.test("host name: no name, or none that leads back", async () => {
  const cases: Zone[] = [
    {},
    { [PTR4]: [] },
    // The name does not exist.
    { [PTR4]: ["a.example"] },
    { [PTR4]: ["a.example"], "A a.example.": [] },
    // The name has another address.
    { [PTR4]: ["mx.google.example"], "A mx.google.example.": ["192.0.2.8"] },
    { [PTR4]: ["a.example"], "A a.example.": ["nonsense", "192.0.2.7.1"] },
    // It leads back over the other protocol only.
    { [PTR4]: ["a.example"], "AAAA a.example.": ["::ffff:192.0.2.7"] },
    // The name would match with resolv.conf's domain behind it.
    { [PTR4]: ["localhost"], "A localhost": ["192.0.2.7"] },
  ];
  for (const zone of cases) {
    const { host } = await look("192.0.2.7", zone);
    assertEquals(host, undefined, JSON.stringify(zone));
  }
});

Deno.test("host name: the first of several that leads back", async () => {
  const { host, asked } = await look("192.0.2.7", {
    [PTR4]: ["gone.example", "other.example", "own.example", "more.example"],
    "A other.example.": ["192.0.2.8"],
    "A own.example.": ["192.0.2.7"],
    "A more.example.": ["192.0.2.7"],
  });
  assertEquals(host, "own.example");
  assertEquals(asked, [
    PTR4,
    "A gone.example.",
    "A other.example.",
    "A own.example.",
  ]);
});

Deno.test("host name: of an address with very many names, few are checked", async () => {
  const names = Array.from({ length: 1000 }, (_, i) => `n${i}.example`);
  const { host, asked } = await look("192.0.2.7", { [PTR4]: names });
  assertEquals(host, undefined);
  assert(asked.length <= 6, `${asked.length} questions`);
});

Deno.test("host name: a PTR record that is no host name is not looked up", async () => {
  for (
    const name of [
      "",
      ".",
      "..",
      "a..example",
      ".example",
      "a b.example",
      "a\nb.example",
      "a\0b.example",
      "a=b.example",
      '"a".example',
      "*.example",
      "mün chen.example",
      "\x1b[31m.example",
      "a\\046b.example",
      "a".repeat(256),
    ]
  ) {
    const { host, asked } = await look("192.0.2.7", { [PTR4]: [name] });
    assertEquals(host, undefined, JSON.stringify(name));
    assertEquals(asked, [PTR4], JSON.stringify(name));
  }
});

Deno.test("host name: an underscore is accepted, since some hosts have one", async () => {
  const zone = { [PTR4]: ["a_b.example"], "A a_b.example.": ["192.0.2.7"] };
  assertEquals((await look("192.0.2.7", zone)).host, "a_b.example");
});

Deno.test("host name: both queries together take ten seconds at most", async () => {
  const real = AbortSignal.timeout;
  const limits: number[] = [];
  let over = () => {};
  AbortSignal.timeout = (milliseconds) => {
    limits.push(milliseconds);
    const controller = new AbortController();
    over = () => controller.abort();
    return controller.signal;
  };
  try {
    const host = await lookUpHostName(
      parseAddress("192.0.2.7")!,
      EVENTS,
      (_, type, signal) => {
        if (type === "PTR") return Promise.resolve(["a.example"]);
        // Only the end of the time ends it.
        return new Promise((_, failed) => {
          signal.onabort = failed;
          over();
        });
      },
    );
    assertEquals([host, limits], [undefined, [10_000]]);
  } finally {
    AbortSignal.timeout = real;
  }
});

Deno.test("host name: errors that are not about the name are told", async () => {
  const local = new Error("proto error: io error: No such file or directory");
  for (
    const [error, told] of [
      [local, [local]],
      [new Deno.errors.NotFound("no records found"), []],
      [new Deno.errors.TimedOut("request timed out"), []],
      // Deno asks for no such name: `a_b.example` is one.
      [
        new Error(
          "proto error: Label contains invalid characters: Err(Errors)",
        ),
        [],
      ],
    ] as const
  ) {
    const failures: unknown[] = [];
    const host = await lookUpHostName(
      parseAddress("192.0.2.7")!,
      { ...EVENTS, failed: (failure) => failures.push(failure) },
      () => Promise.reject(error),
    );
    assertEquals([host, failures], [undefined, [...told]]);
  }
});

Deno.test("host name: the name of the PTR record", () => {
  for (
    const [address, expected] of [
      ["192.0.2.7", "7.2.0.192.in-addr.arpa."],
      ["255.0.10.1", "1.10.0.255.in-addr.arpa."],
      ["2001:db8::17", PTR6.slice("PTR ".length)],
      ["::", "0.".repeat(32) + "ip6.arpa."],
    ]
  ) {
    assertEquals(reverseName(parseAddress(address)!), expected);
  }
  // The name has each digit of the address, in reverse order.
  const all = parseAddress("0123:4567:89ab:cdef:fedc:ba98:7654:3210")!;
  const digits = reverseName(all).replace(".ip6.arpa.", "").split(".");
  assertEquals(
    digits.reverse().join(""),
    "0123456789abcdeffedcba9876543210",
    formatAddress(all),
  );
});

/** A program that says which name the client has. */
function namer(): string[] {
  const path = writeFile(
    "namer",
    "#!/bin/sh\n" +
      'printf \'220 %s %s\\r\\n\' "${TCPREMOTEHOST-none}" "${TCPREMOTEIP-none}"\n',
    0o755,
  );
  return [path];
}

const CONFIG: Partial<Config> = {
  whitelist: { hosts: [".example"] },
  serve: { nameLookup: true },
};

const OWN = ownAddress() ?? "";

const needs = {
  programs: ["unshare", "mount"],
  mounts: true,
  kernel: () =>
    OWN === "" ? "this machine has no address but 127.0.0.1" : undefined,
};

/** The name under which a name server has the address. */
const OWN_PTR = reverseName(parseAddress(OWN || "192.0.2.1")!).slice(0, -1);

e2e(
  "host name: the name that leads back reaches the check and PROGRAM",
  needs,
  async () => {
    const ptr: Record<string, string> = {};
    const a: Record<string, string> = {};
    await using _dns = openDns(ptr, a);
    await using server = await serving(CONFIG, {
      before: asking(),
      next: namer(),
      env: { TCPREMOTEHOST: "inherited.example" },
    });
    const banner = async () => {
      using client = await Client.connectFrom(server.port, { from: OWN });
      return (await client.reply())!;
    };
    const deferred = /^220 mx\.example ESMTP$/;
    assertMatch(await banner(), deferred);
    // A name that any client could claim does not exempt.
    ptr[OWN] = "forged.example";
    a["forged.example"] = "192.0.2.1";
    assertMatch(await banner(), deferred);
    // A name that no rule has does not exempt either, but PROGRAM gets it.
    ptr[OWN] = "client.test";
    a["client.test"] = OWN;
    assertMatch(await banner(), deferred);
    const [name] = Object.keys(entries());
    makeEntry(name, 1, 60);
    assertEquals(await banner(), `220 client.test ${OWN}`);
    ptr[OWN] = "forged.example";
    assertEquals(await banner(), `220 none ${OWN}`);

    ptr[OWN] = "Client.Example";
    a["client.example"] = OWN;
    assertEquals(await banner(), `220 client.example ${OWN}`);
    await logged(/ reason=whitelisted rule=hosts:\.example$/);
    // Deno's resolver says nothing of forged answers.
    assertEquals(server.stderr(), "");
  },
);

e2e(
  "host name: a look-up without an answer holds up no other client",
  needs,
  async () => {
    const asked: string[] = [];
    const mute = (name: string) => name === OWN_PTR && asked.push(name) > 0;
    await using _dns = openDns({}, {}, mute);
    await using server = await serving(CONFIG, {
      before: asking(),
      next: namer(),
    });
    const { port, pid } = server;
    const slow = { from: OWN };
    using one = await Client.connectFrom(port, slow);
    await waitFor("the question", () => asked.length > 0);
    makeEntry("127.0.0.0_24", 1, 60);
    {
      using other = await Client.connect(port);
      assertMatch((await other.reply())!, /^220 \S+ 127\.0\.0\.1$/);
    }
    assertEquals(lines().some((line) => line.includes(OWN)), false);

    // After the time limit the client is served without a name.
    assertMatch((await one.reply())!, /^220 mx\.example /);
    await waitFor("the other's end", () => connectionsTo(port) === 1);
    const before = asked.length;
    using two = await Client.connectFrom(port, slow);
    await waitFor("another question", () => asked.length > before);

    // A stop does not wait for an answer.
    Deno.kill(pid, "SIGTERM");
    assertMatch((await one.reply())!, /^421 4\.3\.2 /);
    assertEquals(
      await two.reply(),
      "421 4.3.2 Shutting down, please try again later",
    );
    one[Symbol.dispose]();
    two[Symbol.dispose]();
    assertEquals(await server.code, 0);
    const verbs = lines().filter((line) => line.includes(OWN))
      .map((line) => line.replace(/^(\w+) .*( reason=\w+).*/, "$1$2"));
    assertEquals(verbs, ["busy reason=stopping", "defer reason=new"]);
  },
);

e2e(
  "host name: look-ups without an answer leave descriptors for the check and for other clients",
  needs,
  async () => {
    const mute = (name: string) => name === OWN_PTR;
    await using _dns = openDns({}, {}, mute);
    const most = 160;
    const limit = ["sh", "-c", `ulimit -n ${most}; exec "$@"`, "sh"];
    await using server = await serving(CONFIG, {
      before: [...asking(), ...limit],
    });
    const { port, pid } = server;
    const clients: Client[] = [];
    for (let i = 0; i < most; i++) {
      clients.push(await Client.connectFrom(port, { from: OWN }));
    }
    const banners = await Promise.all(clients.map((client) => client.reply()));
    // The first of them had a look-up; many others have no descriptor.
    assertMatch(banners[0] ?? "none", /^220 mx\.example /);
    for (const banner of banners) {
      assertMatch(
        banner ?? "none",
        /^(220 |421 4\.7\.1 |421 4\.3\.2 Too many)/,
      );
    }
    const talking = banners.filter((banner) => banner?.startsWith("220 "));
    assert(talking.length > 20, `${talking.length} dialogues`);
    const used = descriptorsOf(pid).length;
    assert(used < most, `${used} descriptors`);
    // The check has not failed, and `serve` has not stopped to accept.
    assertEquals(lines().filter((line) => /^error /.test(line)), []);
    for (const client of clients) client[Symbol.dispose]();
  },
);

e2e("host name: a resolv.conf of no use is one WARN", needs, async () => {
  const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
  await using server = await serving(CONFIG, {
    before: ["unshare", "--mount", "sh", "-c", script, writeFile("empty", "")],
  });
  for (let i = 0; i < 2; i++) {
    using client = await Client.connectFrom(server.port, { from: OWN });
    assertMatch((await client.reply())!, /^220 mx\.example ESMTP$/);
  }
  const warning = await logged(/ serve what="names of clients: /);
  assertMatch(warning, /: expected a resolv\.conf that can be read, and /);
  const warnings = logLines().filter((line) => /names of clients: /.test(line));
  assertEquals(warnings.length, 1);
});
