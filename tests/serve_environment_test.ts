import { assertEquals } from "@std/assert";
import { parseAddress } from "../lib/address.ts";
import { tcpEnvironment } from "../lib/serve/environment.ts";

function end(address: string, port: number) {
  return { address: parseAddress(address)!, port };
}

Deno.test("serve environment: a client over IPv4", () => {
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
    },
  );
});

Deno.test("serve environment: a client over IPv6", () => {
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

Deno.test("serve environment: what is not known must not be inherited", () => {
  const variables = tcpEnvironment({
    peer: end("192.0.2.7", 1),
    local: end("192.0.2.1", 25),
  });
  for (const name of ["TCPREMOTEHOST", "TCPREMOTEINFO", "TCPLOCALHOST"]) {
    assertEquals(name in variables, true);
    assertEquals(variables[name], undefined);
  }
});
