import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../../lib/config.ts";
import {
  clean,
  clientLines,
  compile,
  emptyLog,
  entries,
  logLines,
  SERVE,
} from "../harness/binary.ts";
import { bothWays } from "../harness/both_ways.ts";
import { DNS_ADDRESS, openDns } from "../harness/dns.ts";
import { e2e, programPath } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { freePort, run, waitFor } from "../harness/process.ts";
import { BASE, emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { ATTEMPT, burstFrom } from "../harness/smtp.ts";
import { inetd, type Listener, serve, tcpserver } from "../harness/way_in.ts";

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

/**
 * The rule that exempted the only client so far, "none" if it was deferred.
 *
 * @param source the address that it calls from
 */
async function verdict(server: Listener, source?: string): Promise<string> {
  const session = ATTEMPT.join("\r\n") + "\r\n";
  const text = await burstFrom(source, server.port, session);
  await server.idle();
  const [line, ...more] = clientLines().filter((line) => !/Z warn /.test(line));
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

// tcpserver gives the client's address, and `env` can change it.
e2e(
  "each kind of rule exempts the clients that it names, and no others",
  needs,
  async (t) => {
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
      ["hosts:mx.example.com", [host("a.mx.example.com")]],
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
        assertEquals(await verdict(server), rule);
      });
    }
  },
);

e2e(
  "serve: each kind of rule exempts the clients that it names, and no others",
  {},
  async (t) => {
    clean();
    writeFile(
      "whitelist",
      "# comment\n127.3.0.0/16   # a network\n127.4.0.7\nmail.example.net\n",
    );
    // The form of postgrey's list of clients.
    writeFile("clients", "southwest.example\n127.5\n127.6.0.7\n");
    const binary = await compile({
      whitelist: {
        ...CONFIG.whitelist,
        networks: ["127.1.0.0/16", "127.2.0.7", "::1"],
      },
      serve: {
        ...SERVE,
        rules: [
          { networks: ["127.7.0.7"], env: { RELAYCLIENT: "" } },
          { networks: ["127.7.0.8"], env: { TRUSTED: "1" } },
          { networks: ["127.7.0.0/16"], env: { WHITELISTED: "" } },
        ],
      },
    });
    // What a super-server would say is not asked.
    const before = ["/usr/bin/env", "TCPREMOTEIP=127.1.0.1"];
    const host = "TCPREMOTEHOST=mx.example.com";
    await using server = await serve.start({
      binary,
      before: [...before, host, "TCPLOCALPORT=1"],
      next: greeter(),
    });
    const cases: [string, string][] = [
      ["none", "127.0.0.1"],
      ["networks:127.1.0.0/16", "127.1.255.255"],
      ["networks:127.2.0.7", "127.2.0.7"],
      ["none", "127.2.0.8"],
      [`${FILE}:2`, "127.3.255.1"],
      [`${FILE}:3`, "127.4.0.7"],
      ["none", "127.4.0.8"],
      [`${CLIENTS}:2`, "127.5.255.1"],
      [`${CLIENTS}:3`, "127.6.0.7"],
      ["none", "127.6.0.8"],
      ["env:RELAYCLIENT", "127.7.0.7"],
      ["env:TRUSTED", "127.7.0.8"],
      ["none", "127.7.0.9"],
    ];
    for (const [rule, source] of cases) {
      await t.step(`${source}: ${rule}`, async () => {
        emptyDir("base", 0o700);
        emptyLog();
        assertEquals(await verdict(server, source), rule);
      });
    }
  },
);

bothWays(
  "bad lines are logged with file and line, the other lines count",
  {},
  async (way) => {
    clean();
    writeFile(
      "whitelist",
      "10.0.0.1/33\n192.0.2.1/24\n/(/\nno host!\n\x1b[2J\n127.0.0.0/8\nbad line\n",
    );
    writeFile("clients", "");
    const binary = await compile(CONFIG);
    await using server = await way.start({ binary, next: greeter() });
    assertEquals(await verdict(server), `${FILE}:6`);
    const warnings = clientLines().filter((line) => / warn /.test(line));
    // The wrapper reads as far as the line that is for the client.
    const bad = way === serve ? [1, 2, 3, 4, 5, 7] : [1, 2, 3, 4, 5];
    assertEquals(warnings.length, bad.length);
    warnings.forEach((line, i) => {
      assert(line.includes(`${FILE}:${bad[i]}: `), line);
      assertMatch(line, /^[ -~]*$/);
    });
  },
);

