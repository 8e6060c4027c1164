import { assertEquals, assertMatch } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import { tcpEnvironment } from "../../lib/serve/tcp_environment.ts";
import { e2e } from "../harness/need.ts";
import { writeFile } from "../harness/root.ts";
import { serving } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";
import { type Listener, tcpserver, TCPSERVER_IPV6 } from "../harness/way_in.ts";

function end(address: string, port: number) {
  return { address: parseAddress(address)!, port };
}

Deno.test("tcp environment: a client over IPv4", () => {
  assertEquals(
    tcpEnvironment({
      peer: end("192.0.2.7", 40000),
      local: end("198.51.100.1", 25),
      host: "client.example",
      localHost: "mx.example",
    }),
    {
      PROTO: "TCP",
      TCPREMOTEIP: "192.0.2.7",
      TCPREMOTEPORT: "40000",
      TCPREMOTEHOST: "client.example",
      TCPREMOTEINFO: undefined,
      TCPLOCALIP: "198.51.100.1",
      TCPLOCALPORT: "25",
      TCPLOCALHOST: "mx.example",
      TCP6REMOTEIP: undefined,
      TCP6REMOTEPORT: undefined,
      TCP6REMOTEHOST: undefined,
      TCP6LOCALIP: undefined,
      TCP6LOCALPORT: undefined,
      TCP6LOCALHOST: undefined,
      TCP6INTERFACE: undefined,
      SSLREMOTEIP: undefined,
      REMOTE_ADDR: undefined,
      NCAT_REMOTE_ADDR: undefined,
      SOCAT_PEERADDR: undefined,
    },
  );
});

Deno.test("tcp environment: a client over IPv6", () => {
  const variables = tcpEnvironment({
    peer: end("2001:db8::7", 40000),
    local: end("2001:db8::1", 25),
    host: "client.example",
    localHost: "mx.example",
  });
  assertEquals(variables.PROTO, "TCP6");
  for (
    const [name, value] of [
      ["REMOTEIP", "2001:db8::7"],
      ["REMOTEPORT", "40000"],
      ["REMOTEHOST", "client.example"],
      ["LOCALIP", "2001:db8::1"],
      ["LOCALPORT", "25"],
      ["LOCALHOST", "mx.example"],
    ]
  ) {
    assertEquals(variables[`TCP${name}`], value);
    assertEquals(variables[`TCP6${name}`], value);
  }
});

Deno.test("tcp environment: a variable whose value is not known is removed", () => {
  const variables = tcpEnvironment({
    peer: end("192.0.2.7", 1),
    local: end("192.0.2.1", 25),
  });
  for (const name of ["TCPREMOTEHOST", "TCPREMOTEINFO", "TCPLOCALHOST"]) {
    assertEquals(name in variables, true);
    assertEquals(variables[name], undefined);
  }
});

/** A program that says all of its environment, then hangs up. */
function printer(): string[] {
  const path = writeFile(
    "environ",
    "#!/bin/sh\nexec cat /proc/self/environ\n",
    0o755,
  );
  return [path];
}

/** What PROGRAM finds, as the super-server starts it for a client. */
async function found(server: Listener): Promise<Record<string, string>> {
  using client = await Client.connect(server.port, server.hostname);
  const text = await client.rest();
  const lines = text.split("\0").slice(0, -1)
    // The shell's own.
    .filter((line) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(line));
  return Object.fromEntries(lines.map((line) => {
    const end = line.indexOf("=");
    return [line.slice(0, end), line.slice(end + 1)];
  }));
}

for (const hostname of ["127.0.0.1", "::1"] as const) {
  e2e(
    `serve environment: what tcpserver gives, over ${hostname}`,
    { programs: [hostname === "::1" ? TCPSERVER_IPV6 : "tcpserver"] },
    async () => {
      const start = {
        hostname,
        next: printer(),
        // A variable that a server above left must not be taken for this client's.
        env: { TCPREMOTEHOST: "inherited", TCPREMOTEINFO: "inherited" },
      };
      await using server = await serving({
        whitelist: { networks: ["127.0.0.1", "::1"] },
      }, start);
      // tcpserver with its own name and without the client's, the usual options.
      await using model = await tcpserver.start({
        ...start,
        binary: "/usr/bin/env",
        options: ["-l", "mx.example"],
      });
      const [ours, theirs] = [await found(server), await found(model)];
      assertMatch(ours.GREYLIST, /^whitelisted rule=networks:/);
      delete ours.GREYLIST;
      const ports = ["TCPREMOTEPORT", "TCPLOCALPORT"].flatMap((name) =>
        hostname === "::1" ? [name, name.replace("TCP", "TCP6")] : [name]
      );
      for (const name of ports) {
        assertMatch(ours[name], /^[1-9]\d*$/, name);
        assertMatch(theirs[name], /^[1-9]\d*$/, name);
        delete ours[name];
        delete theirs[name];
      }
      // Its IPv6 build calls an IPv4 client ::ffff:127.0.0.1 as well.
      if (hostname === "127.0.0.1") {
        for (const name of Object.keys(theirs)) {
          if (name.startsWith("TCP6")) delete theirs[name];
        }
      }
      assertEquals(ours, theirs);
    },
  );
}
