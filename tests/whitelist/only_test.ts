import { assert, assertEquals } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import type { Config } from "../../lib/config.ts";
import { resolveConfig } from "../../lib/config/resolve.ts";
import type { ClientConnection, Files } from "../../lib/whitelist/exemption.ts";
import { searchFile } from "../../lib/whitelist/file.ts";
import { findSuspicion, isNameless } from "../../lib/whitelist/only.ts";

interface Who {
  readonly ip?: string;
  readonly host?: string;
  readonly set?: string[];
}

/** The rule that makes a client suspect, and what was warned of. */
function find(
  only: Config["only"],
  who: Who,
  files: Record<string, string> = {},
) {
  const warnings: string[] = [];
  const connection: ClientConnection = {
    address: who.ip === undefined ? undefined : parseAddress(who.ip),
    host: who.host,
    localPort: () => {
      throw new Error("looked at");
    },
    hasVariable: (name) => who.set?.includes(name) ?? false,
  };
  const given: Files = {
    section: "only",
    search(path, client) {
      if (files[path] === undefined) throw new Error("No such file");
      return searchFile(files[path], client);
    },
    warn: (message) => warnings.push(message),
  };
  const resolved = resolveConfig({ baseDir: "/x", only }).only!;
  return { rule: findSuspicion(resolved, connection, given), warnings };
}

Deno.test("only: a client without a name", () => {
  const cases: [Who, boolean][] = [
    [{ ip: "192.0.2.7" }, true],
    [{}, true],
    [{ ip: "192.0.2.7", host: "192.0.2.7" }, true],
    [{ ip: "192.0.2.7", host: "[192.0.2.7]" }, true],
    [{ ip: "2001:db8::7", host: "2001:db8:0::7" }, true],
    [{ ip: "2001:db8::7", host: "mx.example.org" }, false],
    [{ ip: "192.0.2.7", host: "192.0.2.8" }, false],
    [{ ip: "192.0.2.7", host: "7.2.0.192.example" }, false],
  ];
  for (const [who, expected] of cases) {
    const address = who.ip === undefined ? undefined : parseAddress(who.ip);
    const name = JSON.stringify(who);
    assertEquals(isNameless({ address, host: who.host }), expected, name);
    const { rule } = find({ nameless: true }, who);
    assertEquals(rule, expected ? "nameless" : undefined, name);
    // Without the field no client is suspect for want of a name.
    assertEquals(find({ hosts: ["x.example"] }, who).rule, undefined);
  }
});

Deno.test("only: each kind of rule, and its name", () => {
  const only: Config["only"] = {
    hosts: ["example.net", ".example.org", "/^h[0-9]+\\./"],
    networks: ["198.51.100.0/24", "10."],
    env: ["RBL"],
    files: ["/dialup"],
  };
  const files = { "/dialup": "# lines\n203.0.113.0/24\n/dsl/\n" };
  const cases: [Who, string | undefined][] = [
    [{ host: "mx.example.net" }, "hosts:example.net"],
    [{ host: "example.org" }, undefined],
    [{ host: "a.example.org" }, "hosts:.example.org"],
    [{ host: "h123.isp.example" }, "hosts:/^h[0-9]+\\./"],
    [{ ip: "198.51.100.9", host: "mx.example" }, "networks:198.51.100.0/24"],
    [{ ip: "10.9.8.7" }, "networks:10."],
    [{ ip: "192.0.2.1", set: ["RBL"] }, "env:RBL"],
    [{ ip: "203.0.113.9" }, "/dialup:2"],
    [{ ip: "192.0.2.1", host: "a.dsl.isp.example" }, "/dialup:3"],
    [{ ip: "192.0.2.1", host: "mx.isp.example" }, undefined],
    [{}, undefined],
  ];
  for (const [who, expected] of cases) {
    assertEquals(find(only, who, files).rule, expected, JSON.stringify(who));
  }
});

Deno.test("only: a file that cannot be read makes no client suspect", () => {
  assertEquals(find({ files: ["/none"] }, { ip: "192.0.2.1" }), {
    rule: undefined,
    warnings: [
      "only file /none: No such file: create it, or take it out of only.files",
    ],
  });
});

const DIALUP = Deno.readTextFileSync(
  new URL("../../lib/whitelist/dialup-names", import.meta.url),
);

/** The line of the list of expressions that a name matches. */
function dialup(host: string): number | undefined {
  const { line, bad } = searchFile(DIALUP, { address: undefined, host });
  assertEquals(bad, []);
  return line;
}

Deno.test("only: the list of names that look dialled up", () => {
  // The shapes of names in use; the domains are changed.
  const suspect = [
    "p4fd1a2b3.dip0.t-isp.example",
    "203-0-113-9.dynamic.isp.example",
    "9.113.0.203.static.isp.example",
    "host-203-0-113-9.isp.example",
    "ec2-203-0-113-9.compute-1.cloud.example",
    "203.0.113.9.broad.gz.gd.dynamic.isp.example",
    "cpe-203-0-113-9.nyc.res.isp.example",
    "203000113009.isp.example",
    "203-000-113-009.isp.example",
    "adsl-76-230-1-2.dsl.isp.example",
    "dsl.isp.example",
    "modem7.dialup.isp.example",
    "ppp12.isp.example",
    "pool-1-2.pools.isp.example",
    "user17.clients.isp.example",
    "dhcp-42.campus.example",
    "x4-7.cable.isp.example",
    "ip7f000001.isp.example",
    "2a01-cb00-8a12-1-2-3-4-5.isp.example",
    "b7.catv.isp.example",
    "m1.lte.isp.example",
  ];
  for (const host of suspect) assert(dialup(host) !== undefined, host);
  const usual = [
    "mx.example.org",
    "mail-wr1-f47.google.example",
    "mail-oa1-x2a.google.example",
    "mta-65-27.sparkpost.example",
    "o1.sg.newsletter.example",
    "a8-30.smtp-out.mailservice.example",
    "mail-db8eur05on2100.outbound.protection.outlook.example",
    "smtp10.mail.example",
    "mx2.pool-service.example",
    "server17.hosting.example",
    "lists.dynamics.example",
    "mx1.client-mail.example",
    "out-42.mta1.mail.example",
    "dslam-research.example",
    "www.cablenews.example",
    "example.org",
    "mx-202611.example.org",
    "deadbeef.example.org",
  ];
  for (const host of usual) assertEquals(dialup(host), undefined, host);
});

Deno.test("only: each expression of the list is needed", () => {
  const lines = DIALUP.split("\n").flatMap((line, i) =>
    line.startsWith("/") ? [i + 1] : []
  );
  const samples = [
    "203-0-113-9.isp.example",
    "203000113009.isp.example",
    "b7a9.dip3.isp.example",
    "ip7f000001.isp.example",
    "2a01-cb00-8a12-1-2.isp.example",
    "dsl.isp.example",
    "modem.dialup.isp.example",
    "a.dyn.isp.example",
    "a.cable.isp.example",
    "a.lte.isp.example",
    "pool-7a.isp.example",
    "user17.clients.isp.example",
  ];
  assertEquals(samples.map(dialup), lines);
});
