import { assertEquals, assertThrows } from "@std/assert";
import { formatAddress, parseAddress } from "../lib/address.ts";
import {
  ADDRESS_VARIABLES,
  findHost,
  findLocalPort,
  findPeer,
  PEER_VARIABLES,
  PeerError,
  PORT_VARIABLES,
} from "../lib/peer.ts";

type Variables = Partial<Record<typeof PEER_VARIABLES[number], string>>;

/** An environment, and which of its variables were asked for. */
function environment(variables: Variables) {
  const asked: string[] = [];
  const env = (name: string): string | undefined => {
    asked.push(name);
    return Object.hasOwn(variables, name)
      ? variables[name as keyof Variables]
      : undefined;
  };
  return { env, asked };
}

/** Where the caller was found, and its address. */
function peer(variables: Variables, socket?: string): string {
  const { env } = environment(variables);
  const found = findPeer(env, () => socket ? parseAddress(socket) : undefined);
  return `${found.source} ${formatAddress(found.address)}`;
}

Deno.test("peer: what each super-server sets", () => {
  const cases: [string, Variables, string | undefined, string][] = [
    [
      "tcpserver, tcpsvd, s6-tcpserver, sslserver -e",
      { TCPREMOTEIP: "192.0.2.1", TCPLOCALPORT: "25" },
      "192.0.2.1",
      "TCPREMOTEIP 192.0.2.1",
    ],
    [
      "tcpserver of the IPv6 build",
      { TCPREMOTEIP: "2001:db8::1", TCP6REMOTEIP: "2001:db8::1" },
      "2001:db8::1",
      "TCPREMOTEIP 2001:db8::1",
    ],
    [
      "notqmail's tcp-env, which has no IPv6, under inetd",
      { TCPREMOTEIP: "0.0.0.0" },
      "2001:db8::1",
      "socket 2001:db8::1",
    ],
    [
      "the same under systemd",
      { TCPREMOTEIP: "0.0.0.0", REMOTE_ADDR: "2001:db8::1" },
      "2001:db8::1",
      "REMOTE_ADDR 2001:db8::1",
    ],
    [
      "tcp-env where standard input is no socket",
      { TCPREMOTEIP: "unknown", NCAT_REMOTE_ADDR: "192.0.2.1" },
      undefined,
      "NCAT_REMOTE_ADDR 192.0.2.1",
    ],
    [
      "sslserver with TLS from the start, and a pipe",
      { SSLREMOTEIP: "192.0.2.1" },
      undefined,
      "SSLREMOTEIP 192.0.2.1",
    ],
    [
      "systemd, Accept=yes",
      { REMOTE_ADDR: "192.0.2.1" },
      "192.0.2.1",
      "REMOTE_ADDR 192.0.2.1",
    ],
    [
      "ncat --exec, and a pipe",
      { NCAT_REMOTE_ADDR: "2001:db8::1" },
      undefined,
      "NCAT_REMOTE_ADDR 2001:db8::1",
    ],
    [
      "socat without nofork, and a pipe",
      { SOCAT_PEERADDR: "192.0.2.1" },
      undefined,
      "SOCAT_PEERADDR 192.0.2.1",
    ],
    [
      "socat over IPv6",
      { SOCAT_PEERADDR: "[2001:0db8:0000:0000:0000:0000:0000:0001]" },
      undefined,
      "SOCAT_PEERADDR 2001:db8::1",
    ],
    ["inetd, xinetd", {}, "192.0.2.1", "socket 192.0.2.1"],
    // The proxy's server says who the client is; the socket is the proxy's.
    [
      "s6's proxy-server behind a balancer",
      { TCPREMOTEIP: "192.0.2.1" },
      "10.0.0.1",
      "TCPREMOTEIP 192.0.2.1",
    ],
    [
      "sslserver behind tcpserver, as the one that is nearer to qmail",
      { TCPREMOTEIP: "192.0.2.1", SSLREMOTEIP: "10.0.0.1" },
      undefined,
      "TCPREMOTEIP 192.0.2.1",
    ],
  ];
  for (const [name, variables, socket, expected] of cases) {
    assertEquals(peer(variables, socket), expected, name);
  }
});

