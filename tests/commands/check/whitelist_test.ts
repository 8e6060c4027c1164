import { assertEquals } from "@std/assert";
import {
  type ListFindings,
  poolMembers,
  ruleFiles,
  whitelists,
} from "../../../lib/commands/check/whitelist.ts";
import { ADDRESS_VARIABLES } from "../../../lib/peer.ts";
import { resolveConfig } from "../../../lib/config/resolve.ts";

/** Findings as `kind text`, for a file. */
function lookAtFile(text: string, find: (path: string) => ListFindings) {
  const path = Deno.makeTempFileSync({ prefix: "greylist-check-" });
  try {
    Deno.writeTextFileSync(path, text);
    const { findings, namesHosts } = find(path);
    return {
      found: findings.map(({ kind, text }) =>
        `${kind} ${text.replaceAll(path, "FILE")}`
      ),
      namesHosts,
    };
  } finally {
    Deno.removeSync(path);
  }
}

/** Findings as `kind text`, for a whitelist and the text of a file. */
function look(
  whitelist: {
    networks?: string[];
    hosts?: string[];
    env?: string[];
    localPorts?: number[];
  },
  file?: string,
) {
  return lookAtFile(file ?? "", (path) => {
    const files = file === undefined ? [] : [path];
    const config = resolveConfig({
      baseDir: "/x",
      whitelist: { ...whitelist, files },
    });
    return whitelists(config.whitelist);
  });
}

Deno.test("check whitelist: nothing to say", () => {
  assertEquals(look({}), { found: [], namesHosts: false });
  assertEquals(
    look({ networks: ["10.", "2001::/16", "::1"] }, "10.0.0.0/8\n"),
    {
      found: ["ok whitelist file FILE"],
      namesHosts: false,
    },
  );
  assertEquals(look({ hosts: ["example.org"] }), {
    found: [],
    namesHosts: true,
  });
  assertEquals(look({}, "localhost\n/mx/\n"), {
    found: ["ok whitelist file FILE"],
    namesHosts: true,
  });
});

Deno.test("check whitelist: what exempts too many", () => {
  const meant = (number: number) =>
    `is that meant? (${number} ${
      number === 1 ? "line" : "lines"
    } like that in all)`;
  assertEquals(look({ networks: ["10.", "0.0.0.0/7", "2000::/15"] }).found, [
    'warn whitelist.networks[1]: "0.0.0.0/7": exempts 0.0.0.0/7, more than a ' +
    `/8: ${meant(2)}`,
  ]);
  assertEquals(look({ networks: ["::/0"] }).found, [
    `warn whitelist.networks[0]: "::/0": exempts ::/0, more than a /16: ${
      meant(1)
    }`,
  ]);
  assertEquals(look({ hosts: ["example.org", "com", ".org"] }).found, [
    'warn whitelist.hosts[1]: "com": exempts every name that ends in .com: ' +
    meant(2),
  ]);
  assertEquals(look({}, "# all\n*.net\n192.0.2.0/24\n").found, [
    'warn FILE:2: "*.net": exempts every name that ends in .net: ' + meant(1),
  ]);
  assertEquals(look({}, "/mx/\n/dsl|/\n/./\n").found, [
    'warn FILE:2: "/dsl|/": exempts almost every name, even a.invalid and ' +
    `x1.test: ${meant(2)}`,
  ]);
});

