/**
 * Under sslserver with UCSPI-TLS, descriptors 3 and up lead to the process that
 * speaks TLS: qmail-smtpd needs each of them as it was, and a client that is
 * deferred must leave them unused. A stand-in takes the place of sslserver.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../../lib/config.ts";
import { clean, clientLines, compile } from "../harness/binary.ts";
import { makeEntry } from "../harness/entry.ts";
import { e2e, programPath } from "../harness/need.ts";
import { processesOf, waitFor } from "../harness/process.ts";
import { BASE, ROOT, writeFile } from "../harness/root.ts";
import { burst, Client } from "../harness/smtp.ts";
import {
  before,
  describer,
  hasAny,
  now,
  outcome,
  pid,
  settings,
  sslserver,
  UNUSED,
  VARIABLES,
} from "../harness/sslserver.ts";
import { release } from "../harness/strace.ts";
import { type Listener, serve, tcpserver } from "../harness/way_in.ts";

const needs = { programs: ["tcpserver", "perl"] };
const FILE = `${ROOT}/friends` as Path;

/** Only clients in 192.0.2.0/24 are suspect; all others are let in. */
const EVERY: Partial<Config> = {
  whitelist: {
    networks: ["192.0.2.1"],
    hosts: [".friend.example"],
    files: [FILE],
  },
  only: { networks: ["192.0.2.0/24"] },
};

const SUSPECT = "export TCPREMOTEIP=192.0.2.9";
const ENTRY = "192.0.2.0_24";

/** How a client is let in: what is different for it, and its line in the log. */
interface Way {
  readonly sh: string;
  readonly line: RegExp;
  readonly prepare?: () => void;
}

const WAYS: Record<string, Way> = {
  "known": {
    sh: SUSPECT,
    line: / reason=known /,
    prepare: () => makeEntry(ENTRY, 1, 60),
  },
  "retried": {
    sh: SUSPECT,
    line: / reason=retried /,
    prepare: () => makeEntry(ENTRY, 0, 100),
  },
  "whitelisted by address": {
    sh: "export TCPREMOTEIP=192.0.2.1",
    line: / rule=networks:/,
  },
  "whitelisted by host": {
    sh: `${SUSPECT} TCPREMOTEHOST=mx.friend.example`,
    line: / rule=hosts:/,
  },
  "whitelisted by a file": {
    sh: "export TCPREMOTEIP=192.0.2.2",
    line: / rule=\S+friends:1$/,
  },
  "exempt by RELAYCLIENT": {
    sh: `${SUSPECT} RELAYCLIENT=`,
    line: / rule=env:RELAYCLIENT$/,
  },
  "not suspect": {
    sh: "export TCPREMOTEIP=198.51.100.9",
    line: / reason=unsuspected$/,
  },
  "a check that fails": {
    sh: SUSPECT,
    line: / error pass .* reason=error /,
    prepare: () => Deno.removeSync(BASE, { recursive: true }),
  },
};

/** PROGRAM has every descriptor as greylist found it. */
async function assertHandedOver(
  server: Listener,
  during: () => unknown = () => {},
): Promise<void> {
  using client = await Client.connect(server.port);
  const told = await client.until("end\n");
  assertEquals(told, `${VARIABLES}${before()}end\n`);
  await during();
  await client.half();
  assertEquals(await outcome(), UNUSED);
  await server.idle();
}

e2e("UCSPI-TLS: PROGRAM has descriptors 3 and up as they were", {
  ...needs,
}, async (t) => {
  const binary = await compile(EVERY);
  writeFile("friends", "192.0.2.2\n");
  await using server = await tcpserver.start({
    binary,
    before: sslserver(),
    next: describer(),
  });
  for (const [name, { sh, line, prepare }] of Object.entries(WAYS)) {
    await t.step(name, async () => {
      clean();
      prepare?.();
      settings(sh);
      await assertHandedOver(server);
      assertMatch(
        before().replaceAll(/^\d\d.*\n/gm, ""),
        /^0 socket:.*\n1 socket:.*\n3 socket:\S+ pos: 0 flags: 02\n5 pipe:\S+ .*\n8 pipe:.*\n9 \S+\/file pos: 42 flags: 0102002\n$/,
      );
      const [said, ...more] = clientLines();
      assertMatch(said, line);
      assertEquals(more, []);
    });
  }
});

e2e("UCSPI-TLS: the same in observe mode", needs, async () => {
  clean();
  const binary = await compile({ mode: "observe" });
  await using server = await tcpserver.start({
    binary,
    before: sslserver(),
    next: describer(),
  });
  settings(SUSPECT);
  await assertHandedOver(server);
  assertMatch(clientLines()[0], / would-defer .* reason=new /);
});