Deno.test("peer: each variable is asked before those that follow", () => {
  const names = [...ADDRESS_VARIABLES];
  for (let first = 0; first < names.length; first++) {
    const variables = Object.fromEntries(
      names.slice(first).map((name, i) => [name, `192.0.2.${i + 1}`]),
    );
    assertEquals(peer(variables, "::1"), `${names[first]} 192.0.2.1`);
  }
  assertEquals(names, [
    "TCPREMOTEIP",
    "TCP6REMOTEIP",
    "SSLREMOTEIP",
    "REMOTE_ADDR",
    "NCAT_REMOTE_ADDR",
    "SOCAT_PEERADDR",
  ]);
});

Deno.test("peer: a value that names no host counts as missing", () => {
  for (
    const text of [
      "",
      "unknown",
      "0.0.0.0",
      "::",
      "0::0",
      "::ffff:0.0.0.0",
      "[::]",
    ]
  ) {
    for (const name of ADDRESS_VARIABLES) {
      assertEquals(peer({ [name]: text }, "::1"), "socket ::1", text);
    }
  }
  assertThrows(() => peer({ TCPREMOTEIP: "0.0.0.0" }), PeerError);
});

Deno.test("peer: TCPREMOTEIP, else REMOTE_ADDR, else the socket", () => {
  const ip = "192.0.2.1";
  const addr = "198.51.100.1";
  const socket = "203.0.113.1";
  const cases: [Variables, string | undefined, string][] = [
    [{ TCPREMOTEIP: ip }, undefined, `TCPREMOTEIP ${ip}`],
    [{ TCPREMOTEIP: ip, REMOTE_ADDR: addr }, socket, `TCPREMOTEIP ${ip}`],
    [{ REMOTE_ADDR: addr }, socket, `REMOTE_ADDR ${addr}`],
    [{}, socket, `socket ${socket}`],
    // Set to nothing is missing.
    [{ TCPREMOTEIP: "", REMOTE_ADDR: addr }, socket, `REMOTE_ADDR ${addr}`],
    [{ TCPREMOTEIP: "", REMOTE_ADDR: "" }, socket, `socket ${socket}`],
    // What is not needed may be wrong.
    [{ TCPREMOTEIP: ip, REMOTE_ADDR: "x" }, socket, `TCPREMOTEIP ${ip}`],
    // Forms.
    [{ TCPREMOTEIP: "2001:DB8:0::1" }, socket, "TCPREMOTEIP 2001:db8::1"],
    [{ TCPREMOTEIP: "::ffff:192.0.2.1" }, socket, `TCPREMOTEIP ${ip}`],
    [{ TCPREMOTEIP: "::ffff:c000:201" }, socket, `TCPREMOTEIP ${ip}`],
    [{ REMOTE_ADDR: "::ffff:198.51.100.1" }, socket, `REMOTE_ADDR ${addr}`],
  ];
  for (const [variables, other, expected] of cases) {
    assertEquals(peer(variables, other), expected);
  }
});

Deno.test("peer: the socket is looked at only when it is needed", () => {
  const { env } = environment({ TCPREMOTEIP: "192.0.2.1" });
  findPeer(env, () => {
    throw new Error("looked at");
  });
});

Deno.test("peer: the zone of a link-local address is no part of it", () => {
  for (const text of ["fe80::1%eth0", "FE80::1%2", "fe80::1%", "fe80::1"]) {
    assertEquals(peer({ REMOTE_ADDR: text }), "REMOTE_ADDR fe80::1", text);
  }
});

Deno.test("peer: hostile values", () => {
  const cases: [string, string][] = [
    ["../../etc/passwd", '"../../etc/passwd"'],
    ["%0a", '"%0a"'],
    [" ", '" "'],
    ["192.0.2.1 ", '"192.0.2.1 "'],
    ["192.0.2.1\n192.0.2.2", '"192.0.2.1\\n192.0.2.2"'],
    ["192.0.2.1\0", '"192.0.2.1\\u0000"'],
    ["192.0.2.256", '"192.0.2.256"'],
    ["192.0.2", '"192.0.2"'],
    ["010.0.0.1", '"010.0.0.1"'],
    ["2001:db8::1%eth0", '"2001:db8::1%eth0"'],
    ["192.0.2.1%eth0", '"192.0.2.1%eth0"'],
    ["192.0.2.1:25", '"192.0.2.1:25"'],
    ["Unknown", '"Unknown"'],
    ["[192.0.2.1", '"[192.0.2.1"'],
    ["[192.0.2.10", '"[192.0.2.10"'],
    ["1192.0.2.1]", '"1192.0.2.1]"'],
    ["[]", '"[]"'],
    ["\x1b[31m", '"\\u001b[31m"'],
    ["\ufffd", '"\ufffd"'],
    ["x".repeat(5000), `"${"x".repeat(60)}"`],
    ["\n".repeat(5000), `"${"\\n".repeat(60)}"`],
  ];
  for (const source of ADDRESS_VARIABLES) {
    for (const [text, shown] of cases) {
      // What stands behind a value that is wrong may be a proxy.
      const { message } = assertThrows(
        () => peer({ [source]: text }, "203.0.113.1"),
        PeerError,
      );
      assertEquals(message, `${source}: ${shown}: expected an IP address`);
    }
  }
});

