import { assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { logged, serving } from "../harness/serving.ts";
import { assertOnlySmtp, ATTEMPT, burst, Client } from "../harness/smtp.ts";
import { slowing, slowingAt } from "../harness/strace.ts";

/** Clients of 127.0.0.1 are let in. */
const CONFIG: Partial<Config> = { whitelist: { networks: ["127.0.0.1"] } };

// How long the start of PROGRAM takes, in seconds, as on a disk that hangs.
const LONG = 30;
const SHORT = 1;

/** How many clients that pass come at once: more than Deno has threads for calls. */
const CROWD = 40;

e2e(
  "serve spawn: while PROGRAM is being started, other clients are served",
  { programs: ["strace"] },
  async () => {
    const config = { ...CONFIG, serve: { limit: CROWD } };
    await using server = await serving(config, {
      before: slowing("execve", LONG),
    });
    const { port } = server;
    const options = { from: "127.0.0.1", patience: 20 * LONG };
    const clients = await Promise.all(
      Array.from({ length: CROWD }, () => Client.connectFrom(port, options)),
    );
    await logged(/ pass ip=127\.0\.0\.1 /);
    let there = false;
    const greetings = clients.map((client) =>
      client.reply().finally(() => there = true)
    );
    for (let i = 1; i <= 3; i++) {
      using client = await Client.connectFrom(port, { from: `127.0.1.${i}` });
      await client.reply();
      for (const line of ATTEMPT) await client.send(`${line}\r\n`);
      assertMatch(await client.rest(), /^451 4\.7\.1 /m);
    }
    assertEquals(there, false);
    for (const [i, client] of clients.entries()) {
      assertEquals(await greetings[i], NEXT);
      await client.send("QUIT\r\n");
      assertEquals(await client.rest(), "250 QUIT\r\n");
      client[Symbol.dispose]();
    }
    await logged(/ end ip=127\.0\.0\.1 .* code=0$/);
  },
);

for (
  const [limit, which] of [[300, "is too low"], [60, "is raised"]] as const
) {
  e2e(
    `serve spawn: the same if the limit on descriptors ${which}`,
    { programs: ["strace"] },
    async () => {
      const next = greeter();
      const start = slowingAt(next, "execve", LONG);
      await using server = await serving(CONFIG, {
        next,
        before: ["sh", "-c", `ulimit -Sn ${limit}; exec "$@"`, "sh", ...start],
      });
      const { port } = server;
      using accepted = await Client.connectFrom(port, { patience: 20 * LONG });
      await logged(/ pass ip=127\.0\.0\.1 /);
      let isThere = false;
      const greeting = accepted.reply().finally(() => isThere = true);
      using deferred = await Client.connectFrom(port, { from: "127.0.1.1" });
      assertMatch(await deferred.reply() ?? "", /^220 mx\.example /);
      assertEquals(isThere, false);
      assertEquals(await greeting, NEXT);
    },
  );
}

e2e(
  "serve spawn: TERM loses no client whose PROGRAM is being started",
  { programs: ["strace"] },
  async () => {
    await using server = await serving(CONFIG, {
      before: slowing("execve", SHORT),
    });
    using client = await Client.connect(server.port);
    await logged(/ pass ip=127\.0\.0\.1 /);
    const line = await logged(/ serve on=/);
    Deno.kill(Number(/ pid=(\d+)/.exec(line)![1]), "SIGTERM");
    await logged(/ serve end=stopped /);
    // PROGRAM has started, and runs on.
    assertEquals(await client.reply(), NEXT);
    await client.send("QUIT\r\n");
    assertEquals(await client.rest(), "250 QUIT\r\n");
    // strace(1) stays for it.
    assertEquals(await server.code, 0);
  },
);

e2e(
  "serve spawn: if the limit is raised, a PROGRAM that is missing is a 421",
  {},
  async () => {
    await using server = await serving(CONFIG, {
      before: ["sh", "-c", 'ulimit -Sn 60; exec "$@"', "sh"],
      next: ["/nonexistent/qmail-smtpd"],
    });
    const text = await burst(server.port, "");
    assertOnlySmtp(text);
    assertMatch(text, /^421 4\.3\.0 /);
    await logged(/ error defer reason=error client=127\.0\.0\.1 /);
  },
);
