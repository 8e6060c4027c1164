import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../../lib/config.ts";
import { clean, compile } from "../harness/binary.ts";
import { makeEntry, snapshot } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { BASE, emptyDir, ROOT, writeFile } from "../harness/root.ts";

const DAY = 86400;
const FILE = `${ROOT}/explain-whitelist` as Path;

const CONFIG: Partial<Config> = {
  whitelist: {
    networks: ["192.0.2.0/24", "2001:db8:1::/48"],
    hosts: ["mx.example.com", ".example.org"],
    files: [FILE],
    localPorts: [465, 587],
  },
};

const RULES = `# comment
198.51.100.7
203.0.113.128/25  # half of it
2001:db8:2::/48
mail.example.net
.example.edu
/^out\\d+\\.pool\\.example$/
10.9
`;

/** Runs it, sees that nothing changed, and gives what it says by label. */
async function explain(
  binary: string,
  ...args: string[]
): Promise<Record<string, string>> {
  const before = snapshot();
  const { code, stdout, stderr } = await run([binary, "explain", ...args]);
  assertEquals([code, stderr], [0, ""], stderr);
  assertEquals(snapshot(), before);
  const said: Record<string, string> = {};
  for (const line of stdout.split("\n").slice(0, -1)) {
    const [, label, text] = /^(\w+) +(.*)$/.exec(line)!;
    said[label] = said[label] === undefined ? text : `${said[label]}; ${text}`;
  }
  return said;
}

const AT = "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d";