Deno.test("check whitelist: what exempts every client", () => {
  assertEquals(look({ localPorts: [465, 587] }).found, []);
  assertEquals(look({ localPorts: [587, 25] }).found, [
    "warn whitelist.localPorts[1]: 25: exempts every client of the port where " +
    "mail of other servers comes in: is that meant?",
  ]);
  const [only] = look({ localPorts: [25] }).found;
  assertEquals(only.startsWith("warn whitelist.localPorts[0]: 25: "), true);
  const env = ["RELAYCLIENT", "WHITELISTED", "TCPREMOTEINFO", "RBLSMTPD"];
  assertEquals(look({ env }).found, []);
  assertEquals(look({ env: ["RELAYCLIENT", "TCPREMOTEIP"] }).found, [
    'warn whitelist.env[1]: "TCPREMOTEIP": set for every client, and exempts ' +
    "them all: is that meant?",
  ]);
  assertEquals(look({ env: ["TCPREMOTEHOST"] }).found, [
    'warn whitelist.env[0]: "TCPREMOTEHOST": set for every client that has a ' +
    "name, and exempts them all: is that meant?",
  ]);
  const always = [
    ...ADDRESS_VARIABLES,
    ...["PROTO", "TCPLOCALIP", "TCPLOCALPORT", "TCPLOCALHOST"],
    ...["TCPREMOTEPORT", "TCP6LOCALIP", "SSLLOCALPORT", "PATH", "HOME"],
  ];
  assertEquals(look({ env: always }).found.length, always.length);
});

Deno.test("check whitelist: networks in another notation are bad lines", () => {
  assertEquals(look({}, "10.0.0.0/8\n192.0.2.37-53\n192.0.2.0_24\n").found, [
    'fix FILE:2: "192.0.2.37-53": expected a network, an address, a host, ' +
    ".suffix or /regex/ (2 bad lines in all)",
  ]);
});

Deno.test("check whitelist: bad lines beside wide ones", () => {
  const { found } = look({}, "com\nbad!\n10.0.0.1/8\n");
  assertEquals(found.length, 2);
  assertEquals(
    found[1],
    'fix FILE:2: "bad!": expected a network, an address, a host, .suffix or ' +
      "/regex/ (2 bad lines in all)",
  );
});

Deno.test("check whitelist: a file that is missing", () => {
  const { whitelist } = resolveConfig({
    baseDir: "/x",
    whitelist: { files: ["/no/whitelist"] },
  });
  assertEquals(whitelists(whitelist).findings, [{
    kind: "fix",
    text:
      "whitelist file /no/whitelist: No such file or directory: create it, " +
      "or take it out of whitelist.files",
  }]);
});

Deno.test("check pools: members that one retry of anybody would let in", () => {
  const { found, namesHosts } = lookAtFile(
    "192.0.2.0/24\n/./\n",
    (path) =>
      poolMembers(
        resolveConfig({
          baseDir: "/x",
          pools: [
            { name: "a", networks: ["192.0.2.0/24"], files: [path] },
            { name: "b", networks: ["0.0.0.0/0", "10."], hosts: ["com"] },
          ],
        }).pools,
      ),
  );
  assertEquals(found, [
    'warn pools[1].networks[0]: "0.0.0.0/0": one retry lets in 0.0.0.0/0, more ' +
    "than a /8: is that meant? (2 lines like that in all)",
    'warn FILE:2: "/./": one retry lets in almost every name, even a.invalid ' +
    "and x1.test: is that meant? (1 line like that in all)",
  ]);
  assertEquals(namesHosts, true);
});

Deno.test("check pools: nothing to say", () => {
  const look = (pool: { networks?: string[]; hosts?: string[] }) =>
    poolMembers(
      resolveConfig({ baseDir: "/x", pools: [{ name: "a", ...pool }] }).pools,
    );
  assertEquals(poolMembers([]), { findings: [], namesHosts: false });
  assertEquals(look({ networks: ["192.0.2."] }), {
    findings: [],
    namesHosts: false,
  });
  assertEquals(look({ hosts: [".example.org"] }), {
    findings: [],
    namesHosts: true,
  });
});

Deno.test("check only: no line is too wide, since it lets no client in", () => {
  assertEquals(
    lookAtFile(
      "0.0.0.0/0\ncom\n/./\n",
      (path) => ruleFiles("only", [path]),
    ),
    { found: ["ok only file FILE"], namesHosts: true },
  );
});