Deno.test("peer: nothing to be had", () => {
  assertThrows(
    () => peer({}),
    PeerError,
    "no client address: none in TCPREMOTEIP, TCP6REMOTEIP, SSLREMOTEIP, " +
      "REMOTE_ADDR, NCAT_REMOTE_ADDR, SOCAT_PEERADDR, and standard input is no " +
      "TCP connection",
  );
});

Deno.test("peer: the host name", () => {
  const cases: [string | undefined, string | undefined][] = [
    [undefined, undefined],
    ["", undefined],
    [".", undefined],
    ["mx.example.com", "mx.example.com"],
    ["MX.Example.COM", "mx.example.com"],
    ["mx.example.com.", "mx.example.com"],
    ["MX.EXAMPLE.COM.", "mx.example.com"],
    ["mx.example.com..", "mx.example.com."],
    ["softdnserror", undefined],
  ];
  for (const [text, expected] of cases) {
    const { env } = environment({ TCPREMOTEHOST: text });
    assertEquals(findHost(env), expected, text);
  }
});

Deno.test("peer: the local port", () => {
  const cases: [string | undefined, number | undefined, number | undefined][] =
    [
      ["25", 9, 25],
      ["465", undefined, 465],
      ["00587", 9, 587],
      ["65535", 9, 65535],
      [undefined, 25, 25],
      [undefined, undefined, undefined],
      // Anything else is none.
      ["", 9, 9],
      ["smtp", 9, 9],
      ["25 ", 9, 9],
      ["-25", 9, 9],
      ["+25", 9, 9],
      ["2e1", 9, 9],
      ["0x19", 9, 9],
      ["25\n", 9, 9],
      ["000025", 9, 9],
      ["25".repeat(2500), 9, 9],
    ];
  for (const name of PORT_VARIABLES) {
    for (const [text, socket, expected] of cases) {
      const { env } = environment({ [name]: text });
      assertEquals(findLocalPort(env, () => socket), expected, text);
    }
  }
  const { env } = environment({ TCPLOCALPORT: "25" });
  findLocalPort(env, () => {
    throw new Error("looked at");
  });
});

Deno.test("peer: the local port of a super-server that hands over a pipe", () => {
  const cases: [Variables, number | undefined][] = [
    [{ SSLREMOTEIP: "192.0.2.1", SSLLOCALPORT: "465" }, 465],
    [{ NCAT_REMOTE_ADDR: "192.0.2.1", NCAT_LOCAL_PORT: "587" }, 587],
    [{ SOCAT_PEERADDR: "192.0.2.1", SOCAT_SOCKPORT: "2525" }, 2525],
    // A program in front may have set tcpserver's on purpose.
    [{ TCPLOCALPORT: "25", SSLLOCALPORT: "465" }, 25],
    [{ TCPLOCALPORT: "", SSLLOCALPORT: "465" }, 465],
    [{ SSLREMOTEIP: "192.0.2.1" }, undefined],
  ];
  for (const [variables, expected] of cases) {
    const { env } = environment(variables);
    const text = JSON.stringify(variables);
    assertEquals(findLocalPort(env, () => undefined), expected, text);
  }
});

Deno.test("peer: nothing is read that PEER_VARIABLES does not name", () => {
  const { env, asked } = environment({});
  findPeer(env, () => parseAddress("::1"));
  findHost(env);
  findLocalPort(env, () => undefined);
  const known: readonly string[] = PEER_VARIABLES;
  assertEquals(asked.filter((name) => !known.includes(name)), []);
  assertEquals(
    asked.length,
    ADDRESS_VARIABLES.length + 1 + PORT_VARIABLES.length,
  );
});
