import { assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import {
  age,
  clean,
  clientLines,
  compile,
  entries,
  logLines,
} from "../harness/binary.ts";
import { begin } from "../harness/begin.ts";
import { bothWays } from "../harness/both_ways.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT, SWAKS, swaks } from "../harness/next_program.ts";
import { gone, processesOf, run } from "../harness/process.ts";
import { BASE, emptyDir, ROOT, writeFile } from "../harness/root.ts";
import {
  assertOnlySmtp,
  ATTEMPT,
  burst,
  burstFrom,
  Client,
} from "../harness/smtp.ts";
import { inetd, serve, tcpserver, type WayIn } from "../harness/way_in.ts";

const needs = { programs: ["tcpserver"] };
const SESSION = ATTEMPT.join("\r\n") + "\r\n";

for (const way of [tcpserver, inetd, serve]) {
  e2e(`${way.name}: at banner: one 421 and the end`, way, async () => {
    clean();
    const deferral = { at: "banner" } as const;
    const binary = await compile({ deferral, onError: "defer" });
    await using server = await way.start({ binary, next: greeter() });
    using client = await Client.connect(server.port);
    assertMatch(await client.rest(), /^421 4\.7\.1 [ -~]* 60 seconds\r\n$/);
    await server.idle();
    assertMatch(
      clientLines()[0],
      / defer ip=127\.0\.0\.1 net=127\.0\.0\.0\/24 reason=new wait=60$/,
    );
    // A client that says everything at once loses no reply to a reset.
    const text = await burst(server.port, SESSION + "x".repeat(100_000));
    assertMatch(text, /^421 4\.7\.1 [ -~]* seconds\r\n$/);
    age("127.0.0.0_24", 100);
    assertEquals((await burst(server.port, "")).split("\r\n")[0], NEXT);
    // The check fails at an entry that is no file.
    Deno.removeSync(`${BASE}/127.0.0.0_24`);
    Deno.mkdirSync(`${BASE}/127.0.0.0_24`);
    assertEquals(
      await burst(server.port, SESSION),
      "421 4.3.0 Temporary local problem, please try again later\r\n",
    );
  });
}

for (const way of [tcpserver, inetd]) {
  e2e(`${way.name}: at rblsmtpd: the real one answers`, {
    ...way,
    programs: [...way.programs, "rblsmtpd", "swaks"],
  }, async () => {
    clean();
    const binary = await compile({ deferral: { at: "rblsmtpd" } });
    await using server = await way.start({
      binary,
      // inetd hands on no PATH, so that execvp takes its default.
      before: ["/usr/bin/env", "PATH=/usr/local/bin:/usr/bin:/bin"],
      next: greeter(),
    });
    const sent = await swaks(server, "never arrives");
    assertEquals(sent.code, SWAKS.rcptRefused, sent.text);
    assertMatch(sent.text, /^<- {2}220 rblsmtpd\.local/m);
    assertMatch(sent.text, /^<\*\* 451 .* 60 seconds/m);
    assertMatch(logLines()[0], / defer ip=127\.0\.0\.1 .*reason=new wait=60$/);

    // No V8 process waits for a client that is slow.
    using client = await Client.connect(server.port);
    assertMatch(await client.reply() ?? "", /^220 rblsmtpd/);
    assertEquals(processesOf(binary), []);
    await client.send("RCPT TO:<b@mx.example>\r\n");
    assertMatch(await client.reply() ?? "", /^451 /);

    age("127.0.0.0_24", 100);
    assertEquals((await burst(server.port, "")).split("\r\n")[0], NEXT);
  });
}

e2e("at rblsmtpd: idleTimeout is its option -t", {}, async () => {
  clean();
  const deferral = { at: "rblsmtpd", idleTimeout: "90s" } as const;
  const binary = await compile({ deferral });
  const script = '#!/bin/sh\necho "$RBLSMTPD: $@"\n';
  writeFile("stand-in/rblsmtpd", script, 0o755);
  const { code, stdout } = await run([binary, "/bin/true"], {
    env: { TCPREMOTEIP: "192.0.2.7", PATH: `${ROOT}/stand-in` },
  });
  const text = "4.7.1 Greylisted, please try again in 60 seconds";
  assertEquals([code, stdout], [0, `${text}: -t 90 false\n`]);
});

e2e(
  "at rblsmtpd without rblsmtpd: the client is deferred anyway",
  needs,
  async () => {
    clean();
    const binary = await compile({ deferral: { at: "rblsmtpd" } });
    const before = ["/usr/bin/env", `PATH=${emptyDir("nothing")}`];
    const next = greeter();
    await using server = await tcpserver.start({ binary, before, next });
    const text = await burst(server.port, SESSION);
    assertOnlySmtp(text);
    assertMatch(
      text,
      /^220 mx\.example .*\r\n451 4\.7\.1 .* 60 seconds\r\n221 /s,
    );
    await gone(binary);
    const errors = logLines().filter((line) => / error .*rblsmtpd/.test(line));
    assertEquals(errors.length, 1);
    assertEquals(entries(), { "127.0.0.0_24": 0 });
  },
);

/** The reply to RCPT. */
async function said(way: WayIn, deferral: Config["deferral"], from?: string) {
  await using server = await begin(way, { deferral });
  const text = await burstFrom(from, server.port, SESSION);
  assertOnlySmtp(text);
  await server.idle();
  const match = /\r\n(451 4\.7\.1 .*)\r\n221 /.exec(text);
  return match?.[1] ?? text;
}

/** Words the deferral by the client's address: `deno task compile` tries another. */
const WORDED: Config["deferral"] = {
  message: (d) => {
    switch (d.ip) {
      case "127.0.0.2":
        return "one\r\n250 ok\r\n\x1b[2Jtwo\0 é " + "x".repeat(999);
      case "127.0.0.3":
        throw new Error("boom\nboom");
      case "127.0.0.4":
        return JSON.parse("7");
    }
    return `${d.ip} ${d.reason} ${d.seconds}: see http://x.example/`;
  },
};

bothWays("the configuration words the deferral", {}, async (way) => {
  assertEquals(
    await said(way, WORDED),
    "451 4.7.1 127.0.0.1 new 60: see http://x.example/",
  );
});

bothWays("a text of many lines becomes one", {}, async (way) => {
  const reply = await said(way, WORDED, "127.0.0.2");
  assertMatch(reply, /^451 4\.7\.1 one 250 ok \[2Jtwo {2}\? x+$/);
  assertEquals(reply.length, 510);
});

bothWays(
  "if the message function fails at run time, the default text is sent",
  {},
  async (way) => {
    const reply = await said(way, WORDED, "127.0.0.3");
    assertEquals(reply, "451 4.7.1 Greylisted, please try again in 60 seconds");
    assertEquals(clientLines().length, 2);
    assertMatch(clientLines()[0], / warn .*boom/);
  },
);

bothWays(
  "if the message function returns no text, the default text is sent",
  {},
  async (way) => {
    const reply = await said(way, WORDED, "127.0.0.4");
    assertMatch(reply, /^451 4\.7\.1 Greylisted, please try again/);
  },
);

// It would take a process for each client.
e2e('serve: "rblsmtpd" is taken as "rcpt"', serve, async () => {
  assertEquals(
    await said(serve, { at: "rblsmtpd" }),
    "451 4.7.1 Greylisted, please try again in 60 seconds",
  );
  assertEquals(clientLines().length, 1);
  assertMatch(clientLines()[0], / reason=new .* to=<b@mx\.example>$/);
});

bothWays("the name in the banner is qmail's", {}, async (way, t) => {
  const binary = await compile();
  const cases: [string, string | undefined, string | undefined][] = [
    ["greeting.example", "greeting.example ESMTP welcome\n", "me.example\n"],
    ["me.example", undefined, "me.example\n"],
    ["me.example", "\n", "me.example"],
    // tcpserver -l0 says TCPLOCALHOST=0.
    [way === serve ? "localhost" : "0", undefined, undefined],
  ];
  for (const [name, smtpgreeting, me] of cases) {
    await t.step(`${name} of ${smtpgreeting} and ${me}`, async () => {
      clean();
      emptyDir("control");
      if (smtpgreeting) writeFile("control/smtpgreeting", smtpgreeting);
      if (me) writeFile("control/me", me);
      const next = greeter();
      await using server = await way.start({ binary, next });
      const text = await burst(server.port, SESSION);
      assertEquals(text.split(/[ \r]/)[1], name);
      assertMatch(text, new RegExp(`\r\n250-${name}\r\n`));
    });
  }
});