e2e("explain: every row of the verdict table", {}, async (t) => {
  const rows: [string, [number, number] | undefined, RegExp, string, RegExp][] =
    [
      [
        "new",
        undefined,
        /^none$/,
        "defer, new: there is no entry",
        /^this connection would start its wait of 60 s$/,
      ],
      [
        "early",
        [0, 20],
        new RegExp(`^grey, last written ${AT} \\(\\d+ s ago\\)$`),
        "defer, early: grey for less than timeouts.delay (60 s)",
        new RegExp(
          `^pass, retried, from ${AT} \\(in \\d+ s\\); ` +
            `defer, stale, from ${AT} \\(in 23 h\\)$`,
        ),
      ],
      [
        "retried",
        [0, 600],
        new RegExp(`^grey, last written ${AT} \\(10 min ago\\)$`),
        "pass, retried: grey for timeouts.delay (60 s) or more",
        new RegExp(`^defer, stale, from ${AT} \\(in 23 h\\)$`),
      ],
      [
        "stale",
        [0, 2 * DAY],
        new RegExp(`^grey, last written ${AT} \\(2 d ago\\)$`),
        "defer, stale: grey for longer than timeouts.retryWindow (24 h)",
        /^this connection would start its wait of 60 s$/,
      ],
      [
        "known",
        [17, 3 * DAY],
        new RegExp(
          `^known, accepted 17 times, last written ${AT} \\(3 d ago\\)$`,
        ),
        "pass, known: known, and seen within timeouts.expireAfter (36 d)",
        new RegExp(`^defer, expired, from ${AT} \\(in 3[23] d\\)$`),
      ],
      [
        "expired",
        [1, 40 * DAY],
        new RegExp(
          `^known, accepted 1 time, last written ${AT} \\(40 d ago\\)$`,
        ),
        "defer, expired: known, and not seen for longer than " +
        "timeouts.expireAfter (36 d)",
        /^this connection would start its wait of 60 s$/,
      ],
      // A clock that went back: little is a normal wait, much starts anew.
      [
        "early, a little ahead",
        [0, -30],
        new RegExp(`^grey, last written ${AT} \\(in \\d+ s\\)$`),
        "defer, early: grey for less than timeouts.delay (60 s)",
        new RegExp(`^pass, retried, from ${AT} \\(in \\d+ s\\); defer, `),
      ],
      [
        "early, far ahead",
        [0, -DAY],
        new RegExp(`^grey, last written ${AT} \\(in 2\\d h\\)$`),
        "defer, early: grey for less than timeouts.delay (60 s)",
        /^this connection would start its wait of 60 s$/,
      ],
    ];
  // The first number of seconds from now.
  const seconds = (text: string) => {
    const [, ahead, number] = /\((in )?(\d+) s/.exec(text)!;
    return ahead ? Number(number) : -number;
  };
  const binary = await compile();
  for (const [name, entry, described, verdict, later] of rows) {
    await t.step(name, async () => {
      clean();
      makeEntry("203.0.113.0_24", 5, 0);
      if (entry) makeEntry("192.0.2.0_24", ...entry);
      const said = await explain(binary, "192.0.2.99");
      assertEquals(said.client, "192.0.2.99, counts as 192.0.2.0/24");
      const path = `${BASE}/192.0.2.0_24: `;
      assert(said.entry.startsWith(path), said.entry);
      assertMatch(said.entry.slice(path.length), described);
      assertEquals(said.verdict, verdict);
      assertMatch(said.later, later);
      // However late it looks, the wait begins when the entry was written.
      if (name === "early" || name === "early, a little ahead") {
        assertEquals(seconds(said.later) - seconds(said.entry), 60);
      }
    });
  }
});

e2e("explain: every kind of address", {}, async () => {
  clean();
  const binary = await compile();
  const cases: [string, string, string][] = [
    ["192.0.2.17", "192.0.2.17, counts as 192.0.2.0/24", "192.0.2.0_24"],
    ["::ffff:192.0.2.17", "192.0.2.17, counts as 192.0.2.0/24", "192.0.2.0_24"],
    ["::ffff:c000:211", "192.0.2.17, counts as 192.0.2.0/24", "192.0.2.0_24"],
    [
      "2001:DB8:7:1:0:0:0:5",
      "2001:db8:7:1::5, counts as 2001:db8:7:1::/64",
      "2001:db8:7:1::_64",
    ],
    ["::1", "::1, counts as ::/64", "::_64"],
  ];
  for (const [address, client, name] of cases) {
    const said = await explain(binary, address);
    assertEquals(said.client, client);
    assertEquals(said.entry, `${BASE}/${name}: none`);
  }
  const whole = await compile({ match: { ipv4: 32, ipv6: 128 } });
  assertEquals(
    (await explain(whole, "192.0.2.17")).entry,
    `${BASE}/192.0.2.17: none`,
  );
  assertEquals(
    (await explain(whole, "2001:db8::17")).entry,
    `${BASE}/2001:db8::17: none`,
  );
});

e2e("explain: every kind of whitelist rule", {}, async (t) => {
  clean();
  writeFile("explain-whitelist", RULES);
  const binary = await compile(CONFIG);
  const cases: [string, string[]][] = [
    ["networks:192.0.2.0/24", ["192.0.2.255"]],
    ["networks:192.0.2.0/24", ["::ffff:192.0.2.1"]],
    ["networks:2001:db8:1::/48", ["2001:db8:1:ffff::5"]],
    ["hosts:mx.example.com", ["10.0.0.1", "--host=mx.example.com"]],
    ["hosts:mx.example.com", ["10.0.0.1", "--host=MX.Example.COM."]],
    ["hosts:.example.org", ["10.0.0.1", "--host=a.b.example.org"]],
    ["localPorts:465", ["10.0.0.1", "--port=465"]],
    ["localPorts:587", ["10.0.0.1", "--port=587"]],
    [`${FILE}:2`, ["198.51.100.7"]],
    [`${FILE}:3`, ["203.0.113.200"]],
    [`${FILE}:4`, ["2001:db8:2::1"]],
    [`${FILE}:5`, ["10.0.0.1", "--host=mail.example.net"]],
    [`${FILE}:6`, ["10.0.0.1", "--host=x.example.edu"]],
    [`${FILE}:7`, ["10.0.0.1", "--host=out7.pool.example"]],
    [`${FILE}:8`, ["10.9.8.7"]],
  ];
  for (const [rule, args] of cases) {
    await t.step(`${args.join(" ")}: ${rule}`, async () => {
      const said = await explain(binary, ...args);
      assertEquals(said.whitelist, `exempt by ${rule}`);
      assertMatch(said.verdict, /^pass, whitelisted/);
      assertEquals(said.entry, undefined);
    });
  }
});

e2e("explain: what would exempt but is not known", {}, async () => {
  clean();
  writeFile("explain-whitelist", RULES);
  const binary = await compile(CONFIG);
  const env = "RELAYCLIENT were set, or WHITELISTED were set";
  const ports = "it came to port 465, or it came to port 587";
  const host = "its host name matched (--host)";
  const none = "no rule; it would be exempt if ";
  const cases: [string, string[]][] = [
    [`${env}, or ${ports}, or ${host}`, []],
    [`${env}, or ${host}`, ["--port=25"]],
    [`${env}, or ${ports}`, ["--host=nobody.example"]],
    [env, ["--host=nobody.example", "--port=25"]],
  ];
  for (const [unknown, args] of cases) {
    const said = await explain(binary, "10.0.0.1", ...args);
    assertEquals(said.whitelist, none + unknown);
  }
  const bare = await compile({ whitelist: { env: [] } });
  assertEquals((await explain(bare, "10.0.0.1")).whitelist, "no rule");
});

e2e(
  "explain: pools and suspects that its host name may decide",
  {},
  async () => {
    clean();
    const binary = await compile({
      pools: [
        { name: "partner", networks: ["198.51.100.0/24"] },
        { name: "newsletters", hosts: [".news.example"] },
        { name: "last", networks: ["203.0.113.0/24"] },
      ],
      only: { nameless: true },
    });
    const pool = "; it would count as a pool if its host name matched (--host)";
    const clients: [string[], string][] = [
      [["192.0.2.1"], `192.0.2.1, counts as 192.0.2.0/24${pool}`],
      [["203.0.113.1"], `203.0.113.1, counts as @last${pool}`],
      // The first pool counts, whatever the name.
      [["198.51.100.1"], "198.51.100.1, counts as @partner"],
      [
        ["192.0.2.1", "--host=x.news.example"],
        "192.0.2.1, counts as @newsletters",
      ],
      [["192.0.2.1", "--host=x.example"], "192.0.2.1, counts as 192.0.2.0/24"],
    ];
    for (const [args, client] of clients) {
      assertEquals((await explain(binary, ...args)).client, client);
    }
    const name = "; it may not be if it has a host name (--host)";
    const suspects: [string[], string][] = [
      [["192.0.2.1"], `suspect by nameless${name}`],
      [["192.0.2.1", "--host=192.0.2.1"], "suspect by nameless"],
      [["192.0.2.1", "--host=[192.0.2.1]"], "suspect by nameless"],
      [["2001:db8::1", "--host=2001:db8::1"], "suspect by nameless"],
      [["192.0.2.1", "--host=192.0.2.9"], "not suspect"],
      [["192.0.2.1", "--host=x.example"], "not suspect"],
    ];
    for (const [args, said] of suspects) {
      assertEquals((await explain(binary, ...args)).only, said, args.join(" "));
    }
    const { code, stderr } = await run([
      binary,
      "explain",
      "192.0.2.1",
      "--host=192.0.2",
    ]);
    assertEquals([code, stderr], [
      100,
      "greylist explain: --host=192.0.2: expected a host name or an address\n",
    ]);
  },
);

e2e("explain: a whitelist file that cannot be read is said", {}, async () => {
  clean();
  writeFile("explain-whitelist", "");
  Deno.removeSync(FILE);
  const command = [await compile(CONFIG), "explain", "10.0.0.1"];
  const { code, stdout, stderr } = await run(command);
  assertEquals(code, 0);
  assertMatch(stdout, /\nverdict +defer, new: /);
  assertMatch(
    stderr,
    new RegExp(`^greylist explain: whitelist file ${FILE}: [^\n]+\n$`),
  );
});

e2e("explain: a base directory that is not there", {}, async () => {
  clean();
  const binary = await compile({ baseDir: `${ROOT}/elsewhere` as "/" });
  Deno.removeSync(emptyDir("elsewhere"));
  const { code, stdout, stderr } = await run([binary, "explain", "10.0.0.1"]);
  assertEquals([code, stdout], [100, ""]);
  assertMatch(
    stderr,
    new RegExp(`^greylist explain: ${ROOT}/elsewhere: [^\n]+\n$`),
  );
});

e2e("explain: an entry that is no regular file", {}, async () => {
  clean();
  Deno.mkdirSync(`${BASE}/10.0.0.0_24`);
  const command = [await compile(), "explain", "10.0.0.1"];
  const { code, stdout, stderr } = await run(command);
  assertEquals([code, stdout], [100, ""]);
  assertMatch(
    stderr,
    /^greylist explain: [^\n]*\/10\.0\.0\.0_24: a directory: [^\n]+\n$/,
  );
});

e2e("explain: the rules of serve", {}, async () => {
  clean();
  const binary = await compile({
    serve: {
      user: "root",
      rules: [
        { networks: ["192.0.2.66"], deny: true },
        { networks: ["192.0.2.0/24"], env: { A: "1", RELAYCLIENT: "" } },
        { networks: ["2001:db8::/32"], env: { A: "1" } },
        { networks: ["0.0.0.0/0"] },
      ],
    },
  });
  const said: [string, string | undefined][] = [
    ["192.0.2.66", "rules[0]: greylist serve hangs up on it"],
    [
      "192.0.2.67",
      "rules[1]: greylist serve sets A, RELAYCLIENT, so it is exempt by " +
      "env:RELAYCLIENT there",
    ],
    ["2001:db8::1", "rules[2]: greylist serve sets A"],
    ["198.51.100.1", "rules[3]: greylist serve takes it"],
    ["2001:db9::1", undefined],
  ];
  for (const [address, text] of said) {
    assertEquals((await explain(binary, address)).serve, text, address);
  }
});
