import { assertEquals } from "@std/assert";
import { clientNetwork, parseAddress } from "../lib/address.ts";
import type { Config } from "../lib/config.ts";
import { resolveConfig } from "../lib/config/resolve.ts";
import type { ClientConnection } from "../lib/whitelist/exemption.ts";
import { type FilesOf, findPass, subjectOf } from "../lib/who_waits.ts";

const filesOf: FilesOf = () => ({
  search: () => ({ line: undefined, bad: [] }),
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
  if (pass !== undefined) return pass.reason;
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
    [{ only, pools }, "10.9.8.7", "unsuspected"],
    [{ whitelist, only, pools }, "192.0.2.1", "whitelisted"],
    [{ whitelist, only, pools }, "192.0.2.2", "@p @p"],
  ];
  for (const [config, ip, expected] of cases) {
    assertEquals(way(config, ip), expected, `${JSON.stringify(config)} ${ip}`);
  }
});
