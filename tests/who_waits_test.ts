import { assertEquals } from "@std/assert";
import { clientNetwork, parseAddress } from "../lib/address.ts";
import type { Config } from "../lib/config.ts";
import { resolveConfig } from "../lib/config/resolve.ts";
import type { ClientConnection } from "../lib/whitelist/exemption.ts";
import { type FilesOf, findPass, subjectOf } from "../lib/who_waits.ts";

/** The files of each section; a file with the name of its section has line 1. */
const filesOf: FilesOf = (section) => ({
  search: (path) => ({
    line: path === `/${section}` ? 1 : undefined,
    bad: [],
  }),
  section: "whitelist",
  warn: () => {},
});

/** What becomes of a client before its entry is looked at. */
function way(config: Partial<Config>, ip: string, host?: string): string {
  const resolved = resolveConfig({ baseDir: "/x", ...config });
  const address = parseAddress(ip)!;
  const connection: ClientConnection = {
    address,
    host,
    localPort: () => undefined,
    hasVariable: () => false,
  };
  const pass = findPass(resolved, connection, filesOf);
  if (pass !== undefined) return `${pass.action}: ${pass.reason}`;
  const network = clientNetwork(address, resolved.match);
  const { entry, net } = subjectOf(
    resolved.pools,
    network,
    connection,
    filesOf,
  );
  return `${entry} ${net}`;
}

Deno.test("who waits: whitelist, only, pool or network", () => {
  const whitelist = { networks: ["192.0.2.1"] };
  const only = { networks: ["192.0.2.0/24", "203.0.113.0/24"] };
  const pools = [{ name: "p", networks: ["192.0.2.0/24", "10."] }];
  const cases: [Partial<Config>, string, string][] = [
    [{}, "192.0.2.1", "192.0.2.0_24 192.0.2.0/24"],
    [{ match: { ipv4: 32 } }, "192.0.2.1", "192.0.2.1 192.0.2.1/32"],
    [{ pools }, "192.0.2.1", "@p @p"],
    [{ pools }, "10.9.8.7", "@p @p"],
    [{ pools }, "203.0.113.1", "203.0.113.0_24 203.0.113.0/24"],
    [{ only, pools }, "192.0.2.1", "@p @p"],
    [{ only, pools }, "203.0.113.1", "203.0.113.0_24 203.0.113.0/24"],
    // A member of a pool that is not suspect does not wait.
    [{ only, pools }, "10.9.8.7", "pass: unsuspected"],
    [{ whitelist, only, pools }, "192.0.2.1", "pass: whitelisted"],
    [{ whitelist, only, pools }, "192.0.2.2", "@p @p"],
  ];
  for (const [config, ip, expected] of cases) {
    assertEquals(way(config, ip), expected, `${JSON.stringify(config)} ${ip}`);
  }
});

Deno.test("who waits: each section is asked for its own files", () => {
  const files: `/${string}`[] = ["/whitelist", "/only", "/pools"];
  const client = "192.0.2.1";
  const cases: [Partial<Config>, string][] = [
    [{ whitelist: { files } }, "pass: whitelisted"],
    [
      { whitelist: { files: ["/only", "/pools"] } },
      "192.0.2.0_24 192.0.2.0/24",
    ],
    [{ only: { files } }, "192.0.2.0_24 192.0.2.0/24"],
    [{ only: { files: ["/whitelist", "/pools"] } }, "pass: unsuspected"],
    [{ pools: [{ name: "p", files }] }, "@p @p"],
    [
      { pools: [{ name: "p", files: ["/whitelist", "/only"] }] },
      "192.0.2.0_24 192.0.2.0/24",
    ],
  ];
  for (const [config, expected] of cases) {
    assertEquals(way(config, client), expected, JSON.stringify(config));
  }
});