/** A base directory that hangs: calls on the entry take a minute. */
function hanging(): string[] {
  return [
    programPath("strace"),
    ...["-f", "-qq", "-o", "/dev/null", "-e", "trace=statx"],
    ...["-P", `${BASE}/${ENTRY}`, "-e", "inject=statx:delay_enter=60000000"],
  ];
}

e2e("UCSPI-TLS: the same for PROGRAM beside a check that hangs", {
  programs: [...needs.programs, "strace"],
}, async () => {
  clean();
  const binary = await compile({ storeTimeout: undefined });
  await using server = await tcpserver.start({
    binary,
    before: [...sslserver(), ...hanging()],
    next: describer(),
  });
  settings(SUSPECT);
  await assertHandedOver(server, async () => {
    // Else sslserver would not see the end before that of the call that hangs.
    const [checker, ...others] = processesOf(binary);
    assertEquals(others, []);
    await waitFor("greylist to leave the connection", () => !hasAny(checker));
    release(server);
  });
  assertMatch(clientLines()[0], / error pass .*no answer within 2 s/);
});

e2e("UCSPI-TLS: a check that hangs never leads to rblsmtpd", {
  programs: [...needs.programs, "strace", "rblsmtpd"],
}, async () => {
  // execve(2) would wait for the call that hangs.
  clean();
  const binary = await compile({
    onError: "defer",
    storeTimeout: undefined,
    deferral: { at: "rblsmtpd" },
  });
  await using server = await tcpserver.start({
    binary,
    before: [...sslserver(), ...hanging()],
    next: describer(),
  });
  settings(SUSPECT);
  using client = await Client.connect(server.port);
  assertMatch((await client.reply())!, /^220 mx\.example /);
  await client.send("RCPT TO:<b@mx.example>\r\nQUIT\r\n");
  assertMatch((await client.reply())!, /^451 /);
  assertMatch((await client.reply())!, /^221 /);
  release(server);
  assertEquals(await outcome(), UNUSED);
  assertMatch(clientLines()[0], / error defer .*no answer within 2 s/);
});

/** Ways to defer, and the beginning of what the client reads first. */
const DEFERRALS: readonly [Config["deferral"], string][] = [
  [{ at: "rcpt" }, "220 mx.example "],
  [{ at: "banner" }, "421 4.7.1 "],
  [{ at: "rblsmtpd" }, "220 rblsmtpd.local"],
];

for (const [deferral, first] of DEFERRALS) {
  const { at } = deferral!;
  e2e(`UCSPI-TLS: a client deferred at ${at} uses no descriptor`, {
    programs: [...needs.programs, "rblsmtpd"],
  }, async () => {
    clean();
    const binary = await compile(at === "rcpt" ? {} : { deferral });
    await using server = await tcpserver.start({
      binary,
      before: sslserver(),
      next: describer(),
    });
    settings(SUSPECT);
    using client = await Client.connect(server.port);
    assert((await client.reply())!.startsWith(first));
    if (at !== "banner") {
      // The program that answers has them, and has done nothing to them.
      const described = await now(pid());
      const inherited = before().split("\n");
      const has = described.split("\n");
      assertEquals(inherited.filter((line) => !has.includes(line)), []);
      // rblsmtpd has no other.
      if (at === "rblsmtpd") assertEquals(has, inherited);
      await client.send("STARTTLS\r\n");
      assertMatch(await client.reply() ?? "", /^4/);
      await client.send("QUIT\r\n");
    }
    await client.rest();
    assertEquals(await outcome(), UNUSED);
    assertMatch(clientLines()[0], / defer .* reason=new /);
  });
}

e2e("UCSPI-TLS: serve adds no descriptor to those that it inherits", {
  programs: ["tcpserver"],
}, async () => {
  clean();
  const opens = 'exec 3</etc/passwd 5>>"$0"; exec "$@"';
  const before = ["/bin/sh", "-c", opens, writeFile("inherited", "")];
  const next = describer();
  const binary = await compile({ whitelist: { networks: ["127.0.0.0/8"] } });
  const lists = [];
  for (
    const start of [
      () =>
        tcpserver.start({
          binary: before[0],
          next: [...before.slice(1), ...next],
        }),
      () => serve.start({ binary, before, next }),
    ]
  ) {
    await using server = await start();
    const told = (await burst(server.port, "")).split("\n");
    lists.push(told.filter((line) => !/^[01] /.test(line)));
  }
  const [alone, behind] = lists;
  assertMatch(alone.join("\n"), /^3 \/etc\/passwd .*\n5 .*\/inherited /m);
  assertEquals(behind, alone);
});
