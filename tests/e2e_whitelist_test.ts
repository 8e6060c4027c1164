import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../lib/config.ts";
import { BASE, clean, compile, entries, logLines } from "./harness/binary.ts";
import { DNS_ADDRESS, openDns } from "./harness/dns.ts";
import { e2e, programPath } from "./harness/need.ts";
import { greeter, NEXT } from "./harness/next_program.ts";
import { freePort, gone, run } from "./harness/process.ts";
import { emptyDir, ROOT, writeFile } from "./harness/root.ts";
import { ATTEMPT, burst } from "./harness/smtp.ts";
import { inetd, type Listener, tcpserver } from "./harness/way_in.ts";

const needs = { programs: ["tcpserver"] };
const FILE = `${ROOT}/whitelist` as Path;
const CLIENTS = `${ROOT}/clients` as Path;

const CONFIG: Partial<Config> = {
  whitelist: {
    networks: ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"],
    hosts: ["mx.example.com", ".example.org"],
    files: [FILE, CLIENTS],
    env: ["RELAYCLIENT", "TRUSTED"],
  },
};

/** The rule that exempted the only client so far, "none" where it was deferred. */
async function verdict(server: Listener, binary: string): Promise<string> {
  const text = await burst(server.port, ATTEMPT.join("\r\n") + "\r\n");
  await gone(binary);
  const [line, ...more] = logLines().filter((line) => !/Z warn /.test(line));
  assertEquals(more, []);
  const rule = / pass .*reason=whitelisted rule=(\S+)$/.exec(line)?.[1];
  if (rule === undefined) {
    assertMatch(line, / defer .*reason=new /);
    assertMatch(text, /\r\n451 4\.7\.1 /);
    return "none";
  }
  assertEquals(text.split("\r\n")[0], NEXT);
  assertEquals(entries(), {});
  return rule;
}

e2e("each kind of rule exempts, and only whom it names", needs, async (t) => {
  clean();
  writeFile(
    "whitelist",
    `# comment
203.0.113.0/24   # a network
2001:db8:ffff::1
mail.example.net
.example.edu
`,
  );
  // The form of postgrey's list of clients.
  writeFile(
    "clients",
    `# greylisting.org: Southwest Airlines
southwest.example
/^mail\\d+\\.pool\\.example$/
10.9
10.8.7
`,
  );
  const binary = await compile(CONFIG);
  const ip = (value: string) => `TCPREMOTEIP=${value}`;
  const host = (value: string) => `TCPREMOTEHOST=${value}`;
  const cases: [string, string[]][] = [
    ["none", [ip("198.51.100.8")]],
    ["networks:192.0.2.0/24", [ip("192.0.2.255")]],
    ["networks:192.0.2.0/24", [ip("::ffff:192.0.2.1")]],
    ["none", [ip("192.0.3.0")]],
    ["networks:198.51.100.7", [ip("198.51.100.7")]],
    ["networks:2001:db8::/32", [ip("2001:db8:1::5")]],
    ["none", [ip("2001:db9::1")]],
    ["hosts:mx.example.com", [host("mx.example.com")]],
    ["hosts:mx.example.com", [host("MX.Example.COM.")]],
    ["none", [host("a.mx.example.com")]],
    ["none", [host("xmx.example.com")]],
    ["hosts:.example.org", [host("a.b.example.org")]],
    ["none", [host("example.org")]],
    ["none", [host("badexample.org")]],
    ["none", [host("")]],
    ["env:RELAYCLIENT", ["RELAYCLIENT="]],
    ["env:TRUSTED", ["TRUSTED=1"]],
    ["none", ["WHITELISTED="]],
    [`${FILE}:2`, [ip("203.0.113.9")]],
    [`${FILE}:4`, [host("mail.example.net")]],
    [`${FILE}:5`, [host("x.example.edu")]],
    ["none", [host("example.edu")]],
    [`${CLIENTS}:2`, [host("southwest.example")]],
    [`${CLIENTS}:2`, [host("out.southwest.example")]],
    [`${CLIENTS}:3`, [host("mail17.pool.example")]],
    [`${CLIENTS}:3`, [host("MAIL17.pool.example")]],
    ["none", [host("mail.pool.example")]],
    [`${CLIENTS}:4`, [ip("10.9.255.1")]],
    [`${CLIENTS}:5`, [ip("10.8.7.6")]],
    ["none", [ip("10.8.6.6")]],
  ];
  for (const [rule, env] of cases) {
    await t.step(`${env.join(" ")}: ${rule}`, async () => {
      clean();
      const before = ["/usr/bin/env", ...env];
      const next = greeter();
      await using server = await tcpserver.start({ binary, before, next });
      assertEquals(await verdict(server, binary), rule);
    });
  }
});

