import { assertEquals, assertMatch } from "@std/assert";
import { entries, logLines } from "./harness/binary.ts";
import { begin } from "./harness/begin.ts";
import { e2e } from "./harness/need.ts";
import { gone, processesOf, waitFor } from "./harness/process.ts";
import { ATTEMPT, Client, talk } from "./harness/smtp.ts";

// Clients that are silent, slow, gone, deaf or many.

const needs = { programs: ["tcpserver"] };

const IMPATIENT = { deferral: { idleTimeout: "1s" } } as const;

for (let n = 0; n <= 3; n++) {
  e2e(
    `a client that falls silent after ${n} commands gets a 421`,
    needs,
    async () => {
      await using server = await begin(IMPATIENT);
      using client = await Client.connect(server.port);
      await client.reply();
      for (const line of ATTEMPT.slice(0, n)) {
        await client.send(`${line}\r\n`);
        await client.reply();
      }
      assertMatch(await client.rest(), /^421 4\.4\.2 mx\.example [ -~]*\r\n$/);
      await gone(server.binary);
      assertEquals(logLines().length, 1);
    },
  );
}

e2e("half a line is silence as well", needs, async () => {
  await using server = await begin(IMPATIENT);
  using client = await Client.connect(server.port);
  await client.reply();
  await client.send("EHLO client.exam");
  assertMatch(await client.rest(), /^421 4\.4\.2 /);
  await gone(server.binary);
});

e2e(
  "a client that keeps talking is ended by the session timeout",
  needs,
  async () => {
    await using server = await begin({
      deferral: { idleTimeout: "60s", sessionTimeout: "2s" },
    });
    using client = await Client.connect(server.port);
    assertMatch(await client.reply() ?? "", /^220 /);
    let reply: string | undefined;
    do {
      await client.send("NOOP\r\n");
      reply = await client.reply();
      await new Promise((done) => setTimeout(done, 50));
    } while (reply?.startsWith("250 "));
    assertMatch(reply ?? "hung up", /^421 4\.4\.2 /);
    await gone(server.binary);
  },
);

for (const how of ["hangs up", "resets", "half-closes"] as const) {
  for (let n = 0; n <= ATTEMPT.length; n++) {
    e2e(
      `a client that ${how} after ${n} commands leaves nothing`,
      needs,
      async () => {
        await using server = await begin();
        {
          using client = await Client.connect(server.port);
          // What is not read when a socket is closed makes it a reset.
          if (how !== "resets") await client.reply();
          for (const line of ATTEMPT.slice(0, n)) {
            await client.send(`${line}\r\n`);
            if (how !== "resets") await client.reply();
          }
          if (how === "resets") {
            await waitFor("the banner", () => hasBegun(server.binary));
          }
          if (how === "half-closes") {
            await client.half();
            assertEquals(await client.rest(), "");
          }
        }
        await gone(server.binary);
        await waitFor("the log line", () => logLines().length === 1);
        assertMatch(logLines()[0], / defer ip=127\.0\.0\.1 .*reason=new /);
        assertEquals(entries(), { "127.0.0.0_24": 0 });
      },
    );
  }
}

/** Whether the session has begun. */
function hasBegun(binary: string): boolean {
  return Object.keys(entries()).length > 0 ||
    processesOf(binary).length > 0;
}

e2e("a client that never reads does not hold a process", needs, async () => {
  await using server = await begin(IMPATIENT);
  using client = await Client.connect(server.port);
  const burst = "NOOP\r\n".repeat(10_000);
  let ended = false;
  const sending = (async () => {
    // Until no buffer takes any more, and then until the connection is gone.
    while (!ended) await client.send(burst);
  })().catch(() => {});
  await waitFor("the session", () => processesOf(server.binary).length > 0);
  await gone(server.binary);
  ended = true;
  client[Symbol.dispose]();
  await sending;
  assertEquals(logLines().length, 1);
});

e2e("twenty clients at once", needs, async () => {
  await using server = await begin();
  const transcripts = await Promise.all(
    Array.from({ length: 20 }, () => talk(server.port)),
  );
  for (const transcript of transcripts) {
    assertMatch(transcript[3], /^451 4\.7\.1 /);
  }
  await gone(server.binary);
  const lines = logLines();
  assertEquals(lines.length, 20);
  assertEquals(lines.filter((line) => / reason=new /.test(line)).length, 1);
  assertEquals(lines.filter((line) => / reason=early /.test(line)).length, 19);
  assertEquals(entries(), { "127.0.0.0_24": 0 });
});
