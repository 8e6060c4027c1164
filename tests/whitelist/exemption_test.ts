import { assertEquals } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import type { Config } from "../../lib/config.ts";
import { resolveConfig } from "../../lib/config/resolve.ts";
import {
  type ClientConnection,
  findExemption,
  findFile,
} from "../../lib/whitelist/exemption.ts";
import { searchFile } from "../../lib/whitelist/file.ts";

/** A client, its parts as text. */
interface Who {
  readonly ip?: string;
  readonly host?: string;
  readonly port?: number;
  readonly set?: readonly string[];
}

/** What the file system of these tests holds. */
const FILES: Record<string, string> = {
  "/w/one": "# comment\n192.0.2.1\nexample.org\n",
  "/w/two": "192.0.2.1\n198.51.100.0/24\n",
  "/w/bad": "10.0.0.1/33\nbad line\n192.0.2.1\nnever reached!\n",
  "/w/empty": "",
};

/** The rule that exempts the client, and what was warned of. */
function find(whitelist: Config["whitelist"], who: Who) {
  const warnings: string[] = [];
  const read: string[] = [];
  const connection: ClientConnection = {
    address: who.ip === undefined ? undefined : parseAddress(who.ip),
    host: who.host,
    localPort: () => who.port,
    hasVariable: (name) => who.set?.includes(name) ?? false,
  };
  const config = resolveConfig({ baseDir: "/x", whitelist });
  const rule = findExemption(config.whitelist, connection, {
    search(path, client) {
      read.push(path);
      if (Object.hasOwn(FILES, path)) return searchFile(FILES[path], client);
      throw new Error("No such file or directory (os error 2): stat '/w'");
    },
    section: "whitelist",
    warn: (message) => warnings.push(message),
  });
  return { rule, warnings, read };
}

const ALL: Config["whitelist"] = {
  env: ["RELAYCLIENT", "WHITELISTED"],
  localPorts: [465, 587],
  networks: [
    "127.0.0.0/8",
    "192.0.2.0/24",
    "::1",
    "2001:DB8::/32",
    "10.",
    "172.16",
  ],
  hosts: [".example.org", "mx.example.com", "example.net"],
  files: ["/w/one", "/w/two"],
};

Deno.test("whitelist: each kind of rule, and its name in the log", () => {
  const cases: [Who, string | undefined][] = [
    [{ set: ["RELAYCLIENT"] }, "env:RELAYCLIENT"],
    [{ set: ["WHITELISTED"] }, "env:WHITELISTED"],
    [{ set: ["RBLSMTPD", "relayclient"] }, undefined],
    [{ port: 465 }, "localPorts:465"],
    [{ port: 587 }, "localPorts:587"],
    [{ port: 25 }, undefined],
    [{ ip: "127.255.255.255" }, "networks:127.0.0.0/8"],
    [{ ip: "192.0.2.255" }, "networks:192.0.2.0/24"],
    [{ ip: "::ffff:192.0.2.255" }, "networks:192.0.2.0/24"],
    [{ ip: "::1" }, "networks:::1"],
    // Named as it stands in the configuration.
    [{ ip: "2001:db8::9" }, "networks:2001:DB8::/32"],
    [{ ip: "192.0.3.0" }, undefined],
    [{ ip: "::2" }, undefined],
    [{ host: "a.example.org" }, "hosts:.example.org"],
    [{ host: "a.b.example.org" }, "hosts:.example.org"],
    [{ host: "mx.example.com" }, "hosts:mx.example.com"],
    [{ host: "example.net" }, "hosts:example.net"],
    // As in files, a name stands for the names below it too.
    [{ host: "a.example.net" }, "hosts:example.net"],
    [{ host: "a.mx.example.com" }, "hosts:mx.example.com"],
    [{ host: "badexample.net" }, undefined],
    [{ ip: "10.255.255.255" }, "networks:10."],
    [{ ip: "11.0.0.0" }, undefined],
    [{ ip: "172.16.255.255" }, "networks:172.16"],
    [{ host: "badexample.org" }, undefined],
    [{ host: "mx.example.com.evil.example" }, undefined],
    [{ host: "" }, undefined],
    [{ host: "example.org" }, "/w/one:3"],
    [{ ip: "198.51.100.7" }, "/w/two:2"],
    [{ ip: "203.0.113.9", host: "x.example", port: 25 }, undefined],
    [{}, undefined],
  ];
  for (const [who, expected] of cases) {
    const { rule, warnings } = find(ALL, who);
    assertEquals(rule, expected, JSON.stringify(who));
    assertEquals(warnings, []);
  }
});