e2e(
  "bad lines are logged with file and line, the rest counts",
  needs,
  async () => {
    clean();
    writeFile(
      "whitelist",
      "10.0.0.1/33\n192.0.2.1/24\n/(/\nno host!\n\x1b[2J\n127.0.0.0/8\nbad line\n",
    );
    writeFile("clients", "");
    const binary = await compile(CONFIG);
    await using server = await tcpserver.start({ binary, next: greeter() });
    assertEquals(await verdict(server, binary), `${FILE}:6`);
    const warnings = logLines().filter((line) => / warn /.test(line));
    assertEquals(warnings.length, 5);
    warnings.forEach((line, i) => {
      assert(line.includes(`${FILE}:${i + 1}: `), line);
      assertMatch(line, /^[ -~]*$/);
    });
  },
);

e2e(
  "a whitelist file that is missing is logged, the rest counts",
  needs,
  async () => {
    clean();
    await run(["rm", "-f", FILE]);
    writeFile("clients", "127.0.0.1\n");
    const binary = await compile(CONFIG);
    await using server = await tcpserver.start({ binary, next: greeter() });
    assertEquals(await verdict(server, binary), `${CLIENTS}:1`);
    const warnings = logLines().filter((line) => / warn /.test(line));
    assertEquals(warnings.length, 1);
    assert(warnings[0].includes(FILE), warnings[0]);
  },
);

e2e("a whitelist file that changes counts at once", needs, async () => {
  clean();
  writeFile("whitelist", "");
  writeFile("clients", "");
  const binary = await compile(CONFIG);
  await using server = await tcpserver.start({ binary, next: greeter() });
  assertEquals(await verdict(server, binary), "none");
  clean();
  writeFile("whitelist", "127.0.0.1\n");
  assertEquals(await verdict(server, binary), `${FILE}:1`);
});

e2e(
  "a large whitelist file is kept as an index, and read anew when it changes",
  needs,
  async () => {
    clean();
    const filled = "192.0.2.0/24\nmx.example\n".repeat(500);
    writeFile("whitelist", `bad line\n${filled}`);
    writeFile("clients", "127.0.0.1\n");
    const binary = await compile(CONFIG);
    await using server = await tcpserver.start({ binary, next: greeter() });
    const kept = () =>
      [...Deno.readDirSync(BASE)]
        .filter(({ name }) => /^\.whitelist-[0-9a-f]{8}$/.test(name)).length;
    // It has to be some seconds old first.
    const end = Date.now() + 60_000;
    let connections = 0;
    const expectRule = async (rule: string) => {
      connections++;
      assertEquals(await verdict(server, binary), rule);
      assertMatch(logLines()[0], / warn .*whitelist:1: /);
      emptyDir("log");
    };
    while (kept() === 0 && Date.now() < end) await expectRule(`${CLIENTS}:1`);
    assertEquals(kept(), 1, `after ${connections} connections`);
    await expectRule(`${CLIENTS}:1`);
    writeFile("whitelist", `bad line\n${filled}127.0.0.1\n`);
    await expectRule(`${FILE}:1002`);
  },
);