e2e(
  "no expression takes longer than others for any host name",
  {},
  async () => {
    // The two have different options of V8.
    for (const serve of [undefined, SERVE]) {
      clean();
      // V8's usual matcher takes half a minute for the first line.
      writeFile(
        "whitelist",
        "/^([a-z0-9-]+\\.?)+\\.mail\\.example\\.com$/\n/(a)\\1/\n/^A+$/\n",
      );
      writeFile("clients", "");
      const binary = await compile({ ...CONFIG, serve });
      const start = performance.now();
      const { code, stdout } = await run([binary, "echo", "let in"], {
        env: { TCPREMOTEIP: "203.0.113.9", TCPREMOTEHOST: "a".repeat(34) },
      });
      const elapsed = performance.now() - start;
      assertEquals([code, stdout], [0, "let in\n"]);
      const [warning, pass, ...more] = logLines();
      assertMatch(
        warning,
        /whitelist:2: .*: a back-reference cannot be matched in linear time"$/,
      );
      assertMatch(pass, / pass .*reason=whitelisted rule=\S+\/whitelist:3$/);
      assertEquals(more, []);
      assert(elapsed < 15_000, `${elapsed} ms`);
    }
  },
);

bothWays(
  "a whitelist file that is missing is logged, the other files count",
  {},
  async (way) => {
    clean();
    await run(["rm", "-f", FILE]);
    writeFile("clients", "127.0.0.1\n");
    const binary = await compile(CONFIG);
    await using server = await way.start({ binary, next: greeter() });
    assertEquals(await verdict(server), `${CLIENTS}:1`);
    const warnings = clientLines().filter((line) => / warn /.test(line));
    assertEquals(warnings.length, 1);
    assert(warnings[0].includes(FILE), warnings[0]);
  },
);

bothWays("a change of a whitelist file counts", {}, async (way) => {
  clean();
  writeFile("whitelist", "");
  writeFile("clients", "");
  const binary = await compile(CONFIG);
  await using server = await way.start({ binary, next: greeter() });
  assertEquals(await verdict(server), "none");
  writeFile("whitelist", "127.0.0.1\n");
  const changed = () => {
    emptyDir("base", 0o700);
    emptyLog();
    return verdict(server);
  };
  if (way === serve) {
    // serve reads its files at a SIGHUP. The old rules count until that is done.
    Deno.kill(server.pid, "SIGHUP");
    await waitFor("the new rule", async () => await changed() === `${FILE}:1`);
  } else assertEquals(await changed(), `${FILE}:1`);
});

// serve keeps its rules in memory.
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
    // A file that changed less than some seconds ago gets no index.
    await new Promise((done) => setTimeout(done, 4000));
    const end = Date.now() + 60_000;
    let connections = 0;
    const expectRule = async (rule: string) => {
      connections++;
      assertEquals(await verdict(server), rule);
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
  bothWays(
    `a whitelist file that is ${what} stops no client`,
    {},
    async (way) => {
      clean();
      await run(["rm", "-rf", FILE]);
      if (what === "a directory") Deno.mkdirSync(FILE);
      else if (what === "no UTF-8") {
        writeFile("whitelist", Uint8Array.of(0xff, 0xfe, 10, 0, 10));
      } else await run(["mkfifo", FILE]);
      writeFile("clients", "127.0.0.1\n");
      try {
        const binary = await compile(CONFIG);
        await using server = await way.start({ binary, next: greeter() });
        assertEquals(await verdict(server), `${CLIENTS}:1`);
        assert(clientLines().some((line) => / warn .*whitelist/.test(line)));
      } finally {
        await run(["rm", "-rf", FILE]);
      }
    },
  );
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
  assertEquals(await verdict(server), "env:RELAYCLIENT");
});

// For serve see serve/host_name_test.ts.
e2e("host names as tcpserver -h and -p find them", {
  ...needs,
  root: true,
}, async (t) => {
  // The second address claims a name that does not lead back to it.
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
      const rule = await verdict(server, client);
      assertEquals(rule, verb === "pass" ? "hosts:.example.org" : "none");
    });
  }
});

const EXEMPT = freePort();
const LOCAL_PORTS = { whitelist: { localPorts: [EXEMPT, 465] } };

for (const way of [tcpserver, inetd, serve]) {
  e2e(`${way.name}: localPorts exempts by this end's port`, way, async () => {
    clean();
    const binary = await compile(LOCAL_PORTS);
    const next = greeter();
    {
      await using server = await way.start({ binary, next, port: EXEMPT });
      assertEquals(await verdict(server), `localPorts:${EXEMPT}`);
    }
    clean();
    const other = freePort();
    await using server = await way.start({ binary, next, port: other });
    assertEquals(await verdict(server), "none");
  });
}

// Standard input of these super-servers may be a pipe, which has no port.
for (const name of ["SSLLOCALPORT", "NCAT_LOCAL_PORT", "SOCAT_SOCKPORT"]) {
  e2e(`localPorts exempts by ${name}`, tcpserver, async () => {
    clean();
    const binary = await compile(LOCAL_PORTS);
    const before = ["/usr/bin/env", "TCPLOCALPORT=", `${name}=465`];
    const next = greeter();
    await using server = await tcpserver.start({ binary, before, next });
    assertEquals(await verdict(server), "localPorts:465");
  });
}
