import { assertEquals } from "@std/assert";
import { whitelists } from "../../../lib/commands/check/whitelist.ts";
import { resolveConfig } from "../../../lib/config/resolve.ts";

/** Findings as `kind text`, for a configuration and the text of a file. */
function look(
  whitelist: { networks?: string[]; hosts?: string[] },
  file?: string,
) {
  const path = Deno.makeTempFileSync({ prefix: "greylist-check-" });
  try {
    if (file !== undefined) Deno.writeTextFileSync(path, file);
    const files = file === undefined ? [] : [path];
    const config = resolveConfig({
      baseDir: "/x",
      whitelist: { ...whitelist, files },
    });
    const { findings, namesHosts } = whitelists(config.whitelist);
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