Deno.test("whitelist: which of several rules is named", () => {
  const everything: Who = {
    set: ["WHITELISTED", "RELAYCLIENT"],
    port: 587,
    ip: "192.0.2.1",
    host: "mx.example.com",
  };
  const { set: _, ...noVariable } = everything;
  const { port: __, ...noPort } = noVariable;
  const { ip: ___, ...noAddress } = noPort;
  assertEquals(find(ALL, everything).rule, "env:RELAYCLIENT");
  assertEquals(find(ALL, noVariable).rule, "localPorts:587");
  assertEquals(find(ALL, noPort).rule, "networks:192.0.2.0/24");
  assertEquals(find(ALL, noAddress).rule, "hosts:mx.example.com");
  const files = ["/w/two", "/w/one"] as const;
  assertEquals(find({ files: [...files] }, noPort).rule, "/w/two:1");
  assertEquals(find({ files: files.toReversed() }, noPort).rule, "/w/one:2");
});

Deno.test("whitelist: the defaults exempt by variable only", () => {
  assertEquals(
    find(undefined, { set: ["RELAYCLIENT"] }).rule,
    "env:RELAYCLIENT",
  );
  const who = { ip: "127.0.0.1", host: "localhost", port: 25 };
  assertEquals(find(undefined, who).rule, undefined);
  assertEquals(find({ env: [] }, { set: ["RELAYCLIENT"] }).rule, undefined);
});

Deno.test("whitelist: a property that no rule needs is not looked up", () => {
  assertEquals(find(ALL, { port: 587 }).read, []);
  assertEquals(find(ALL, { ip: "192.0.2.1" }).read, []);
  // The second file is read only if the first does not have the client.
  assertEquals(find(ALL, { host: "example.org" }).read, ["/w/one"]);
  assertEquals(find(ALL, { ip: "198.51.100.1" }).read, ["/w/one", "/w/two"]);
  const config = resolveConfig({ baseDir: "/x" });
  const connection: ClientConnection = {
    address: parseAddress("192.0.2.1"),
    host: undefined,
    localPort() {
      throw new Error("looked at");
    },
    hasVariable: () => false,
  };
  const files = {
    search: () => searchFile("", connection),
    section: "whitelist",
    warn() {},
  };
  assertEquals(findExemption(config.whitelist, connection, files), undefined);
});

Deno.test("whitelist: bad lines are warned of, the rest counts", () => {
  const { rule, warnings } = find({ files: ["/w/bad"] }, { ip: "192.0.2.1" });
  const expected = "expected a network, an address, a host, .suffix or /regex/";
  assertEquals(rule, "/w/bad:3");
  assertEquals(warnings, [
    `/w/bad:1: "10.0.0.1/33": ${expected}`,
    `/w/bad:2: "bad line": ${expected}`,
  ]);
});

Deno.test("whitelist: a file that cannot be read is warned of", () => {
  const { rule, warnings } = find(
    { files: ["/w/none", "/w/empty", "/w/two"] },
    { ip: "192.0.2.1" },
  );
  assertEquals(rule, "/w/two:1");
  assertEquals(warnings, [
    "whitelist file /w/none: No such file or directory: create it, or take it " +
    "out of whitelist.files",
  ]);
});

Deno.test("whitelist: hostile lines are shown short, on one line", () => {
  FILES["/w/hostile"] = `a\x1b[31m b\n${"x".repeat(1000)}!\n`;
  const { warnings } = find({ files: ["/w/hostile"] }, { ip: "192.0.2.1" });
  const expected = "expected a network, an address, a host, .suffix or /regex/";
  assertEquals(warnings, [
    `/w/hostile:1: "a\\u001b[31m b": ${expected}`,
    `/w/hostile:2: "${"x".repeat(60)}": ${expected}`,
  ]);
});

Deno.test("whitelist: a file full of garbage is no flood of warnings", () => {
  FILES["/w/garbage"] = "no entry!\n".repeat(50_000) + "192.0.2.1\n";
  const { rule, warnings } = find(
    { files: ["/w/garbage"] },
    { ip: "192.0.2.1" },
  );
  assertEquals(rule, "/w/garbage:50001");
  assertEquals(warnings.length <= 100, true, `${warnings.length} warnings`);
});

Deno.test("whitelist: files that can be searched at once are", () => {
  const asked: (readonly string[])[] = [];
  const client = { address: parseAddress("192.0.2.1"), host: undefined };
  const files = {
    search(path: string) {
      throw new Error(`${path} was searched alone`);
    },
    searchAll(paths: readonly string[]) {
      asked.push(paths);
      return paths.at(-1);
    },
    section: "pools",
    warn() {},
  };
  assertEquals(findFile(["/a", "/b"], client, files), "/b");
  assertEquals(asked, [["/a", "/b"]]);
  assertEquals(findFile([], client, files), undefined);
  assertEquals(asked.length, 1);
});