for (const what of ["a directory", "no UTF-8", "a FIFO without writer"]) {
  e2e(`a whitelist file that is ${what} stops nobody`, needs, async () => {
    clean();
    await run(["rm", "-rf", FILE]);
    if (what === "a directory") Deno.mkdirSync(FILE);
    else if (what === "no UTF-8") {
      writeFile("whitelist", Uint8Array.of(0xff, 0xfe, 10, 0, 10));
    } else await run(["mkfifo", FILE]);
    writeFile("clients", "127.0.0.1\n");
    try {
      const binary = await compile(CONFIG);
      await using server = await tcpserver.start({ binary, next: greeter() });
      assertEquals(await verdict(server, binary), `${CLIENTS}:1`);
      assert(logLines().some((line) => / warn .*whitelist/.test(line)));
    } finally {
      await run(["rm", "-rf", FILE]);
    }
  });
}

e2e("RELAYCLIENT set by tcprules exempts", {
  programs: ["tcpserver", "tcprules"],
}, async () => {
  clean();
  const rules = writeFile("rules", '127.0.0.1:allow,RELAYCLIENT=""\n:allow\n');
  const cdb = `${ROOT}/rules.cdb`;
  const { code, stderr } = await run(
    [programPath("tcprules"), cdb, `${cdb}.tmp`],
    { input: Deno.readTextFileSync(rules) },
  );
  assertEquals(code, 0, stderr);
  const binary = await compile();
  const options = ["-x", cdb];
  const next = greeter();
  await using server = await tcpserver.start({ binary, options, next });
  assertEquals(await verdict(server, binary), "env:RELAYCLIENT");
});

e2e("host names as tcpserver -h and -p find them", {
  ...needs,
  root: true,
}, async (t) => {
  await using _dns = openDns({
    "127.0.0.1": "a.example.org",
    "127.0.0.2": "b.example.org",
  }, {
    "a.example.org": "127.0.0.1",
    "b.example.org": "192.0.2.99",
  });
  const binary = await compile(CONFIG);
  writeFile("whitelist", "");
  writeFile("clients", "");
  const nc = programPath("nc");
  // The second address claims a name that does not lead back to it.
  const cases = [
    ["-h", "127.0.0.1", "pass"],
    ["-h", "127.0.0.2", "pass"],
    ["-hp", "127.0.0.1", "pass"],
    ["-hp", "127.0.0.2", "defer"],
    ["-H", "127.0.0.1", "defer"],
  ];
  for (const [option, client, verb] of cases) {
    await t.step(`${option} ${client}: ${verb}`, async () => {
      clean();
      await using server = await tcpserver.start({
        binary,
        options: [option],
        next: greeter(),
        env: { DNSCACHEIP: DNS_ADDRESS },
      });
      const { stdout } = await run(
        [nc, "-w", "20", "-N", "-s", client, "127.0.0.1", `${server.port}`],
        { input: ATTEMPT.join("\r\n") + "\r\n" },
      );
      await gone(binary);
      assertEquals(logLines().length, 1);
      if (verb === "pass") {
        assertMatch(logLines()[0], / rule=hosts:\.example\.org$/);
        assertMatch(stdout, /^220 next program/);
      } else {
        assertMatch(logLines()[0], / defer .*reason=new /);
        assertMatch(stdout, /\r\n451 4\.7\.1 /);
      }
    });
  }
});

for (const way of [tcpserver, inetd]) {
  e2e(`${way.name}: localPorts exempts by this end's port`, way, async () => {
    clean();
    const [exempt, other] = [freePort(), freePort()];
    const binary = await compile({ whitelist: { localPorts: [exempt] } });
    const next = greeter();
    {
      await using server = await way.start({ binary, next, port: exempt });
      assertEquals(await verdict(server, binary), `localPorts:${exempt}`);
    }
    clean();
    await using server = await way.start({ binary, next, port: other });
    assertEquals(await verdict(server, binary), "none");
  });
}
